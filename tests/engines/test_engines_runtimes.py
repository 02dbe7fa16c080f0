from __future__ import annotations

import sys
from pathlib import Path

import pytest

from engines.cpu import Cpu, parse_cpuinfo, physical_cores, read_cpu
from engines.errors import RuntimeUnavailableError
from engines.gpu import Gpu, NoDriverError, NoGpuError
from engines.runtime import Availability
from engines.runtimes import available, select

VNNI = Cpu("new", frozenset({"avx2", "avx512_vnni"}), 8)
OLD = Cpu("old", frozenset({"avx2"}), 4)
ALL = {("fp32", "any"): {}, ("fp16", "cpu"): {"doc": "half"}, ("int8", "cpu"): {"doc": "eight"}}
PASSED = (("int8", "cpu", True), ("fp16", "cpu", True))


@pytest.fixture
def whole(make_bundle):
    return make_bundle(graphs=ALL, parity=PASSED)


@pytest.mark.parametrize("flag", ["avx512_vnni", "avx_vnni", "amx_int8", "asimddp"])
def test_int8_is_chosen_where_the_cpu_has_8_bit_dot_products(whole, flag: str) -> None:
    selection = select(whole, cpu=Cpu("new", frozenset({flag}), 8))
    assert selection.precision == "int8"
    assert flag in selection.explain()


def test_fp32_is_chosen_on_an_older_cpu_and_the_table_says_why(whole) -> None:
    selection = select(whole, cpu=OLD)
    assert (selection.runtime.name, selection.precision) == ("onnxruntime", "fp32")
    rows = {(row[0], row[1]): row[2:] for row in selection.table()}
    assert rows["onnxruntime", "int8"][0] == "passed over" and "VNNI" in rows["onnxruntime", "int8"][1]
    assert rows["onnxruntime", "fp32"][0] == "chosen"
    assert rows["onnxruntime", "fp16"][0] == "passed over"
    assert "\n" not in selection.explain()


def test_int8_that_failed_its_parity_is_never_chosen(make_bundle) -> None:
    bundle = make_bundle(graphs=ALL, parity=(("int8", "cpu", False), ("fp16", "cpu", True)))
    selection = select(bundle, cpu=VNNI)
    assert selection.precision == "fp32"
    reasons = [row[3] for row in selection.table() if row[1] == "int8"]
    assert reasons == ["its parity with fp32 failed (egfr p99 is 4.2 where 1.0 is allowed)"]
    with pytest.raises(RuntimeUnavailableError, match="its parity with fp32 failed"):
        select(bundle, precision="int8", cpu=VNNI)


def test_int8_whose_parity_was_measured_for_another_family_is_never_chosen(make_bundle) -> None:
    bundle = make_bundle(graphs=ALL, parity=(("int8", "tensorrt", True),))
    assert select(bundle, cpu=VNNI).precision == "fp32"
    with pytest.raises(RuntimeUnavailableError, match="never measured"):
        select(bundle, precision="int8", cpu=VNNI)


def test_a_request_is_honoured(whole) -> None:
    assert select(whole, precision="fp16", cpu=VNNI).precision == "fp16"
    assert select(whole, precision="int8", cpu=OLD).precision == "int8"
    assert select(whole, "onnxruntime", "fp32", VNNI).explain() == "onnxruntime fp32: asked for"


def test_a_bundle_without_int8_runs_at_fp32(bundle) -> None:
    selection = select(bundle, cpu=VNNI)
    assert selection.precision == "fp32"
    with selection.open() as session:
        assert session.info.precision == "fp32"


def test_members_in_separate_artifacts_are_chosen_together(make_bundle) -> None:
    apart = (("int8", "cpu"),)
    bundle = make_bundle(graphs=ALL, parity=PASSED, apart=apart)
    selection = select(bundle, cpu=VNNI)
    assert [(a.precision, a.member) for a in selection.artifacts] == [("int8", 0), ("int8", 1), ("int8", 2)]
    assert select(bundle, cpu=OLD).artifacts == bundle.manifest.artifacts[:1]
    failed = make_bundle(graphs=ALL, parity=(("int8", "cpu", False),), apart=apart)
    assert select(failed, cpu=VNNI).precision == "fp32"


def test_a_precision_that_the_bundle_does_not_hold_is_refused(bundle) -> None:
    with pytest.raises(RuntimeUnavailableError, match="onnxruntime int8: the bundle has no int8 artifact"):
        select(bundle, "onnxruntime", "int8", VNNI)


@pytest.mark.parametrize(
    ("runtime", "precision", "told"),
    [("openvino", None, "one of tensorrt, tensorrt-rtx, onnxruntime"), (None, "int4", "one of int8, fp16, fp32")],
)
def test_an_unknown_name_lists_those_there_are(bundle, runtime, precision, told: str) -> None:
    with pytest.raises(RuntimeUnavailableError, match=told):
        select(bundle, runtime, precision)


def test_tensorrt_is_listed_with_its_reason_and_never_opened(bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    found = dict(available())["tensorrt"]
    assert found.state == "absent"
    assert found.detail.startswith("the TensorRT library is not installed (pip install 'echogfr[tensorrt]'")
    with pytest.raises(RuntimeUnavailableError, match="tensorrt: the TensorRT library is not installed"):
        select(bundle, "tensorrt")
    row = select(bundle, cpu=VNNI).table()[0]
    assert row == ("tensorrt", "any", "unavailable", found.detail)


def test_an_installed_tensorrt_is_told_from_an_absent_one(bundle, tmp_path: Path, monkeypatch) -> None:
    """Where there is no driver, it is not even imported."""
    (tmp_path / "tensorrt.py").write_text("raise RuntimeError('must not be imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)

    def no_driver() -> Gpu:
        raise NoDriverError("the NVIDIA driver is not installed")

    def no_gpu() -> Gpu:
        raise NoGpuError("the NVIDIA driver sees no GPU (CUDA error 100)")

    monkeypatch.setattr("engines._tensorrt.read_gpu", no_driver)
    assert dict(available())["tensorrt"].state == "absent"
    with pytest.raises(RuntimeUnavailableError, match="TensorRT is installed, but the NVIDIA driver is not installed"):
        select(bundle, "tensorrt")
    monkeypatch.setattr("engines._tensorrt.read_gpu", no_gpu)
    assert dict(available())["tensorrt"].state == "broken"
    monkeypatch.setattr("engines._tensorrt.read_gpu", lambda: Gpu("Orin", "8.7", 8, "540"))
    assert dict(available())["tensorrt"] == Availability(
        "broken",
        "TensorRT cannot be loaded (must not be imported) (pip install 'echogfr[tensorrt]', "
        "or offline `echogfr doctor --install-gpu FOLDER`, "
        "or on a Jetson install the python3-libnvinfer package of JetPack)",
    )


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (ModuleNotFoundError("No module named 'onnxruntime'", name="onnxruntime"), "absent"),
        (ModuleNotFoundError("No module named 'flatbuffers'", name="flatbuffers"), "broken"),
        (ImportError("libonnxruntime.so: wrong ELF class"), "broken"),
        (OSError("cannot map file"), "broken"),
    ],
)
def test_a_broken_library_is_told_from_an_absent_one(bundle, monkeypatch, error: Exception, state: str) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr("engines._onnxruntime.load_library", fail)
    assert dict(available())["onnxruntime"].state == state
    with pytest.raises(RuntimeUnavailableError, match="ONNX Runtime is"):
        select(bundle)


def test_cpuinfo_of_an_x86_and_an_arm_machine() -> None:
    x86 = "processor\t: 0\nmodel name\t: Xeon\nflags\t\t: fpu avx2 avx512_vnni\n\nprocessor\t: 1\nflags\t\t: fpu\n"
    assert parse_cpuinfo(x86) == ("Xeon", frozenset({"fpu", "avx2", "avx512_vnni"}))
    arm = "processor\t: 0\nFeatures\t: fp asimd asimddp\nCPU part\t: 0xd42\n"
    assert parse_cpuinfo(arm) == ("", frozenset({"fp", "asimd", "asimddp"}))
    assert Cpu(*parse_cpuinfo(arm), 8).int8_flag == "asimddp"
    assert parse_cpuinfo("") == ("", frozenset())


def test_threads_of_one_core_count_once(tmp_path: Path) -> None:
    for cpu, siblings in enumerate(("0,2", "1,3", "0,2", "1,3")):
        (tmp_path / f"cpu{cpu}" / "topology").mkdir(parents=True)
        (tmp_path / f"cpu{cpu}" / "topology" / "thread_siblings_list").write_text(siblings + "\n")
    assert physical_cores(tmp_path, (0, 1, 2, 3)) == 2
    assert physical_cores(tmp_path, (0, 2)) == 1
    assert physical_cores(tmp_path / "nothing", (0, 1)) == 2


def test_this_machine_has_a_cpu() -> None:
    cpu = read_cpu()
    assert cpu.name and cpu.cores >= 1
