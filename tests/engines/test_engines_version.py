from __future__ import annotations

import platform
from importlib.metadata import version

from engines.version import installed_version, program_version, version_lines


def test_the_lines_name_the_program_the_system_and_the_libraries() -> None:
    lines = version_lines()
    assert lines[0] == f"EchoGFR {program_version()}"
    assert platform.python_version() in lines[1]
    assert f"onnxruntime {version('onnxruntime')}" in lines


def test_a_library_that_is_absent_is_said_to_be() -> None:
    assert installed_version("echogfr-no-such-library") is None
    assert version_lines(["echogfr-no-such-library"])[-1] == "echogfr-no-such-library not installed"
