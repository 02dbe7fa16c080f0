"""Options that several commands have, and the model that they name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from edge_app.live.model import ModelPlan
    from edge_app.settings import Settings

SOURCES = (
    "phantom:, v4l2:DEVICE, rtsp://HOST/..., udp://, tcp://, http://, screen:, igtl:HOST, gst:PIPELINE, file:PATH, "
    "dicom:PATH, folder:PATH or a path; docs/sources.md tells of each"
)
BundleOption = Annotated[
    Path | None,
    typer.Option(help="Directory of the model's bundle, or id of an imported one.", show_default="see bundle use"),
]
RuntimeOption = Annotated[
    str | None,
    typer.Option(
        help="What runs the model: onnxruntime, onnxruntime-cuda or -tensorrt, tensorrt, tensorrt-rtx or triton.",
        show_default="the best of this machine",
    ),
]
PrecisionOption = Annotated[
    str | None,
    typer.Option(help="fp32, fp16 or int8.", show_default="the best of the bundle"),
]
UrlOption = Annotated[
    str | None,
    typer.Option(
        "--triton-url", help="HOST:PORT of an inference server; grpcs://HOST:PORT for TLS.", show_default="none"
    ),
]
CaOption = Annotated[
    Path | None,
    typer.Option("--triton-ca", help="PEM file of the authority that the server's certificate is from; means TLS."),
]
FallbackOption = Annotated[
    str | None,
    typer.Option(
        help="Consent: onnxruntime reads here while the server is away, or where an engine failed its self-test.",
        show_default="nothing",
    ),
]
DomainOption = Annotated[
    bool | None,
    typer.Option(
        "--allow-out-of-domain", help="Show, marked, numbers of pictures unlike those the model was made for."
    ),
]
LocalizerOption = Annotated[
    str | None,
    typer.Option(
        help="Bundle that proposes the poles where no markers are seen, or off.", show_default="the shipped one"
    ),
]


def model_plan(settings: Settings) -> ModelPlan:
    """Return the model of the settings for one that reads every frame with all members."""
    from edge_app.live.model import ModelPlan

    return ModelPlan(
        bundle=settings.bundle,
        runtime=settings.runtime,
        precision=settings.precision,
        server=settings.server,
        fallback=settings.fallback,
        signatures=settings.signatures,
        asked=settings.asked,
    )
