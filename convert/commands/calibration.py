"""``echogfr-convert calibration``: from pictures, frames and videos to one calibration set, and what is in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from convert.commands.kuo2019 import Mode
from convert.terminal import bars, boundary, out
from engines.errors import UsageError

if TYPE_CHECKING:
    from convert.crops import Crops


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(calibration)


def calibration(
    sources: Annotated[
        list[Path], typer.Argument(metavar="SOURCE...", help="Pictures, labels.csv, videos with reports, or a set.")
    ],
    target: Annotated[Path | None, typer.Option("--out", help="Where the set will lie.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Only count and verify a set that was collected.")] = False,
    crop_mode: Annotated[Mode, typer.Option(help="How crops are cut, as the model's bundle will say.")] = Mode.square,
    crop_factor: Annotated[float, typer.Option(min=0.51, max=1.99, help="Scale of the crop.")] = 1.0,
    size: Annotated[int, typer.Option(min=32, max=1024, help="Side of what the model reads, pixels.")] = 224,
    every: Annotated[float, typer.Option(min=0.0, help="Least seconds between two crops of one video.")] = 0.5,
    label: Annotated[
        list[str] | None, typer.Option(help="Carry this further column of the tables; may be given again.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="Write who p0001 is to this file; without it nobody can tell.")
    ] = None,
    without_ocr: Annotated[
        bool, typer.Option("--without-ocr", help="Consent to crops in which words were not looked for.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a set that exists.")] = False,
) -> None:
    """Collect crops of your own scanner to one set, or check one; patients are renamed, nothing leaves the machine."""
    with boundary("Cancelled: nothing was written."):
        if check:
            _check(sources, target)
            return
        if target is None:
            raise UsageError(
                "The calibration set cannot be collected",
                "no place for it is given",
                "add --out SET, or --check to look at a set",
            )
        from convert.crops.collect import CollectPlan, collect
        from convert.crops.door import open_door
        from convert.crops.gather import Wish
        from engines.manifest import InputSpec

        spec = InputSpec(name="crops", height=size, width=size, crop_mode=crop_mode.value, crop_factor=crop_factor)
        columns = tuple(name.strip().lower() for name in label or ())
        with bars() as progress, open_door(reads=not without_ocr) as door:
            wish = Wish(spec, columns=columns, every_s=every, door=door)
            crops = collect(CollectPlan(tuple(sources), target.absolute(), wish, key, force), progress)
        _show(crops)
        _say(f"Written: {target} ({crops.sha256[:16]})." + (f" Who is who: {key}." if key else ""))


def _check(sources: list[Path], target: Path | None) -> None:
    if len(sources) > 1 or target is not None:
        raise UsageError(
            "The set cannot be checked", "--check looks at one set and writes nothing", "name one set only"
        )
    from convert.crops.collect import check

    with bars() as progress:
        stored, crops = check(sources[0], progress)
    _show(crops)
    _say(f"Its hashes are right: crops {stored.sha256[:16]}, cut {stored.cut}, by {stored.tool}.")


def _show(crops: Crops) -> None:
    from convert.crops.table import counts_table

    out.print(counts_table(crops.counts))
    held, apart = int(crops.held.sum()), crops.apart
    _say(f"A conversion would keep {held} crops of whole patients apart for parity." if apart else "")
    if crops.simulated:
        _say("SYNTHETIC: these pictures are the phantom's; their labels are not read.")
    for remark in crops.remarks:
        _say(f"Note: {remark}")


def _say(text: str) -> None:
    if text:
        out.print(text, soft_wrap=True, markup=False, highlight=False)
