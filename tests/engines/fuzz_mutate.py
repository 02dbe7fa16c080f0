"""Mutations: of bytes, of JSON, and archives made to do harm; all from one seeded generator."""

from __future__ import annotations

import io
import json
import random
import re
import stat
import warnings
from copy import deepcopy
from typing import Any
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**31 + 1, 2**63, -(2**63), 10**400, 0.5, -0.0, 1e308, float("nan"),
    float("inf"), "", " ", "\0", "a" * 300, "../x", "/etc/passwd", "manifest.json", "manifest.sig", "\ud800", "é\u202e",
    [], [[]], {}, {"a": 1}, [0] * 50, "0" * 64, "2026-13-45T99:99:99Z",
)  # fmt: skip
NAMES = (
    "../escape", "../../escape", "/tmp/escape", "a/../../escape", "a/b", "..", ".", "", "\\..\\escape", "C:\\escape",
    ".hidden", "manifest.json", "manifest.sig", "MANIFEST.JSON", "x" * 250, "x" * 5000, "a\0b", "\x1b[2J", "é", "con ",
)  # fmt: skip
KINDS = (stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFDIR, stat.S_IFSOCK, stat.S_IFREG, 0)


def mutate_bytes(rng: random.Random, raw: bytes) -> bytes:
    """Change, cut, double or mix a few parts."""
    data = bytearray(raw)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        at, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
        end = min(end, at + rng.choice((1, 2, 4, 8, 64, 4096)))
        match rng.randrange(6):
            case 0 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                data[at:end] = rng.randbytes(end - at)
            case 2:
                del data[at:end]
            case 3:
                data[at:at] = data[at:end]
            case 4:
                data[at : at + 4] = rng.choice((b"\xff" * 4, b"\0" * 4, b"\xff\xff\xff\x7f", b"\0\0\0\x80"))
            case _:
                del data[rng.randrange(len(data) + 1) :]
    return bytes(data)


def mutate_json(rng: random.Random, raw: bytes) -> bytes:
    """Change a few values or keys anywhere in it, or its bytes."""
    if rng.random() < 0.3:
        return mutate_bytes(rng, raw)
    tree = json.loads(raw)
    for _ in range(rng.choice((1, 1, 2, 5))):
        tree = _mutate_node(rng, tree)
    text = json.dumps(tree)
    if rng.random() < 0.02:
        text = "[" * 100_000 + text
    return text.encode(errors="surrogatepass")


def _mutate_node(rng: random.Random, node: Any) -> Any:
    if not isinstance(node, dict | list) or not node or rng.random() < 0.1:
        return deepcopy(rng.choice(VALUES))
    keys = list(node) if isinstance(node, dict) else list(range(len(node)))
    key = rng.choice(keys)
    match rng.randrange(8):
        case 0:
            del node[key]
        case 1 if isinstance(node, dict):
            node[rng.choice(("extra", "", "file", "format"))] = deepcopy(rng.choice(VALUES))
        case 2 if isinstance(node, list):
            node.append(deepcopy(node[key]))
        case 3:
            node[key] = deepcopy(node[rng.choice(keys)])
        case _:
            node[key] = _mutate_node(rng, node[key])
    return node


def hostile_zip(rng: random.Random, files: dict[str, bytes]) -> bytes:
    """An archive of ``files`` with a few entries that no bundle holds, or with its own bytes changed."""
    out = io.BytesIO()
    with warnings.catch_warnings(), ZipFile(out, "w", rng.choice((ZIP_STORED, ZIP_DEFLATED))) as archive:
        warnings.simplefilter("ignore")  # zipfile warns of doubled names
        prefix = rng.choice(("", "", "", "", "b/", "b/", "../", "/"))
        for name, raw in files.items():
            if rng.random() > 0.01:
                archive.writestr(
                    _entry(rng, prefix + name, 0.01), mutate_bytes(rng, raw) if rng.random() < 0.03 else raw
                )
        for _ in range(rng.choice((0, 0, 0, 1, 2))):
            archive.writestr(_entry(rng, rng.choice((*NAMES, *files)), 0.5), rng.choice((b"", b"x", b"\0" * (3 << 20))))
        if rng.random() < 0.02:
            for number in range(1100):
                archive.writestr(f"f{number}", b"")
        archive.comment = rng.randbytes(rng.choice((0, 0, 10, 60000)))
    raw = bytearray(out.getvalue())
    if rng.random() < 0.4:
        _change_directory(rng, raw)
    return mutate_bytes(rng, bytes(raw)) if rng.random() < 0.3 else bytes(raw)


def _entry(rng: random.Random, name: str, odd: float) -> ZipInfo:
    entry = ZipInfo("x")
    entry.filename = entry.orig_filename = name
    entry.compress_type = rng.choice((ZIP_STORED, ZIP_DEFLATED, ZIP_DEFLATED))
    if rng.random() < odd:
        entry.compress_type = rng.choice((ZIP_STORED, ZIP_DEFLATED, ZIP_BZIP2))
        entry.external_attr = (rng.choice(KINDS) | 0o777) << 16
        entry.create_system = rng.choice((0, 3))
    return entry


def _change_directory(rng: random.Random, raw: bytearray) -> None:
    """Write something odd into a field of one entry of the central directory, or of its end."""
    starts = [found.start() for found in re.finditer(rb"PK(\x01\x02|\x03\x04|\x05\x06)", raw)][-40:]
    if starts:
        at = rng.choice(starts) + rng.randrange(4, 46)
        odd = rng.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\1\0", b"\x63\0", rng.randbytes(4), b"\0\0\0\x7f"))
        raw[at : at + len(odd)] = odd
