"""Templates of reports and cards: HTML is escaped, a name that is not given is an error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.resources import files

import jinja2


def template(name: str, filters: Mapping[str, Callable[..., str]] | None = None) -> jinja2.Template:
    """Return a template of ``convert/templates``; it may include others and use ``filters`` by name."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_text),
        autoescape=jinja2.select_autoescape(("html.j2",)),
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(filters or {})
    return environment.get_template(name)


def _text(name: str) -> str:
    return (files("convert") / "templates" / name).read_text(encoding="utf-8")
