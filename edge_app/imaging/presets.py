"""Presets: what the operator set right on a screen's layout, kept in a small file and found again by fingerprint."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from edge_app.atomic import replacing
from edge_app.imaging.layout import alike
from edge_app.imaging.nudge import Nudge
from engines.errors import UsageError

MOST = 64  # layouts; the one that was set longest ago goes first


class Preset(BaseModel):
    """What was set on one layout."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layout: str
    nudge: Nudge


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    presets: tuple[Preset, ...] = ()


class Presets:
    """The presets of this machine; newest first.

    Parameters
    ----------
    path : Path or None
        Where they are kept; None: nowhere, they last as long as this object.
    problem : str or None
        Why they are kept nowhere, a sentence for the operator.
    """

    def __init__(self, path: Path | None = None, problem: str | None = None) -> None:
        self.problem = problem
        self._path = path
        self._known = () if path is None else _read(path)

    def find(self, layout: str | None) -> Preset | None:
        """Return what was set on this layout, or None."""
        if layout is None:
            return None
        return next((preset for preset in self._known if alike(preset.layout, layout)), None)

    def keep(self, layout: str, nudge: Nudge | None) -> None:
        """Keep ``nudge`` for this layout, or forget what was kept where it is None.

        Raises
        ------
        UsageError
            The file cannot be written; what was set holds until the end all the same.
        """
        others = tuple(preset for preset in self._known if not alike(preset.layout, layout))
        kept = () if nudge is None else (Preset(layout=layout, nudge=nudge),)
        self._known = (*kept, *others)[:MOST]
        if self._path is not None:
            _write(self._path, _File(presets=self._known))


def _read(path: Path) -> tuple[Preset, ...]:
    """Return what a file holds.

    Raises
    ------
    UsageError
        It is no file of presets.
    """
    try:
        return _File.model_validate_json(path.read_bytes()).presets
    except FileNotFoundError:
        return ()
    except (ValidationError, OSError) as error:
        because = "it is no file of presets" if isinstance(error, ValidationError) else str(error.strerror).lower()
        raise UsageError(f"{path} cannot be read", because, "remove it, and set the image's place anew") from error


def _write(path: Path, file: _File) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        cause = str(error.strerror).lower()
        raise UsageError(f"{path.parent} cannot be made", cause, "choose another place for settings") from error
    with replacing(path) as draft:
        draft.write_text(file.model_dump_json(indent=1), encoding="utf-8")
