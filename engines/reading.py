"""Reading: one crop through one session: the value of every head, and how unlike the known pictures it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engines.bundle import Bundle
from engines.domain import DomainModel
from engines.errors import BundleError, InferenceError, TensorMismatchError
from engines.manifest import BundleManifest
from engines.session import MemberSession, Outputs, Session, SessionInfo
from engines.tensors import check_input, input_spec
from engines.values import Chance, Regressed, Value, egfr_below_60_of, egfr_of, heads_agree, value_of


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """One crop through one session: one value a head, in the order of the manifest; research use only.

    ``heads_agree`` compares an eGFR with P(eGFR < 60) and is True where a model has not both. ``seen`` numbers the
    members that made the values, in the order of ``values[...].members``; ``members_total`` is how many there are.
    """

    values: tuple[Value, ...]
    heads_agree: bool
    domain_distance: float
    in_domain: bool
    synthetic: bool
    runtime: str
    provider: str
    precision: str
    bundle: str
    bundle_sha256: str
    artifact_sha256: str
    seen: tuple[int, ...]
    members_total: int
    note: str = ""  # of the session: a fallback, a return

    @property
    def members_seen(self) -> int:
        """How many members made the values."""
        return len(self.seen)

    @property
    def whole(self) -> bool:
        """True if all members did."""
        return len(self.seen) == self.members_total

    @property
    def main(self) -> Value:
        """The value of the main head."""
        return self.values[0]

    @property
    def egfr(self) -> Regressed | None:
        """The eGFR, mL/min/1.73 m2, where the model gives one."""
        return egfr_of(self.values)

    @property
    def egfr_below_60(self) -> Chance | None:
        """P(eGFR < 60), where the model gives one."""
        return egfr_below_60_of(self.values)


class Reader:
    """Reads crops through an entered session; build one only after ``engines.selftest.run`` passed.

    Parameters
    ----------
    bundle : Bundle
        Opened, hence verified.
    session : Session
        Of that bundle. The reader is bound to its thread and neither enters nor exits it.
    note : str
        What the operator must know of how this session came to be used; stands before the session's own note.

    Raises
    ------
    BundleError
        The bundle's domain check cannot be used.
    """

    def __init__(self, bundle: Bundle, session: Session, note: str = "") -> None:
        manifest = bundle.manifest
        self._note = note
        self._bundle = bundle
        self._session = session
        self._domain = DomainModel.parse(bundle.read(manifest.domain.file), manifest.domain.file)
        self._features = next((output.name for output in manifest.outputs if output.meaning == "features"), None)
        if (self._features is None) != (self._domain.features is None):
            has, was = ("no", "with") if self._features is None else ("an", "without")
            raise BundleError(
                f"The domain check {manifest.domain.file} cannot be used",
                f"the model has {has} output of features and the check was fitted {was} them",
                "convert the model again",
            )

    @property
    def bundle(self) -> Bundle:
        """The bundle that is read with."""
        return self._bundle

    @property
    def manifest(self) -> BundleManifest:
        """Its manifest: crop mode, limits, title."""
        return self._bundle.manifest

    def read(self, crop: NDArray[np.uint8]) -> Reading:
        """Read one crop, uint8 (H, W, 3) RGB as ``engines.preprocess.extract`` gives it.

        Raises
        ------
        TensorMismatchError
            Wrong shape or dtype.
        InferenceError
            The session failed, or a head answered outside of its range.
        """
        if crop.ndim != 3:
            raise TensorMismatchError("The crop cannot be read", f"it is {crop.shape}", "give one crop (H, W, 3)")
        return self.read_many(crop[None])[0]

    def read_many(self, crops: NDArray[np.uint8] | Sequence[NDArray[np.uint8]]) -> list[Reading]:
        """Read several crops in one run; as ``read``, for (N, H, W, 3) or a sequence of (H, W, 3)."""
        batch = crops if isinstance(crops, np.ndarray) else _stack(crops)
        check_input(input_spec(self.manifest), batch)
        outputs = self._session.infer(batch)
        info = self._session.info
        return [self._reading(batch[at], _row(outputs, at), info) for at in range(len(batch))]

    def read_member(self, crop: NDArray[np.uint8], member: int, checked: Reading) -> Reading:
        """Read one crop with one member of a session whose members are apart; its value has no interval.

        Features of one member alone cannot be held against a check that was fitted on those of all. So ``checked``, a
        reading of the same view by all members, vouches for them: its distance stands, unless the texture of this
        crop is farther away.

        Raises
        ------
        TensorMismatchError, InferenceError
            As ``read``; also where the session cannot run a member by itself.
        """
        check_input(input_spec(self.manifest), crop[None])
        if not isinstance(self._session, MemberSession):
            raise InferenceError("The session cannot be used", "it runs all members at once", "run all of them")
        outputs = self._session.infer_member(member, crop[None])
        distance = max(checked.domain_distance, self._domain.texture_distance(crop))
        reading = self._made(_row(outputs, 0), self._session.info, distance, (member,))
        return replace(reading, in_domain=reading.in_domain and checked.in_domain)

    def _reading(self, crop: NDArray[np.uint8], row: Outputs, info: SessionInfo) -> Reading:
        distance = self._domain.distance(None if self._features is None else row[self._features], crop)
        return self._made(row, info, distance, tuple(range(self.manifest.members)))

    def _made(self, row: Outputs, info: SessionInfo, distance: float, seen: tuple[int, ...]) -> Reading:
        manifest = self.manifest
        values = tuple(value_of(head, row, manifest.members) for head in manifest.heads)
        return Reading(
            values=values,
            heads_agree=agree(values),
            domain_distance=distance,
            in_domain=distance <= manifest.domain.limit,
            synthetic=manifest.synthetic,
            runtime=info.runtime,
            provider=info.provider,
            precision=info.precision,
            bundle=f"{manifest.bundle_id} {manifest.version}",
            bundle_sha256=self._bundle.sha256,
            artifact_sha256=info.artifact_sha256,
            note=" ".join(part for part in (self._note, info.note) if part),
            seen=seen,
            members_total=manifest.members,
        )


def agree(values: Sequence[Value]) -> bool:
    """Tell whether an eGFR and P(eGFR < 60) among the values agree; True where there are not both."""
    egfr, chance = egfr_of(values), egfr_below_60_of(values)
    return egfr is None or chance is None or heads_agree(egfr.value, chance.p)


def _stack(crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    if not crops or any(crop.shape != crops[0].shape for crop in crops):
        raise TensorMismatchError(
            "The crops cannot be read", "there are none or they differ in size", "extract all at one size"
        )
    return np.stack(crops)


def _row(outputs: Outputs, at: int) -> Outputs:
    return {name: array[at].copy() for name, array in outputs.items()}
