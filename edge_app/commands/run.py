"""``echogfr run``, and ``echogfr`` alone: the bedside window."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_app.commands.options import (
    SOURCES,
    BundleOption,
    CaOption,
    DomainOption,
    FallbackOption,
    LocalizerOption,
    PrecisionOption,
    RuntimeOption,
    UrlOption,
)

if TYPE_CHECKING:
    from edge_app.settings import Settings

SourceOption = Annotated[
    str | None,
    typer.Option(help=SOURCES, show_default="phantom:"),
]
RotateOption = Annotated[
    str | None,
    typer.Option(
        help="Members take turns while the picture is live: auto (where all at once are slow), on or off.",
        show_default="auto",
    ),
]
FullscreenOption = Annotated[bool | None, typer.Option("--fullscreen", help="Fill the screen.")]
SecondsOption = Annotated[
    float | None,
    typer.Option(help="Run so long without a display, then save a picture of the window."),
]
ScreenshotOption = Annotated[Path | None, typer.Option(help="Where that picture goes.")]


def run(
    source: SourceOption = None,
    bundle: BundleOption = None,
    runtime: RuntimeOption = None,
    precision: PrecisionOption = None,
    triton_url: UrlOption = None,
    triton_ca: CaOption = None,
    fallback: FallbackOption = None,
    allow_out_of_domain: DomainOption = None,
    rotate: RotateOption = None,
    localizer: LocalizerOption = None,
    fullscreen: FullscreenOption = None,
    offscreen_seconds: SecondsOption = None,
    screenshot: ScreenshotOption = None,
) -> None:
    """Open the bedside window: the scanner's picture and the readout."""
    from edge_app.settings import load_settings

    settings = load_settings(
        source=source,
        bundle=bundle,
        runtime=runtime,
        precision=precision,
        triton_url=triton_url,
        triton_ca=triton_ca,
        fallback=fallback,
        allow_out_of_domain=allow_out_of_domain,
        rotate=rotate,
        localizer=localizer,
        fullscreen=fullscreen,
        offscreen_seconds=offscreen_seconds,
    )
    raise typer.Exit(_open_window(settings, screenshot))


def _open_window(settings: Settings, screenshot: Path | None) -> int:
    from edge_app import app as window
    from edge_app.log import log_folder

    options = window.RunOptions(
        source=settings.source,
        bundle=settings.bundle,
        signatures=settings.signatures,
        runtime=settings.runtime,
        precision=settings.precision,
        server=settings.server,
        fallback=settings.fallback,
        allow_out_of_domain=settings.allow_out_of_domain,
        rotate=settings.rotate,
        quality=settings.quality,
        localizer=settings.localizer,
        fullscreen=settings.fullscreen,
        offscreen_seconds=settings.offscreen_seconds,
        screenshot=screenshot,
        asked=settings.asked,
        logs=log_folder(),
    )
    return window.run(options)
