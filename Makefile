# Two commands do everything, set-up included: `make run` and `make test`.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check -c packaging/constraints.txt
BINDINGS := .cache/tensorrt-bindings
MLSERVER := .cache/mlserver
FREEZER := .cache/freezer
TOOLS := .cache/dist-tools
NOT_SHIPPED := pip setuptools altgraph pyinstaller-hooks-contrib
SET_UP := pyproject.toml packaging/constraints.txt packaging/system-libraries.sh

.PHONY: run test check lint types imports tests rtx dist dist-list frozen deb deb-check deb-jetson kit kit-check \
        bench bench-kuo2019 lock clean help

help:
	@echo "make run    set up, then start EchoGFR (without a display: 20 s offscreen, with a screenshot)"
	@echo "make test   set up, check style, types and imports, run the tests, then freeze and start the app (make frozen)"
	@echo "make rtx    set up, then run only the tests that build engines (x86-64, no GPU needed)"
	@echo "make bench  measure what the README claims (bench-kuo2019: ten full-size members, half an hour, 20 GB of disk)"
	@echo "make frozen freeze the app into dist/echogfr, which needs no Python, and start it until its first reading"
	@echo "make dist   make wheel and source distribution in dist/ and compare what is in them (dist-list: accept it)"
	@echo "make deb    build dist/echogfr_VERSION_amd64.deb in a clean Debian root (root, mmdebstrap; docs/installing.md)"
	@echo "make deb-check install it in a fresh root without a network, start it, upgrade, purge; print what it measured"
	@echo "make deb-jetson build dist/echogfr_VERSION_arm64.deb on a Jetson, around JetPack's own TensorRT and CUDA"
	@echo "make kit    put the newest package of dist/, all that it depends on and keys into a signed folder for a clinic"
	@echo "make kit-check  install from it in a fresh system without a network, as its INSTALL.txt says (root)"
	@echo "make lock   write packaging/constraints.txt anew from pyproject.toml"
	@echo "make clean  remove the virtual environment and every cache"

$(VENV)/.for-run: $(SET_UP)
	@PYTHON=$(PYTHON) sh packaging/system-libraries.sh
	@test -x $(PY) || { echo "Making $(VENV) ..."; $(PYTHON) -m venv $(VENV); }
	@echo "Installing EchoGFR into $(VENV) ..."
	@$(PIP) -e '.[dicom,igtl]'
	@touch $@

$(VENV)/.for-test: $(VENV)/.for-run
	@PYTHON=$(PYTHON) sh packaging/system-libraries.sh --compiler
	@echo "Installing what the tests and the conversion tool need (PyTorch and TensorRT for RTX among it: minutes) ..."
	@$(PIP) -e '.[dev]'
	@touch $@

# Each version for itself and outside of the environment: only a test looks at them. Not stamped until all are there.
$(BINDINGS)/.installed: packaging/tensorrt-bindings.txt $(VENV)/.for-test
	@rm -rf $(BINDINGS) && mkdir -p $(BINDINGS)
	@touch $@
	@for wanted in $$(grep -v '^#' packaging/tensorrt-bindings.txt); do \
	   $(PIP) --no-deps --only-binary :all: --target $(BINDINGS)/$${wanted##*==} $$wanted \
	   || { echo "$$wanted cannot be had here: what is checked against it is skipped." >&2; rm -f $@; }; done

# An inference server of others, in an environment of its own: its libraries are not ours. Not stamped without it.
$(MLSERVER)/.installed: packaging/mlserver.txt $(VENV)/.for-test
	@echo "Installing MLServer beside it, for the tests of the client ..."
	@rm -rf $(MLSERVER)
	@$(PYTHON) -m venv $(MLSERVER) \
	   && $(MLSERVER)/bin/pip install --quiet --disable-pip-version-check --only-binary :all: -r packaging/mlserver.txt \
	   && touch $@ || { echo "MLServer cannot be had here: what is checked against it is skipped." >&2; rm -rf $(MLSERVER); }

run: $(VENV)/.for-run
	@$(VENV)/bin/echogfr run

test: check tests frozen

check: lint types imports

lint: $(VENV)/.for-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(VENV)/.for-test
	$(VENV)/bin/mypy engines convert edge_app

imports: $(VENV)/.for-test
	$(VENV)/bin/lint-imports --no-cache

# One thread a library: the tests start processes of their own, and two cores are enough for all.
tests: $(VENV)/.for-test $(BINDINGS)/.installed $(MLSERVER)/.installed $(TOOLS)/.installed
	OMP_NUM_THREADS=1 QT_QPA_PLATFORM=offscreen $(PY) -m pytest

rtx: $(VENV)/.for-test $(BINDINGS)/.installed
	OMP_NUM_THREADS=1 $(PY) -m pytest tests/convert/test_tensorrt_*.py tests/convert/test_engines_command.py

# What builds distributions and writes their papers, apart from what they need: nothing of it is shipped.
$(TOOLS)/.installed: packaging/distribution/tools.txt
	@PYTHON=$(PYTHON) sh packaging/system-libraries.sh
	@echo "Installing what makes distributions into $(TOOLS) ..."
	@rm -rf $(TOOLS) && $(PYTHON) -m venv $(TOOLS)
	@$(TOOLS)/bin/pip install --quiet --disable-pip-version-check -r packaging/distribution/tools.txt
	@touch $@

# An environment of its own: what is not installed there cannot end up in the folder.
$(FREEZER)/.installed: $(SET_UP) packaging/frozen/requirements.txt
	@PYTHON=$(PYTHON) sh packaging/system-libraries.sh --freezer
	@rm -rf $(FREEZER) && $(PYTHON) -m venv $(FREEZER)
	@echo "Installing EchoGFR and PyInstaller into $(FREEZER) ..."
	@$(FREEZER)/bin/pip install --quiet --disable-pip-version-check -c packaging/constraints.txt \
	   -r packaging/frozen/requirements.txt '.[dicom,igtl,triton]'
	@touch $@

# Wheel and source distribution; nothing is fetched. dist-list: the list of what is in the wheel, written anew.
dist dist-list: $(TOOLS)/.installed
	@mkdir -p dist
	@$(TOOLS)/bin/python packaging/distribution/make.py dist $(if $(filter dist-list,$@),--write)

frozen: $(FREEZER)/.installed dist
	@$(FREEZER)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-index --force-reinstall dist/*.whl
	@echo "Freezing (a minute) ..."
	@$(FREEZER)/bin/pyinstaller --noconfirm --log-level ERROR --workpath build/frozen packaging/frozen/echogfr.spec
	$(FREEZER)/bin/python packaging/frozen/check.py dist/echogfr
	@rm -rf build/licences
	@$(TOOLS)/bin/python packaging/licences.py $(FREEZER) build/licences --without $(NOT_SHIPPED)
	@$(TOOLS)/bin/python packaging/sbom.py $(FREEZER) build/sbom.cdx.json --without $(NOT_SHIPPED)

# As root, and with nothing of this machine's Python or libraries: all is done in roots of their own.
deb:
	@$(PYTHON) packaging/debian_build.py

deb-check:
	@$(PYTHON) packaging/debian_check.py

# On the Jetson itself, or in a 64-bit Arm root: JETSON="--without-jetpack" and others, see the script.
deb-jetson:
	@$(PYTHON) packaging/jetson_build.py $(JETSON)

# What a clinic without internet needs, for the release that SUITE names (packaging/debian_root.py): the newest package in
# dist/, or DEB. Who signs: KIT_KEY=ID or KIT_KEY_FILE=FILE, or UNSIGNED=1. BUNDLES, PUBLIC_KEYS: files; ISO=1: a disc too.
kit:
	@$(PYTHON) packaging/offline_kit.py $(if $(DEB),--deb $(DEB)) $(if $(UNSIGNED),--unsigned) $(if $(ISO),--iso) \
	   $(foreach file,$(BUNDLES),--bundle $(file)) $(foreach file,$(PUBLIC_KEYS),--public-key $(file))

kit-check:
	GPU_WHEELS="$(GPU_WHEELS)" $(PYTHON) packaging/offline_kit_check.py $(KIT)

bench: $(VENV)/.for-test
	@for name in imaging inference phantom recipes; do \
	   echo "== tests/bench/$$name.py"; $(PY) tests/bench/$$name.py || exit 1; done

# Ten full-size members in the published layout: converted, compared and timed against the published procedure.
bench-kuo2019: $(VENV)/.for-test
	$(PY) tests/bench/kuo2019.py out/bench-kuo2019 --members 10 --full
	$(PY) tests/bench/published.py out/bench-kuo2019

# uv is needed for this one only: pip cannot lock for every Python at once.
lock:
	@{ sed -n '/^#/p' packaging/constraints.txt; \
	   uv pip compile --quiet --universal --python-version 3.10 --no-header --no-emit-index-url \
	      --no-annotate --extra dev --no-emit-package echogfr pyproject.toml; } > packaging/constraints.new
	@mv packaging/constraints.new packaging/constraints.txt

clean:
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis out build dist
