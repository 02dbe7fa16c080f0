"""From a source's name to the source: ``phantom:``, ``v4l2:``, ``rtsp://...``, or a bare path."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from edge_app.capture.base import FrameSource, SourceError
from edge_app.capture.naming import shown
from edge_app.capture.stream import SCHEMES as STREAMS
from edge_app.capture.stream import StreamSource

PATHS = ("file", "dicom", "folder")  # what follows is a path
FOREIGN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")  # as another program's sources are named; a drive has one letter
EXAMPLES = (
    "write phantom:, v4l2:DEVICE, rtsp://HOST/..., screen:, igtl:HOST, gst:PIPELINE, file:PATH, dicom:PATH, "
    "folder:PATH or a path; docs/sources.md tells of each"
)


def open_source(uri: str, *, realtime: bool = False) -> FrameSource:
    """Return the source that ``uri`` names, not yet entered.

    Parameters
    ----------
    uri : str
        A scheme and what it takes (``docs/sources.md`` has the table), or a bare path, whose kind is then found out.
    realtime : bool
        True: recorded sources give their frames at the speed at which they were recorded.

    Raises
    ------
    SourceError
        The name is not understood. What is wrong with the file or device itself is said on entering.
    """
    scheme, rest = _split(uri)
    if scheme in STREAMS:
        return StreamSource(f"{scheme}:{rest}", realtime=realtime)
    return _OPENERS[scheme](rest, realtime)


def endless(uri: str) -> bool:
    """Return whether the source that ``uri`` names never ends by itself."""
    scheme, rest = _split(uri)
    if scheme != "phantom":
        return scheme not in PATHS
    from edge_app.capture.phantom import parse_plan

    return parse_plan(f"phantom:{rest}").frames is None


def split(uri: str) -> tuple[str, Path]:
    """Return scheme and path of a source's name; a bare path gets its scheme from what lies there.

    The path of a source that is no path is empty.
    """
    scheme, rest = _split(uri)
    return scheme, Path(rest) if scheme in PATHS else Path()


def _split(uri: str) -> tuple[str, str]:
    """Return scheme and what follows it; the path of a source on disk, expanded."""
    if not uri.strip() or "\0" in uri:
        raise SourceError("No source can be opened", "no name was given", EXAMPLES)
    scheme, colon, rest = uri.partition(":")
    scheme = scheme.lower()
    if colon and scheme in PATHS:
        return scheme, _path(rest, uri)
    if colon and scheme == "stream" and not rest.lower().startswith("stream:"):
        return _split(rest)
    if colon and (scheme in _OPENERS or (scheme in STREAMS and rest.startswith("//"))):
        return scheme, rest
    path = _expanded(uri)
    if colon and FOREIGN.match(uri) and not path.exists():
        what = f"{shown(uri)} cannot be opened"
        raise SourceError(what, f"{scheme}: is no source that this version knows", EXAMPLES)
    return _kind(path), str(path)


def _path(rest: str, uri: str) -> str:
    if not rest:
        raise SourceError(f"{uri} cannot be opened", "it names no path", EXAMPLES)
    return str(_expanded(rest[2:] if rest.startswith("///") else rest))


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


def _phantom(options: str, realtime: bool) -> FrameSource:
    from edge_app.capture.phantom import PhantomSource, parse_plan

    return PhantomSource(parse_plan(f"phantom:{options}", realtime=realtime))


def _file(path: str, realtime: bool) -> FrameSource:
    from edge_app.capture.video import StillSource, VideoSource, is_still

    return StillSource(Path(path)) if is_still(Path(path)) else VideoSource(Path(path), realtime=realtime)


def _dicom(path: str, realtime: bool) -> FrameSource:
    from edge_app.capture.dicom import DicomSource

    return DicomSource(Path(path), realtime=realtime)


def _folder(path: str, realtime: bool) -> FrameSource:
    from edge_app.capture.folder import FolderSource

    return FolderSource(Path(path), realtime=realtime)


def _screen(asked: str, realtime: bool) -> FrameSource:
    from edge_app.capture.screen import ScreenSource

    return ScreenSource(asked)


def _igtl(asked: str, realtime: bool) -> FrameSource:
    from edge_app.capture.openigtlink import IgtlSource

    return IgtlSource(asked)


def _gst(pipeline: str, realtime: bool) -> FrameSource:
    from edge_app.capture.gst import GstSource

    return GstSource(pipeline)


def _v4l2(device: str, realtime: bool) -> FrameSource:
    from edge_app.capture.v4l2 import V4l2Source

    return V4l2Source(device)


_OPENERS: dict[str, Callable[[str, bool], FrameSource]] = {
    "phantom": _phantom,
    "file": _file,
    "dicom": _dicom,
    "folder": _folder,
    "v4l2": _v4l2,
    "screen": _screen,
    "igtl": _igtl,
    "gst": _gst,
}
