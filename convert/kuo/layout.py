"""Names and shapes of one member: torchvision's ResNet-101 with its 1000-way layer kept, and the eGFR head.

Source: the authors' released ``utils/model.py``; checkpoints were saved from ``DataParallel``, hence ``module.``.
"""

from __future__ import annotations

from dataclasses import dataclass

PREFIX = "module."
EXPANSION = 4  # last convolution of a bottleneck / its width
HEAD = ("fc.0", "fc.3", "fc.6")  # the linear layers of the head; between them ReLU and dropout

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """Size of a bottleneck ResNet with head; the defaults are the published ones, smaller ones are for tests."""

    layers: tuple[int, ...] = (3, 4, 23, 3)
    width: int = 64
    classes: int = 1000
    hidden: tuple[int, int] = (512, 256)
    size: int = 224  # edge of the crop, px

    @property
    def features(self) -> int:
        """Number of pooled features."""
        return (self.width << (len(self.layers) - 1)) * EXPANSION


PUBLISHED_LAYOUT = Layout()


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """One block: its name, channels in, width, stride of the 3 x 3 convolution (torchvision), and its shortcut."""

    name: str
    inputs: int
    width: int
    stride: int
    downsample: bool

    @property
    def convolutions(self) -> tuple[tuple[str, str, Shape], ...]:
        """Convolution, batch norm and weight shape, in order; the shortcut last where there is one."""
        outputs, name = self.width * EXPANSION, self.name
        path = (
            (f"{name}.conv1", f"{name}.bn1", (self.width, self.inputs, 1, 1)),
            (f"{name}.conv2", f"{name}.bn2", (self.width, self.width, 3, 3)),
            (f"{name}.conv3", f"{name}.bn3", (outputs, self.width, 1, 1)),
        )
        shortcut = ((f"{name}.downsample.0", f"{name}.downsample.1", (outputs, self.inputs, 1, 1)),)
        return path + shortcut if self.downsample else path


def blocks(layout: Layout) -> tuple[Bottleneck, ...]:
    """Return all blocks, first to last."""
    found, inputs = [], layout.width
    for stage, count in enumerate(layout.layers):
        width = layout.width << stage
        for index in range(count):
            stride = 2 if stage > 0 and index == 0 else 1
            name = f"base_model.layer{stage + 1}.{index}"
            found.append(Bottleneck(name, inputs, width, stride, downsample=index == 0))
            inputs = width * EXPANSION
    return tuple(found)


def expected_shapes(layout: Layout) -> dict[str, Shape]:
    """Return every name that a checkpoint must hold, ``module.`` included, with its shape."""
    convolutions: list[tuple[str, str, Shape]] = [("base_model.conv1", "base_model.bn1", (layout.width, 3, 7, 7))]
    convolutions += [part for block in blocks(layout) for part in block.convolutions]
    shapes: dict[str, Shape] = {}
    for convolution, norm, shape in convolutions:
        shapes[f"{convolution}.weight"] = shape
        for field in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{norm}.{field}"] = shape[:1]
    sizes = (layout.features, layout.classes, *layout.hidden, 1)
    for name, inputs, outputs in zip(("base_model.fc", *HEAD), sizes[:-1], sizes[1:], strict=True):
        shapes[f"{name}.weight"] = (outputs, inputs)
        shapes[f"{name}.bias"] = (outputs,)
    return {f"{PREFIX}{name}": shape for name, shape in shapes.items()}
