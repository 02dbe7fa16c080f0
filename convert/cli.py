"""The command line ``echogfr-convert``: arguments to a plan, errors to one sentence, nothing else."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from convert.commands import calibration as calibration_command
from convert.commands import engines as engines_commands
from convert.commands import evaluate as evaluate_command
from convert.commands import kuo2019 as kuo2019_command
from convert.commands import localizer as localizer_command
from convert.commands import model as model_command
from convert.commands import signing as signing_commands
from convert.commands import triton as triton_command
from convert.extras import convert_libraries
from convert.plan import BuildPlan, TrainingPlan, choose_artifacts
from convert.terminal import CANCELLED, USER_ERROR, bars, boundary, err, out
from engines.errors import EchoGFRError, UsageError

DEFAULTS = TrainingPlan()

app = typer.Typer(
    name="echogfr-convert",
    help="Turn trained models into bundles, and prove in clinical units that nothing was lost.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
for commands in (
    kuo2019_command,
    model_command,
    localizer_command,
    calibration_command,
    evaluate_command,
    engines_commands,
    triton_command,
    signing_commands,
):
    commands.register(app)

Bundle = Annotated[Path, typer.Argument(help="A bundle: the folder that holds manifest.json.")]
DataSet = Annotated[Path, typer.Argument(help="A data set: the folder that holds labels.csv and crops/.")]


# What typer raises for a command line that it cannot read; it shows the class only through its children.
Misuse: Any = typer.BadParameter.__mro__[1]


def main() -> None:
    """Run the command line; a mistake of the user's is one sentence and exit code 2."""
    try:
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
        sys.stdout.flush()  # a full disk behind it is said here
    except Misuse as error:
        code = _refuse(_misuse(error.ctx.command_path if error.ctx else "echogfr-convert", error.format_message()))
    except OSError as error:  # a disk that is full, a folder that is read-only
        code = _refuse(UsageError("The command cannot go on", _cause(error), "check the disk and the permissions"))
    except (KeyboardInterrupt, typer.Abort):
        code = CANCELLED
    sys.exit(code)


def _cause(error: OSError) -> str:
    """Return what the system says, without its number."""
    where = f" ({error.filename})" if error.filename else ""
    return f"{(error.strerror or str(error)).lower()}{where}"


def _refuse(error: EchoGFRError) -> int:
    print(error.sentence, file=sys.stderr)
    return USER_ERROR


def _misuse(command: str, said: str) -> UsageError:
    """Say in one sentence what typer says in a box."""
    because = (
        " ".join(said.replace("Value error, ", "").split()).rstrip(".?").replace(". Did you mean ", ", did you mean ")
    )
    return UsageError(f"'{command}' cannot be run so", because[:1].lower() + because[1:], f"see {command} --help")


@app.command()
def standin(
    dataset: DataSet,
    target: Annotated[Path, typer.Option("--out", help="Where the bundle will lie.")],
    members: Annotated[int, typer.Option(help="Networks in the ensemble.")] = DEFAULTS.members,
    epochs: Annotated[int, typer.Option(help="Epochs of each member.")] = DEFAULTS.epochs,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same data: same weights.")] = DEFAULTS.seed,
    work: Annotated[Path | None, typer.Option(help="Keeps finished members; default: beside the bundle.")] = None,
    without: Annotated[list[str] | None, typer.Option(help="Leave out fp16, int8-cpu or int8-tensorrt.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a bundle that exists.")] = False,
) -> None:
    """Train the SYNTHETIC stand-in on a phantom data set and write its bundle."""
    with boundary(), convert_libraries("The stand-in cannot be trained"):
        from convert.standin import build_standin

        target = target.absolute()
        _require_room(target.parent)
        plan = BuildPlan(
            dataset=dataset,
            bundle=target,
            work=work or target.parent / f"{target.name}.work",
            force=force,
            training=TrainingPlan(members=members, epochs=epochs, seed=seed),
            artifacts=choose_artifacts(without or []),
        )
        try:
            with bars() as progress:
                manifest = build_standin(plan, progress)
        except KeyboardInterrupt:
            err.print(f"Cancelled: {target} is as it was; finished members are kept in {plan.work}.")
            raise typer.Exit(CANCELLED) from None
        out.print(f"Written: {target} ({manifest.title}, {len(manifest.artifacts)} artifacts).")
    inspect(target)


@app.command()
def inspect(bundle: Bundle) -> None:
    """Show all that a bundle holds, after verifying every file of it."""
    with boundary():
        from convert.overview import overview
        from engines.bundle import open_bundle

        out.print(overview(open_bundle(bundle)))


@app.command()
def parity(
    bundle: Bundle,
    dataset: DataSet,
    seed: Annotated[int, typer.Option(min=0, help="Draws the one crop a patient.")] = DEFAULTS.seed,
) -> None:
    """Compare a bundle's artifacts with fp32 again, on the test split of a data set."""
    with boundary(), convert_libraries("The parity cannot be measured"):
        from convert.dataset import read_table
        from convert.overview import parity_table
        from convert.recheck import recheck, told
        from engines.localizer import open_reader

        opened, table = open_reader(bundle), read_table(dataset).split("test")
        with bars() as progress:
            found = recheck(opened, table, seed, progress)
        out.print(parity_table(found.parity))
        out.print(f"{told(found)}; SYNTHETIC: {opened.manifest.synthetic}")
        if not all(row.passed for row in found.parity):
            raise typer.Exit(1)


def _require_room(folder: Path) -> None:
    """Refuse before hours of training a folder that the bundle could not be written to."""
    if folder.is_dir() and not os.access(folder, os.W_OK):
        raise UsageError("The bundle cannot be written", f"the folder {folder} is read-only", "choose another place")
