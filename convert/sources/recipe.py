"""Recipe: what a person says of a model in a small TOML file, frozen and checked."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from convert.graph.parts import Activation, Channels
from engines.kdigo import UNIT
from engines.manifest import CropMode, HeadName, Words

FileName = Annotated[str, Field(min_length=1, max_length=400)]
Prefix = Annotated[str, Field(max_length=200)]
Sentence = Annotated[str, Field(min_length=1, max_length=1000)]
Positive = Annotated[float, Field(gt=0)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Source(_Model):
    """Where the weights are, one file a member; ``rename`` maps beginnings of names in a checkpoint to others."""

    family: Literal["torchvision", "repvgg", "onnx"]
    architecture: Words | None = None
    weights: Annotated[tuple[FileName, ...], Field(min_length=1, max_length=10)]
    outputs: Annotated[int, Field(ge=1, le=1000)] | None = None  # of the network; None: as many as the heads read
    rename: dict[Prefix, Prefix] = {}

    @model_validator(mode="after")
    def _fields_of_the_family(self) -> Source:
        if self.family == "onnx" and (self.architecture or self.rename or self.outputs):
            raise ValueError("an ONNX file says by itself what architecture, names and outputs it has: leave them out")
        if self.family != "onnx" and not self.architecture:
            raise ValueError(f"the family {self.family} needs an architecture")
        if len(set(self.weights)) < len(self.weights):
            raise ValueError("a file of weights is named twice")
        return self


class Input(_Model):
    """What the network wants to see: (pixel / ``divisor`` - ``mean``) / ``std``, by channel in its own order."""

    height: Annotated[int, Field(ge=32, le=1024)]
    width: Annotated[int, Field(ge=32, le=1024)]
    mean: tuple[float, ...]
    std: tuple[Positive, ...]
    divisor: Positive = 255.0
    channels: Channels = "rgb"
    layout: Literal["nchw", "nhwc"] = "nchw"
    crop_mode: CropMode = "square"
    crop_factor: Annotated[float, Field(gt=0.5, lt=2.0)] = 1.0

    @model_validator(mode="after")
    def _one_value_a_channel(self) -> Input:
        wanted = 1 if self.channels == "grey" else 3
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != wanted:
                raise ValueError(f"{name} has {len(values)} values for {wanted} channel{'s' if wanted > 1 else ''}")
        return self


class _Head(_Model):
    """What all heads have; ``output`` and ``columns`` say which of the network's answers the head reads."""

    name: HeadName
    title: Words
    output: str | None = None  # of an ONNX file with several
    columns: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] | None = None  # None: all

    @model_validator(mode="after")
    def _columns_once(self) -> _Head:
        if self.columns is not None and len(set(self.columns)) < len(self.columns):
            raise ValueError("a column is named twice")
        return self


class Regression(_Head):
    """A number in a unit: answer x ``gain`` + ``offset``, to undo how the target was standardised."""

    kind: Literal["regression"]
    quantity: Literal["egfr", "other"] = "other"
    unit: Words
    resolution: Positive
    lowest: float | None = None
    boundaries: tuple[float, ...] = ()
    categories: tuple[Words, ...] = ()
    gain: float = 1.0
    offset: float = 0.0

    @property
    def width(self) -> int:
        """Number of answers that it reads."""
        return 1

    @property
    def activation(self) -> Activation:
        """What comes after the linear layer."""
        return "identity"

    @model_validator(mode="after")
    def _makes_sense(self) -> Regression:
        if (self.boundaries or self.categories) and len(self.categories) != len(self.boundaries) + 1:
            raise ValueError("there must be one category more than boundaries")
        if list(self.boundaries) != sorted(set(self.boundaries)):
            raise ValueError("boundaries must rise")
        if self.gain == 0:
            raise ValueError("a gain of 0 leaves nothing of the answer")
        if self.quantity == "egfr" and (self.unit != UNIT or self.categories or self.lowest is None or self.lowest < 0):
            raise ValueError(f"an eGFR is in {UNIT}, has lowest = 0.0 and KDIGO's categories, so none of its own")
        return self


class Probability(_Head):
    """A probability: a sigmoid of one answer, or with ``classes`` the softmax of theirs at the ``positive`` one."""

    kind: Literal["probability"]
    quantity: Literal["egfr_below_60", "other"] = "other"
    event: Words
    cut: Annotated[float, Field(gt=0, lt=1)] = 0.5
    classes: Annotated[tuple[Words, ...], Field(min_length=2, max_length=100)] | None = None  # in the file's order
    positive: Words | None = None

    @property
    def width(self) -> int:
        """Number of answers that it reads."""
        return len(self.classes) if self.classes else 1

    @property
    def activation(self) -> Activation:
        """What comes after the linear layer."""
        return "softmax" if self.classes else "sigmoid"

    @model_validator(mode="after")
    def _names_the_positive_class(self) -> Probability:
        _check_classes(self.classes)
        if (self.classes is None) != (self.positive is None):
            raise ValueError("classes and positive go together; a network with one answer has neither")
        if self.classes is not None and self.positive not in self.classes:
            raise ValueError(f"positive is '{self.positive}', which is none of the classes")
        return self


class Grades(_Head):
    """Grades that exclude each other, lowest first; ``classes``: the same in the order of the file."""

    kind: Literal["grades"]
    grades: Annotated[tuple[Words, ...], Field(min_length=2, max_length=20)]
    classes: tuple[Words, ...] | None = None

    @property
    def width(self) -> int:
        """Number of answers that it reads."""
        return len(self.grades)

    @property
    def activation(self) -> Activation:
        """What comes after the linear layer."""
        return "softmax"

    @model_validator(mode="after")
    def _same_classes(self) -> Grades:
        _check_classes(self.grades)
        if self.classes is not None and sorted(self.classes) != sorted(self.grades):
            raise ValueError("classes must be the grades in the order of the file")
        return self


Head = Annotated[Regression | Probability | Grades, Field(discriminator="kind")]


class About(_Model):
    """What the bundle says of the model; ``patients`` 0: not known."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    version: Words
    title: Words
    training: Sentence
    data: Sentence
    patients: Annotated[int, Field(ge=0)] = 0
    limits: Annotated[tuple[Sentence, ...], Field(min_length=1, max_length=20)]
    synthetic: bool = False


class Recipe(_Model):
    """All of it."""

    model: About
    source: Source
    input: Input
    heads: Annotated[tuple[Head, ...], Field(min_length=1, max_length=8)]

    @model_validator(mode="after")
    def _goes_together(self) -> Recipe:
        names = [head.name for head in self.heads]
        if len(set(names)) < len(names):
            raise ValueError("two heads have the same name")
        quantities = [head.quantity for head in self.heads if not isinstance(head, Grades) and head.quantity != "other"]
        if len(set(quantities)) < len(quantities):
            raise ValueError("two heads give the same quantity")
        if "egfr" in quantities and getattr(self.heads[0], "quantity", "") != "egfr":
            raise ValueError("the head that gives the eGFR must be the first, which is the main one")
        for head in self.heads:
            if head.columns is not None and len(head.columns) != head.width:
                raise ValueError(f"the head {head.name} names {len(head.columns)} columns and reads {head.width}")
            if self.source.family != "onnx" and head.output is not None:
                raise ValueError(f"the head {head.name} names an output, which networks of this family have one of")
        if self.source.family != "onnx" and self.input.layout != "nchw":
            raise ValueError("the layout is for ONNX files; torch has planes, nchw")
        return self

    @property
    def outputs(self) -> int:
        """Number of answers of a network whose one output all heads read."""
        read = [max(head.columns) + 1 if head.columns else head.width for head in self.heads]
        return self.source.outputs or max(read)


def _check_classes(classes: tuple[str, ...] | None) -> None:
    if classes is not None and len(set(classes)) < len(classes):
        raise ValueError("two classes have the same name")
