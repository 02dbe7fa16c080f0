"""From a source's name to the source: phantom:, file:, dicom:, folder:, or a bare path."""

from __future__ import annotations

import re
from pathlib import Path

from edge_app.capture.base import FrameSource, SourceError

SCHEMES = ("phantom", "file", "dicom", "folder", "watch", "dicom-listen")
WITHOUT_PATH = ("phantom", "watch", "dicom-listen")
ENDLESS = ("watch", "dicom-listen")
FOREIGN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")  # as another program's sources are named; a drive has one letter
EXAMPLES = "write phantom:, file:PATH, dicom:PATH, folder:PATH, watch:PATH, dicom-listen:PORT or a path"


def open_source(uri: str, *, realtime: bool = False) -> FrameSource:
    """Return the source that ``uri`` names, not yet entered.

    Parameters
    ----------
    uri : str
        ``phantom:OPTIONS``, ``file:PATH`` (video or still), ``dicom:PATH``, ``folder:PATH``,
        ``watch:PATH`` (what appears in a folder), ``dicom-listen:[HOST:]PORT`` (what is sent here), or a bare
        path, whose kind is then found out.
    realtime : bool
        True: recorded sources give their frames at the speed at which they were recorded.

    Raises
    ------
    SourceError
        The name is not understood. What is wrong with the file itself is said on entering.
    """
    scheme, path = split(uri)
    if scheme == "phantom":
        from edge_app.capture.phantom import PhantomSource, parse_plan

        return PhantomSource(parse_plan(uri, realtime=realtime))
    if scheme == "watch":
        from edge_app.capture.watched import open_watch

        return open_watch(uri.partition(":")[2])
    if scheme == "dicom-listen":
        from edge_app.capture.dicom_receiver import open_receiver

        return open_receiver(uri.partition(":")[2])
    if scheme == "folder":
        from edge_app.capture.folder import FolderSource

        return FolderSource(path, realtime=realtime)
    if scheme == "dicom":
        from edge_app.capture.dicom import DicomSource

        return DicomSource(path, realtime=realtime)
    from edge_app.capture.video import StillSource, VideoSource, is_still

    return StillSource(path) if is_still(path) else VideoSource(path, realtime=realtime)


def endless(uri: str) -> bool:
    """Return whether the source that ``uri`` names never ends by itself."""
    scheme = split(uri)[0]
    if scheme != "phantom":
        return scheme in ENDLESS
    from edge_app.capture.phantom import parse_plan

    return parse_plan(uri).frames is None


def split(uri: str) -> tuple[str, Path]:
    """Return scheme and path of a source's name; a bare path gets its scheme from what lies there."""
    if not uri.strip() or "\0" in uri:
        raise SourceError("No source can be opened", "no name was given", EXAMPLES)
    scheme, colon, rest = uri.partition(":")
    if colon and scheme.lower() in SCHEMES:
        return scheme.lower(), _path(scheme.lower(), rest, uri)
    path = _expanded(uri)
    if colon and FOREIGN.match(uri) and not path.exists():
        raise SourceError(f"{uri} cannot be opened", f"{scheme}: is no source that this version knows", EXAMPLES)
    return _kind(path), path


def _path(scheme: str, rest: str, uri: str) -> Path:
    if scheme in WITHOUT_PATH:
        return Path()
    if not rest:
        raise SourceError(f"{uri} cannot be opened", "it names no path", EXAMPLES)
    return _expanded(rest[2:] if rest.startswith("///") else rest)


def _expanded(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:  # "~x" of nobody on this machine: then it is the name of a file
        return Path(path)


def _kind(path: Path) -> str:
    from edge_app.capture.dicom import looks_like_dicom

    if path.is_dir():
        return "folder"
    return "dicom" if looks_like_dicom(path) else "file"
