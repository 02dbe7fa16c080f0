"""The two libraries of NVIDIA that build and run engines: what they are called, and how they are installed."""

from __future__ import annotations

from typing import Literal

RuntimeName = Literal["tensorrt", "tensorrt-rtx"]

MODULES: dict[RuntimeName, str] = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}
TITLES: dict[RuntimeName, str] = {"tensorrt": "TensorRT", "tensorrt-rtx": "TensorRT for RTX"}
CURES: dict[RuntimeName, str] = {
    "tensorrt": "pip install 'echogfr[tensorrt]', or offline `echogfr doctor --install-gpu FOLDER`, "
    "or on a Jetson install the python3-libnvinfer package of JetPack",
    "tensorrt-rtx": "pip install 'echogfr[rtx]', or offline `echogfr doctor --install-gpu FOLDER`",
}
