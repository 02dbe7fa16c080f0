"""What is used of TensorRT 10 and 11 is there under that name: asked of the vendor's own bindings.

The names are those that a real build on TensorRT for RTX uses, observed, and those that the source spells out for
what TensorRT for RTX does not do. The bindings come from the package index (``packaging/tensorrt-bindings.txt``);
the library that they belong to does not, so three empty ones stand in for it.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from convert.tensorrt_library import Library

from .tensorrt_makers import ROOT

Names = dict[str, set[str]]  # by class; "" is the module itself

BINDINGS = ROOT / ".cache" / "tensorrt-bindings"
VERSIONS = re.findall(r"^tensorrt-cu12-bindings==(\S+)", (ROOT / "packaging/tensorrt-bindings.txt").read_text(), re.M)
SYMBOLS = (
    "createInferBuilder_INTERNAL",
    "createInferRefitter_INTERNAL",
    "createInferRuntime_INTERNAL",
    "createNvOnnxParserRefitter_INTERNAL",
    "createNvOnnxParser_INTERNAL",
    "getBuilderPluginRegistry",
    "getNvOnnxParserVersion",
    "getPluginRegistry",
    "initLibNvInferPlugins",
)
AHEAD_OF_TIME = {  # of TensorRT for RTX alone; reached only where a library has ComputeCapability
    "ComputeCapability",
    "ComputeCapability.SM86",
    "IBuilderConfig.num_compute_capabilities",
    "IBuilderConfig.set_compute_capability",
}
UNSEEN = {  # what no build on TensorRT for RTX without a GPU comes to: a DLA, and an engine that can be loaded
    "BuilderFlag.GPU_FALLBACK",
    "DeviceType",
    "DeviceType.DLA",
    "EngineInspector.get_engine_information",
    "IBuilderConfig.DLA_core",
    "IBuilderConfig.default_device_type",
    "IBuilderConfig.set_flag",
    "ICudaEngine.create_engine_inspector",
    "LayerInformationFormat",
    "LayerInformationFormat.ONELINE",
}
RUN_TIME = {  # what running an engine comes to, to be looked up in every library
    "ILogger",
    "Runtime",
    "Runtime.deserialize_cuda_engine",
    "ICudaEngine.create_execution_context",
    "ICudaEngine.get_tensor_dtype",
    "ICudaEngine.get_tensor_mode",
    "ICudaEngine.get_tensor_name",
    "ICudaEngine.get_tensor_profile_shape",
    "ICudaEngine.get_tensor_shape",
    "ICudaEngine.num_io_tensors",
    "IExecutionContext.execute_async_v3",
    "IExecutionContext.get_tensor_shape",
    "IExecutionContext.set_input_shape",
    "IExecutionContext.set_tensor_address",
}
_MODULE = r"(?:trt|(?:\w+\.)*module)\.(?P<owner>\w+)"
_MEMBER = re.compile(rf"{_MODULE}(?:\([\w, ]*\))?(?:\.(?P<name>\w+))?")
_DECLARED = re.compile(r"What is (?:used|read) of ([\w.]+)\.")


def spelled(path: Path) -> Iterator[tuple[str, str]]:
    """Yield each name of TensorRT that a source file spells out, as (class, name)."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and (found := _MEMBER.fullmatch(ast.unparse(node))):
            yield "", found["owner"]
            if found["name"]:
                yield found["owner"], found["name"]
        elif isinstance(node, ast.ClassDef) and (declared := _DECLARED.match(ast.get_docstring(node) or "")):
            for member in node.body:
                if isinstance(member, ast.FunctionDef):
                    yield declared[1], member.name
                elif isinstance(member, ast.AnnAssign):
                    yield declared[1], ast.unparse(member.target)


def spelled_in(paths: Iterable[Path]) -> Names:
    names: Names = defaultdict(set)
    for path in paths:
        for owner, name in spelled(path):
            if not name.startswith("__"):
                names[owner].add(name)
    return names


def flat(names: Names) -> set[str]:
    return {f"{owner}.{name}".lstrip(".") for owner, found in names.items() for name in found}


@pytest.fixture(scope="module")
def in_source() -> Names:
    return spelled_in(sorted((ROOT / "convert").glob("tensorrt_*.py")))


@pytest.fixture(scope="module")
def at_run_time() -> Names:
    """What running an engine uses."""
    return spelled_in(sorted((ROOT / "engines").glob("_tensorrt*.py")))


@pytest.fixture(scope="module")
def observed(rtx: Library, artifact_of: Callable[[str, str], Path], tmp_path_factory: pytest.TempPathFactory) -> Names:
    """What a real build uses."""
    engine = tmp_path_factory.mktemp("observed") / "engine"
    command = [sys.executable, str(Path(__file__).with_name("tensorrt_recorder.py"))]
    artifacts = [str(artifact_of("residual", precision)) for precision in ("int8", "int8-cpu")]
    done = subprocess.run(
        [*command, *artifacts, str(engine)],
        capture_output=True,
        text=True,
        env=environment(),
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {owner: set(names) for owner, names in json.loads(done.stdout.splitlines()[-1]).items()}


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]), **more}


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the three libraries that the bindings ask for, of both majors; each function gives nothing."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler for the stand-in libraries that the bindings need to be loaded")
    folder = tmp_path_factory.mktemp("stand-ins")
    source = folder / "stand_in.c"
    source.write_text("\n".join(f"void *{name}(void) {{ return 0; }}" for name in SYMBOLS))
    for major in sorted({version.partition(".")[0] for version in VERSIONS}):
        for library in ("nvinfer", "nvinfer_plugin", "nvonnxparser"):
            name = f"lib{library}.so.{major}"
            command = [compiler, "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", str(folder / name), str(source)]
            subprocess.run(command, check=True, timeout=60)
    return folder


def ask(version: str, stand_ins: Path, names: Names) -> dict[str, object]:
    """Return what the bindings of one version say."""
    folder = BINDINGS / version
    if not folder.is_dir():
        pytest.skip(
            f"the bindings of TensorRT {version} are not installed (`make test` does, where this Python has any)"
        )
    path = os.pathsep.join([str(folder), environment()["PYTHONPATH"]])
    command = [sys.executable, str(Path(__file__).with_name("tensorrt_bindings_reader.py"))]
    done = subprocess.run(
        command,
        input=json.dumps({owner: sorted(found) for owner, found in names.items()}),
        capture_output=True,
        text=True,
        env=environment(PYTHONPATH=path, LD_LIBRARY_PATH=str(stand_ins)),
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def test_the_source_spells_out_nothing_that_a_real_build_does_not_use_but_what_it_cannot(
    observed: Names, in_source: Names
) -> None:
    assert flat(in_source) - flat(observed) == UNSEEN


def test_a_real_build_was_observed(observed: Names) -> None:
    assert {"build_serialized_network", "create_network"} <= observed["Builder"]
    assert observed["IProgressMonitor"] == {"phase_start", "step_complete", "phase_finish"}
    assert flat(observed) >= AHEAD_OF_TIME | {"ILogger.log", "ILogger.Severity.name", "ParserError.desc"}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_name_that_is_used_is_there(
    version: str, stand_ins: Path, observed: Names, in_source: Names, at_run_time: Names
) -> None:
    wanted: Names = defaultdict(set)
    for names in (observed, in_source, at_run_time):
        for owner, found in names.items():
            wanted[owner] |= found
    assert set(ask(version, stand_ins, wanted)["missing"]) == AHEAD_OF_TIME  # type: ignore[call-overload]


def test_what_running_an_engine_uses_is_in_tensorrt_for_rtx_too(rtx: Library, at_run_time: Names) -> None:
    assert flat(at_run_time) == RUN_TIME
    there = {name for name in RUN_TIME if has(rtx.module, name)}
    assert there == RUN_TIME


def has(module: object, name: str) -> bool:
    for part in name.split("."):
        if not hasattr(module, part):
            return False
        module = getattr(module, part)
    return True


@pytest.mark.parametrize("version", VERSIONS)
def test_the_library_is_asked_rightly_what_it_can_do(version: str, stand_ins: Path) -> None:
    answer = ask(version, stand_ins, {})
    major = int(version.partition(".")[0])
    assert answer["version"] == version
    assert answer["network_flags"] == 1 << int(str(answer["strongly_typed"]))
    assert answer["weakly_typed_too"] == (major < 11)  # 11 knows no other networks
    assert answer["ahead_of_time"] == []
    assert answer["times"] is True


@pytest.mark.parametrize("version", VERSIONS)
def test_a_library_that_cannot_be_started_is_one_sentence(version: str, stand_ins: Path) -> None:
    """The real bindings, and a library that gives no builder: as where the driver is too old for it."""
    told = str(ask(version, stand_ins, {})["refusal"])
    assert told.startswith(f"No engine can be built from model.onnx, because tensorrt {version} cannot be started")
    assert told.endswith(": install a version that goes with the NVIDIA driver.")


def test_a_name_that_is_gone_is_found_out(stand_ins: Path) -> None:
    """What 11 took away, as it would show if it were used."""
    old: Names = {"IBuilderConfig": {"int8_calibrator"}, "BuilderFlag": {"FP16"}, "": {"IInt8EntropyCalibrator2"}}
    assert ask("10.3.0", stand_ins, old)["missing"] == []
    assert ask("11.4.0.106", stand_ins, old)["missing"] == sorted(flat(old))
