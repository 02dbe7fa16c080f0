"""Messages between the window and the scanner worker: small, frozen, JSON on the wire.

Up (worker to window): ``Heartbeat``, ``NeedRing`` and ``SourceDown`` are the link's own and stop at the
supervisor; ``Started``, ``Opened``, ``Report``, ``Ended``, ``SetAgain`` and ``Failed`` go on to the window, joined by
``Lost``, ``Recovering``, ``Recovered`` and ``Counts``, which the supervisor itself says. Down: ``Command``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from edge_app.imaging.nudge import Nudge
from edge_app.live.report import FrameReport
from engines.manifest import HeadSpec, Precision
from engines.server import Server
from engines.trust import Policy


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")


class Poles(_Message):
    """The two ends of the kidney as the operator placed them: finite pixels of the frame, (x, y) each."""

    model_config = ConfigDict(allow_inf_nan=False)

    x1: float
    y1: float
    x2: float
    y2: float
    proposed: bool = False  # by a localizer, and accepted by the operator as they were
    frame: int | None = None  # index of the picture in which they are there; None: the next


class Anchor(_Message):
    """What the picture looked like around a pole: a square of green values, row by row."""

    grey: bytes = Field(repr=False)
    side: int  # pixels, odd; the pole is its middle


class Kept(_Message):
    """What the operator had set when a worker died, and on what picture; pixels of the frame."""

    size: tuple[int, int] | None  # width, height of that picture
    images: tuple[tuple[int, int, int, int], ...]  # boxes of all ultrasound images that were seen
    poles: Poles | None = None  # where the handles were last
    lost: bool = False  # the kidney had been lost from them
    anchors: tuple[Anchor, Anchor] | None = None
    length_cm: float | None = None  # as it was typed
    length_ends: tuple[float, float, float, float] | None = None  # the scanner's markers that it belongs to
    chosen: tuple[float, float] | None = None  # a place in the image of two that is read
    nudge: Nudge | None = None  # of the image's border


class WorkerPlan(_Message):
    """Everything that the scanner worker needs to know at its start."""

    source: str  # as ``edge_app.capture.open.open_source`` takes it
    bundle: str | None = None  # directory or id; None: the chosen bundle, or the one that ships with the app
    signatures: Policy | None = None  # of the bundle; None: warn
    runtime: str | None = None  # None: the best one that this machine has
    precision: Precision | None = None
    server: Server | None = None  # None: no network
    fallback: str | None = None  # consent: what reads here while the server is away, or in place of a failed engine
    allow_out_of_domain: bool = False
    rotate: Literal["auto", "on", "off"] = "auto"  # whether members take turns while the picture is live
    asked: str = ""  # by whom runtime and precision were asked for, in words
    logs: str | None = None  # folder of the worker's log; None: none is written
    quality: str | None = None  # file with the operator's own limits of the quality gate
    generation: int = 0  # of the first report; the supervisor counts on across restarts
    kept: Kept | None = None  # what an earlier worker had been told
    localizer: str | None = None  # directory or id; None: the one that ships with the app; "off": none


class SourceSummary(_Message):
    """What the source says of itself."""

    uri: str
    title: str
    live: bool
    fps: float | None
    size: tuple[int, int] | None  # width, height, pixels

    @property
    def stills(self) -> bool:
        """True if each frame is a picture of its own, without a before and after."""
        return not self.live and self.fps is None


class ModelSummary(_Message):
    """What produces the numbers; shown on screen and kept with each of them."""

    bundle_id: str
    version: str
    title: str
    sha256: str  # of the bundle's manifest
    signature: str = "signature not looked at"  # what it is worth here: "signed by NAME", "unsigned"
    synthetic: bool
    members: int
    heads: tuple[HeadSpec, ...]  # what it says, the main one first
    runtime: str  # "onnxruntime"
    provider: str  # "CPUExecutionProvider 1.31.1"
    precision: Precision
    selection: tuple[str, ...]  # why this runtime and precision, and what became of the others
    limits: tuple[str, ...]  # sentences shown at the point of use
    note: str = ""  # in place of what failed engine it reads, with the operator's consent


class Started(_Message):
    """The worker runs: the source is open, and the model ready, or None if it has Failed."""

    kind: Literal["started"] = "started"
    pid: int
    source: SourceSummary
    model: ModelSummary | None
    localizer: str = ""  # what proposes poles, or why nothing does


class Report(_Message):
    """What became of one frame.

    ``crop_rgb`` is what the model read, ``crop_size`` (width, height) RGB bytes; both None where this
    report brings no new crop (nothing was read, or the frozen crop was read before).
    """

    kind: Literal["report"] = "report"
    report: FrameReport
    crop_rgb: bytes | None = Field(default=None, repr=False)
    crop_size: tuple[int, int] | None = None


class Ended(_Message):
    """The source has no more frames; its last picture is held and still answers to handles."""

    kind: Literal["ended"] = "ended"
    frames: int


class Opened(_Message):
    """The source is open, for the first time or again; its size may be another than before."""

    kind: Literal["opened"] = "opened"
    source: SourceSummary


class SourceDown(_Message):
    """The source failed or ended, and is opened again by the worker after ``wait_s``."""

    kind: Literal["source_down"] = "source_down"
    reason: str
    attempt: int  # the one that comes, from 1
    wait_s: float


LossCause = Literal["worker_died", "worker_silent", "no_frames", "source_down", "source_stuck"]


class Lost(_Message):
    """No trustworthy picture at present; whatever number stands on screen must go."""

    kind: Literal["lost"] = "lost"
    cause: LossCause
    reason: str


class Recovering(_Message):
    """What was lost is tried again: attempt 1, 2, 3 ... in ``wait_s`` seconds from now."""

    kind: Literal["recovering"] = "recovering"
    attempt: int
    wait_s: float
    reason: str


class Recovered(_Message):
    """Pictures come again from the same worker (a restarted one says ``Started``)."""

    kind: Literal["recovered"] = "recovered"
    after_ms: float


class Failed(_Message):
    """Something will not work by itself any more; ``sentence`` says what, why, and what to do.

    ``model``: the preview goes on without numbers. ``source`` and ``worker``: nothing goes on.
    """

    kind: Literal["failed"] = "failed"
    scope: Literal["model", "source", "worker"]
    sentence: str


Choice = Literal["handles", "length", "image"]  # image: which of two is read, or its moved border


class SetAgain(_Message):
    """What the operator had set before a restart holds again, but for what was ``lost``."""

    kind: Literal["set_again"] = "set_again"
    lost: tuple[Choice, ...] = ()
    because: str = ""


class Counts(_Message):
    """What became of the frames since the worker started; shown beside the rates."""

    kind: Literal["counts"] = "counts"
    captured: int  # read from the source
    skipped: int  # of these: never analysed, because a newer one was there first


class Heartbeat(_Message):
    """The worker's sign of life, ten times a second; ``frames`` counts the frames captured.

    ``frame_s`` is the age of the newest of them. ``call`` is the call of the source that has not come back yet,
    ``call_s`` for how long.
    """

    kind: Literal["heartbeat"] = "heartbeat"
    frames: int
    frame_s: float = 0.0
    skipped: int = 0
    call: Literal["open", "read"] | None = None
    call_s: float = 0.0
    lasting: bool = False  # the source never ends by itself


class NeedRing(_Message):
    """The worker has a frame of ``frame_bytes`` and no ring whose slots hold it."""

    kind: Literal["need_ring"] = "need_ring"
    frame_bytes: int


class SetPoles(_Message):
    """Use these poles instead of the scanner's calipers until they are cleared."""

    kind: Literal["set_poles"] = "set_poles"
    poles: Poles
    generation: int = 0  # the supervisor fills it in


class ClearPoles(_Message):
    """Go back to the scanner's own calipers."""

    kind: Literal["clear_poles"] = "clear_poles"
    generation: int = 0  # the supervisor fills it in


class SetLength(_Message):
    """The kidney length that the operator read off the scanner, centimetres; None takes it back.

    It holds for the markers that are on the picture now; other markers end it.
    """

    kind: Literal["set_length"] = "set_length"
    length_cm: Annotated[float, Field(gt=0, le=40, allow_inf_nan=False)] | None


class ChooseImage(_Message):
    """Read the image at this place, pixels of the frame, where a screen has two."""

    model_config = ConfigDict(allow_inf_nan=False)

    kind: Literal["choose_image"] = "choose_image"
    x: float
    y: float
    generation: int = 0  # the supervisor fills it in


class MoveImage(_Message):
    """Move the border of the image by so much more, and keep that for this layout; None: as it is found."""

    kind: Literal["move_image"] = "move_image"
    by: Nudge | None
    generation: int = 0  # the supervisor fills it in


class UseRing(_Message):
    """Write frames to this ring from now on; the window owns and unlinks it."""

    kind: Literal["use_ring"] = "use_ring"
    name: str


class Stop(_Message):
    """End in order."""

    kind: Literal["stop"] = "stop"


Message = Started | Opened | Report | Ended | Lost | Recovering | Recovered | Counts | Failed | SetAgain
UpMessage = Started | Opened | SourceDown | Report | Ended | Failed | Heartbeat | NeedRing | SetAgain
Command = SetPoles | ClearPoles | SetLength | ChooseImage | MoveImage
DownMessage = Command | Stop | UseRing

_UP: TypeAdapter[UpMessage] = TypeAdapter(Annotated[UpMessage, Field(discriminator="kind")])
_DOWN: TypeAdapter[DownMessage] = TypeAdapter(Annotated[DownMessage, Field(discriminator="kind")])


def encode(message: UpMessage | DownMessage) -> bytes:
    """Return the JSON bytes of a message."""
    return message.model_dump_json().encode()


def decode_up(raw: bytes) -> UpMessage:
    """Read a message of the worker; raises ``pydantic.ValidationError`` if it is none."""
    return _UP.validate_json(raw)


def decode_down(raw: bytes) -> DownMessage:
    """Read a message of the window; raises ``pydantic.ValidationError`` if it is none."""
    return _DOWN.validate_json(raw)
