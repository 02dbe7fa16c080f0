"""``echogfr sources``: what can be read here."""

from __future__ import annotations

from typing import Annotated

import typer


def sources(
    others: Annotated[
        list[str] | None, typer.Argument(metavar="[SOURCE]...", help="Further sources to look at.", show_default=False)
    ] = None,
    look: Annotated[
        bool, typer.Option("--look", help="Show a small picture of each on the terminal; nothing is written.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a source, without pictures.")] = False,
    seconds: Annotated[float, typer.Option(min=0.5, max=60, help="For each source to give its first picture.")] = 8.0,
) -> None:
    """List what can be read here: grabbers, screens, the sources of the settings and those named, the phantom."""
    from edge_app.capture.probing import connected, probe_all
    from edge_app.progress import counted_progress
    from edge_app.settings import load_settings
    from edge_app.summary import print_sources, source_line

    settings = load_settings()
    with counted_progress("sources") as advance:
        here = connected(seconds)
        asked = [settings.source, *settings.sources, *(others or ()), "phantom:"]
        names = list(dict.fromkeys([*here, *asked]))
        probed = probe_all(names, seconds, advance, unasked=set(here).difference(asked))
        found = [one for one in probed if not one.useless]
    if as_json:
        for one in found:
            typer.echo(source_line(one))
    else:
        print_sources(found, look)
