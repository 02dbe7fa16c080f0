"""Naming the GPU: by the driver's library where there is one, a reason where there is none."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from engines.gpu import NoGpuError, current_context, drop_context, read_gpu

DRIVER = """
#include <string.h>
int cuInit(unsigned flags) { return %(init)d; }
int cuDeviceGet(int *device, int ordinal) { *device = 7; return ordinal ? 101 : 0; }
int cuDriverGetVersion(int *version) { *version = 12060; return 0; }
int cuDeviceGetName(char *name, int length, int device) { strncpy(name, "Orin", length); return device != 7; }
static long depth = 2;
int cuCtxGetCurrent(void **context) { *context = (void *)depth; return 0; }
int cuCtxPopCurrent_v2(void **context) { *context = (void *)depth--; return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
  *value = attribute == 16 ? 8 : attribute == 75 ? 8 : attribute == 76 ? 7 : -1;
  return device != 7;
}
"""


def driver(folder: Path, init: int) -> str:
    """Compile a library with the driver's interface: the calls are real, the GPU is not."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler here to make a stand-in for the driver's library with")
    source, library = folder / "driver.c", folder / f"libdriver{init}.so"
    source.write_text(DRIVER % {"init": init})
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    return str(library)


def test_a_gpu_is_named_with_all_that_an_engine_depends_on(tmp_path: Path) -> None:
    gpu = read_gpu(library=driver(tmp_path, init=0))
    assert (gpu.name, gpu.compute_capability, gpu.multiprocessors) == ("Orin", "8.7", 8)
    assert gpu.driver.endswith("CUDA 12.6")


def test_a_context_that_was_left_on_the_thread_is_let_go_of_once(tmp_path: Path) -> None:
    library = driver(tmp_path, init=0)
    assert current_context(library) == 2
    drop_context(library)
    assert current_context(library) == 1


def test_without_a_driver_no_context_is_current_and_letting_go_does_nothing() -> None:
    drop_context("libno-such-driver.so.1")
    assert current_context("libno-such-driver.so.1") == 0


def test_a_driver_without_a_gpu_gives_its_code(tmp_path: Path) -> None:
    with pytest.raises(NoGpuError, match=r"no GPU \(CUDA error 100\)"):
        read_gpu(library=driver(tmp_path, init=100))


def test_a_gpu_that_is_not_there_is_no_gpu(tmp_path: Path) -> None:
    with pytest.raises(NoGpuError, match="101"):
        read_gpu(1, library=driver(tmp_path, init=0))


def test_without_a_driver_there_is_a_reason() -> None:
    with pytest.raises(NoGpuError, match="driver is not installed"):
        read_gpu(library="libno-such-driver.so.1")


def test_a_library_that_is_no_driver_is_told_so() -> None:
    with pytest.raises(NoGpuError, match="has no cuInit"):
        read_gpu(library="libc.so.6")
