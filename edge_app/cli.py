"""The command line of ``echogfr``: its commands put together, and one sentence for what cannot be done.

Every heavy library is imported by the command that needs it.
"""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from edge_app.commands import bundles, exits, trust
from edge_app.commands.analyze import analyze
from edge_app.commands.deidentify import deidentify
from edge_app.commands.doctor import doctor
from edge_app.commands.phantom import phantom
from edge_app.commands.run import run
from edge_app.commands.sources import sources
from edge_app.commands.version import version as show_version
from engines.errors import EchoGFRError, UsageError

app = typer.Typer(
    name="echogfr",
    help="Live, image-derived eGFR estimate from a scanner's video output. Offline; research use only.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (deidentify, run, analyze, sources, phantom, show_version, doctor):
    app.command()(command)
app.add_typer(bundles.app, name="bundle")
app.add_typer(trust.app, name="trust")


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Say what is installed and what would run, and end.")
    ] = False,
) -> None:
    """Without a command: run the bedside app."""
    if version:
        show_version()
        raise typer.Exit
    if context.invoked_subcommand is None:
        run()


# What typer raises for a command line that it cannot read; it shows the class only through its children.
Misuse: Any = typer.BadParameter.__mro__[1]


def main() -> None:
    """Run the command line; a mistake of the user's is one sentence and exit code 2."""
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()  # a full disk behind it is said here
    except Misuse as error:
        code = _refuse(_misuse(error.ctx.command_path if error.ctx else "echogfr", error.format_message()))
    except EchoGFRError as error:
        code = _refuse(error)
    except ModuleNotFoundError as error:
        code = _refuse(_missing(error))
    except OSError as error:  # a device, a folder or the output itself that the system refuses
        code = _refuse(UsageError("EchoGFR cannot go on", str(error), "check the disk and the permissions"))
    except (KeyboardInterrupt, typer.Abort):
        code = exits.INTERRUPTED
    sys.exit(code)


def _refuse(error: EchoGFRError) -> int:
    print(error.sentence, file=sys.stderr)
    return exits.USAGE


def _misuse(command: str, said: str) -> UsageError:
    """Say in one sentence what typer says in a box."""
    because = " ".join(said.split()).rstrip(".")
    return UsageError(f"'{command}' cannot be run so", because[:1].lower() + because[1:], f"see {command} --help")


def _missing(error: ModuleNotFoundError) -> UsageError:
    """Say which library is missing; a part of our own that is missing is no mistake of the user's."""
    if error.name is None or error.name.split(".")[0] in {"edge_app", "engines"}:
        raise error
    return UsageError("EchoGFR cannot do this", f"{error.name} is not installed", "pip install echogfr")
