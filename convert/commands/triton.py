"""Command ``triton``: a bundle to a model repository for an inference server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast, get_args

import typer
from rich.markup import escape

from convert.commands.engines import this_machine
from convert.terminal import bars, boundary, out
from engines.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(triton)


def triton(
    bundle: Annotated[Path, typer.Argument(help="A bundle: the folder that holds manifest.json.")],
    target: Annotated[Path, typer.Option("--out", help="Where the model repository will lie.")],
    precision: Annotated[str, typer.Option(help="fp32, fp16 or int8.")] = "fp32",
    backend: Annotated[str, typer.Option(help="onnxruntime, or tensorrt with engines of the store.")] = "onnxruntime",
    instances: Annotated[int, typer.Option(min=1, max=64, help="Copies of the model that run side by side.")] = 1,
    max_batch: Annotated[int, typer.Option(min=1, max=64, help="Most crops in one run.")] = 8,
    delay_us: Annotated[int, typer.Option(min=0, max=100_000, help="How long a run waits for more crops, µs.")] = 2000,
    engines: Annotated[
        Path | None, typer.Option(help="The engine store; default: ECHOGFR_ENGINES or the cache.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a repository that exists.")] = False,
) -> None:
    """Write a model repository for NVIDIA Triton, so that several beds read on one GPU server."""
    with boundary("Cancelled: nothing was written."):
        from convert.triton import Backend, RepositoryPlan, write_repository
        from engines.localizer import open_reader
        from engines.manifest import Precision
        from engines.store import EngineStore, store_folder

        plan = RepositoryPlan(
            target=target.absolute(),
            precision=cast("Precision", _known("precision", precision, get_args(Precision))),
            backend=cast("Backend", _known("backend", backend, get_args(Backend))),
            instances=instances,
            max_batch=max_batch,
            delay_us=delay_us,
            force=force,
        )
        store = EngineStore((engines or store_folder()).absolute())
        opened = open_reader(bundle)
        with bars() as progress:
            names = write_repository(opened, plan, store, this_machine(), progress)
        mark = " SYNTHETIC" if opened.manifest.synthetic else ""
        kind = f"{names[0]}, an ensemble of {len(names) - 1}" if len(names) > 1 else names[0]
        out.print(escape(f"Written: {plan.target} ({kind}, {precision} on {backend}{mark})."), soft_wrap=True)
        asked = "" if precision == "fp32" else f" --precision {precision}"
        out.print(escape(f"Each bed: echogfr run --runtime triton --triton-url HOST:8001{asked}"), soft_wrap=True)


def _known(what: str, name: str, names: tuple[str, ...]) -> str:
    if name not in names:
        raise UsageError(
            f"The {what} '{name}' cannot be used", "there is none of that name", f"choose one of {', '.join(names)}"
        )
    return name
