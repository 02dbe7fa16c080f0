"""Writes the man pages of both commands from the help that they print themselves.

Run: ``python packaging/manpages.py FOLDER`` where EchoGFR is installed; FOLDER gets ``echogfr.1`` and
``echogfr-convert.1``.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FILES = {
    "echogfr": """
.TP
.I ~/.config/echogfr/settings.toml
What the app is started with where no option and no ECHOGFR_* of the environment says it. Read, never written.
.TP
.I ~/.config/echogfr/layouts.json
What was set right by hand on the layouts of scanners.
.TP
.I ~/.config/echogfr/trust
Public keys whose signatures count.
.TP
.I ~/.local/share/echogfr/bundles
Imported bundles.
.TP
.I ~/.local/share/echogfr/gpu
NVIDIA's libraries, where this user installed them; root's lie in /var/lib/echogfr/gpu (ECHOGFR_GPU_ADDON names
another place).
.TP
.I ~/.cache/echogfr/engines
Engines that were built on this machine (ECHOGFR_ENGINES names another place).
.TP
.I ~/.local/state/echogfr/log
Small rotating logs, without patients and without names of sources (ECHOGFR_LOGS).
""",
    "echogfr-convert": """
.TP
.I ~/.cache/echogfr/engines
Engines that were built on this machine (ECHOGFR_ENGINES names another place).
""",
}
ONE_LINE = {
    "echogfr": "live, image-derived eGFR readout from an ultrasound scanner's video",
    "echogfr-convert": "trained models to bundles, and bundles to engines, for EchoGFR",
}
OTHER = {"echogfr": "echogfr-convert", "echogfr-convert": "echogfr"}
EXIT = """
0: done. 1: something needed is missing, or no number came. 2: a mistake, said in one sentence on standard error.
130: ended by Ctrl-C.
"""
Command = Any  # typer brings its parser with it, under a name that changes


def main(folder: Path) -> None:
    """Write both pages."""
    from typer.main import get_command

    from convert.cli import app as convert
    from edge_app.cli import app

    folder.mkdir(parents=True, exist_ok=True)
    for name, command in (("echogfr", get_command(app)), ("echogfr-convert", get_command(convert))):
        (folder / f"{name}.1").write_text("\n".join(page(name, command)) + "\n", encoding="utf-8")


def page(name: str, command: Command) -> Iterator[str]:
    """Return the lines of one page."""
    from engines.version import program_version

    day = time.strftime("%Y-%m-%d", time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())))
    yield f'.TH {name.upper()} 1 {day} "EchoGFR {program_version()}" "EchoGFR"'
    yield from (".SH NAME", f"{name} \\- {escaped(ONE_LINE[name])}", ".SH SYNOPSIS")
    yield from (f".B {name}", r"[\fIOPTION\fR]... [\fICOMMAND\fR [\fIARGUMENT\fR]...]", ".SH DESCRIPTION")
    yield escaped(command.help or "")
    yield from options(command)
    yield ".SH COMMANDS"
    for words, one in commands(command):
        yield from entry(words, one)
    yield from (".SH EXIT STATUS", escaped(EXIT), ".SH FILES", FILES[name].strip().replace("-", "\\-"))
    yield from (".SH SEE ALSO", f".BR {OTHER[name]} (1),", ".I /usr/share/doc/echogfr")


def commands(group: Command, before: str = "") -> Iterator[tuple[str, Command]]:
    """Return every command that does something, with the words it is called by."""
    for name, one in group.commands.items():
        words = f"{before} {name}".strip()
        if hasattr(one, "commands"):
            yield from commands(one, words)
        elif not one.hidden:
            yield words, one


def entry(words: str, command: Command) -> Iterator[str]:
    """Return a command: what it is called with, what it does, its options."""
    arguments = " ".join(argument(one) for one in command.params if one.param_type_name == "argument")
    yield f'.SS "{escaped(f"{words} {arguments}")}"'
    yield escaped(command.help or "")
    for one in command.params:
        if one.param_type_name == "argument" and getattr(one, "help", None):
            yield from (".TP", f".I {escaped(argument(one))}", told(one))
    yield from options(command)


def argument(one: Command) -> str:
    """Return how an argument is written."""
    shown = one.metavar or one.name.upper()
    return shown if one.required or shown.startswith("[") else f"[{shown}]"


def options(command: Command) -> Iterator[str]:
    """Return the options of a command."""
    for one in command.params:
        if one.param_type_name == "option" and not one.hidden:
            value = "" if one.is_flag else f" \\fI{escaped(one.metavar or one.name.upper())}\\fR"
            names = ", ".join(f"\\fB{escaped(name)}\\fR" for name in (*one.opts, *one.secondary_opts))
            yield from (".TP", f"{names}{value}", told(one))


def told(one: Command) -> str:
    """Return what an option or argument does, and what it is where it is not given."""
    text = (one.help or "").rstrip(".") + "." * bool(one.help)
    unsaid = one.show_default if isinstance(one.show_default, str) else getattr(one.default, "value", one.default)
    if isinstance(unsaid, str) or (isinstance(unsaid, (int, float)) and not isinstance(unsaid, bool)):
        text += f" Default: {unsaid}."
    return escaped(text + (" Required." if one.required and one.param_type_name == "option" else ""))


def escaped(text: str) -> str:
    """Return text as roff takes it: no sign of it is a command."""
    lines = re.sub(r"[ \t]+", " ", text.replace("\\", "\\e").replace("-", "\\-")).strip().splitlines()
    return "\n".join(
        f"\\&{line.strip()}" if line.strip()[:1] in (".", "'") else line.strip() or ".PP" for line in lines
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
