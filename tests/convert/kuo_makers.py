"""The published network as plain torch, checkpoints as torch 0.2 wrote them, and boosters as files."""

from __future__ import annotations

import io
import pickle
import struct
from collections import OrderedDict
from pathlib import Path

import cv2
import numpy as np
import torch
import xgboost
from torch import Tensor, nn

from convert.kuo.layout import Layout

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # first two pickles of torch's legacy files


class Bottleneck(nn.Module):
    def __init__(self, inputs: int, width: int, stride: int, downsample: bool) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        if downsample:
            shortcut = nn.Conv2d(inputs, 4 * width, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(4 * width))

    def forward(self, value: Tensor) -> Tensor:
        path = torch.relu(self.bn1(self.conv1(value)))
        path = self.bn3(self.conv3(torch.relu(self.bn2(self.conv2(path)))))
        return torch.relu(path + (self.downsample(value) if hasattr(self, "downsample") else value))


class ResNet(nn.Module):
    def __init__(self, layout: Layout) -> None:
        super().__init__()
        width, inputs = layout.width, layout.width
        self.conv1, self.bn1 = nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        for stage, count in enumerate(layout.layers):
            parts = []
            for index in range(count):
                stride = 2 if stage and not index else 1
                parts.append(Bottleneck(inputs, width * 2**stage, stride, index == 0))
                inputs = width * 2**stage * 4
            setattr(self, f"layer{stage + 1}", nn.Sequential(*parts))
        self.fc = nn.Linear(inputs, layout.classes)
        self.stages = len(layout.layers)

    def maps(self, value: Tensor) -> Tensor:
        value = self.maxpool(torch.relu(self.bn1(self.conv1(value))))
        for stage in range(self.stages):
            value = getattr(self, f"layer{stage + 1}")(value)
        return value


class Published(nn.Module):
    """Kuo 2019: ResNet with its ImageNet layer kept, then three linear layers."""

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.base_model = ResNet(layout)
        first, second = layout.hidden
        parts = (nn.Linear(layout.classes, first), nn.ReLU(), nn.Dropout(0.5), nn.Linear(first, second))
        self.fc = nn.Sequential(*parts, nn.ReLU(), nn.Dropout(0.5), nn.Linear(second, 1))

    def answers(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """eGFR (K,), pooled features (K, F), Grad-CAM by autograd times its number of cells (K, h, w)."""
        with torch.no_grad():
            parts = [self.base_model.maps(normalise(crops[at : at + 8])) for at in range(0, len(crops), 8)]
        maps = torch.cat(parts).requires_grad_()
        features = maps.mean((2, 3))
        egfr = self.fc(self.base_model.fc(features))[:, 0]
        egfr.sum().backward()
        alpha = maps.grad.mean((2, 3), keepdim=True)
        cam = (alpha * maps).sum(1) * maps.shape[2] * maps.shape[3]
        return egfr.detach().numpy(), features.detach().numpy(), cam.detach().numpy()


def network(layout: Layout, seed: int, crops: np.ndarray) -> Published:
    """Seeded, with batch statistics of ``crops`` as after training, and answers spread around 50."""
    torch.manual_seed(seed)
    made = Published(layout)
    for name, part in made.named_modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = None  # plain average
            part.weight.data.uniform_(0.6, 1.2).mul_(0.15 if name.endswith("bn3") else 1.0)  # sums stay in range
            part.bias.data.normal_(0, 0.2)
        elif isinstance(part, nn.Linear):
            part.weight.data.normal_(0, (2 / part.in_features) ** 0.5)
            part.bias.data.normal_(0, 0.05)
    with torch.no_grad():
        made.base_model.maps(normalise(crops))
    made.eval()
    spread(made, crops)
    return made


def normalise(crops: np.ndarray) -> Tensor:
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return ((torch.from_numpy(crops) / 255.0 - mean) / std).permute(0, 3, 1, 2)


def spread(made: Published, crops: np.ndarray) -> None:
    """Scale the last layer, so that answers over ``crops`` have mean 50 and deviation 15, as published."""
    values = made.answers(crops)[0]
    last = made.fc[6]
    gain = 15.0 / float(values.std())
    last.weight.data *= gain
    last.bias.data = last.bias.data * gain + 50.0 - gain * float(values.mean())


def write_crops(folder: Path, count: int, size: int, labels: bool = False) -> np.ndarray:
    """Write crops that differ in brightness, contrast and shape; with ``labels`` also labels.csv, 2 crops a patient."""
    random = np.random.default_rng(7)
    (folder / "crops").mkdir(parents=True, exist_ok=True)
    target = folder / "crops" if labels else folder
    crops, lines = [], ["crop,patient,egfr"]
    for index in range(count):
        crop = random.normal(random.uniform(20, 200), random.uniform(5, 40), (size, size)).clip(0, 255)
        axes = (int(size * random.uniform(0.2, 0.45)), int(size * random.uniform(0.1, 0.3)))
        grey = crop.astype(np.uint8)
        cv2.ellipse(grey, (size // 2, size // 2), axes, random.uniform(-30, 30), 0, 360, random.uniform(20, 230), -1)
        crops.append(np.repeat(grey[:, :, None], 3, axis=2))
        cv2.imwrite(str(target / f"c{index:03d}.png"), crops[-1])
        lines.append(f"c{index:03d}.png,p{index // 2:03d},{random.uniform(8, 110):.1f}")
    if labels:
        (folder / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return np.stack(crops)


def legacy_bytes(state: dict[str, Tensor]) -> bytes:
    """Write a state dict as torch 0.2 did from a GPU: no zip, ``_rebuild_tensor``, cuda storages, ``module.``."""

    class Tensor02:
        def __init__(self, key: str, value: Tensor) -> None:
            self.key, self.value = key, value

        def __reduce__(self):
            value = self.value
            storage = ("storage", torch.cuda.FloatStorage, self.key, "cuda:0", value.numel(), None)
            return torch._utils._rebuild_tensor, (Storage(storage), 0, tuple(value.shape), tuple(value.stride()))

    class Storage:
        def __init__(self, fields: tuple) -> None:
            self.fields = fields

    class Writer(pickle.Pickler):
        def persistent_id(self, thing):
            return thing.fields if isinstance(thing, Storage) else None

    values = {name: value.detach().to(torch.float32).contiguous() for name, value in state.items()}
    values = {f"module.{name}": value for name, value in values.items() if not name.endswith("num_batches_tracked")}
    keys = [str(94000000 + index) for index in range(len(values))]
    tensors = OrderedDict((name, Tensor02(key, value)) for key, (name, value) in zip(keys, values.items(), strict=True))
    stream = io.BytesIO()
    sizes = {"short": 2, "int": 4, "long": 4}
    for head in (MAGIC, PROTOCOL, {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": sizes}):
        pickle.dump(head, stream, protocol=2)
    Writer(stream, protocol=2).dump(tensors)
    pickle.dump(keys, stream, protocol=2)
    for value in values.values():
        stream.write(struct.pack("<q", value.numel()) + value.numpy().tobytes())
    return stream.getvalue()


def booster(features: np.ndarray, egfr: np.ndarray, seed: int, selected: int) -> xgboost.Booster:
    """Trees that find a low eGFR, on a selection of the features with the published kind of names."""
    columns = np.sort(np.random.default_rng(seed).choice(features.shape[1], selected, replace=False))
    noise = np.random.default_rng(seed).normal(size=(len(features), selected)) * 1e-3 * features.std()
    data = xgboost.DMatrix(
        features[:, columns] + noise,
        (egfr < np.median(egfr)).astype(np.float32),
        feature_names=[str(c) for c in columns],
    )
    # noise, so that no threshold lies on a value that is asked for: there, the last bit decides
    options = {"objective": "binary:logistic", "max_depth": 3, "nthread": 1, "seed": seed, "base_score": 0.5}
    return xgboost.train(options, data, 12)


def write_models(folder: Path, layout: Layout, crops: np.ndarray, members: int) -> list[tuple[Published, object]]:
    """Write ``members`` members in the published layout, trees as JSON; return networks and boosters."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for index in range(members):
        one = network(layout, 100 + index, crops)
        egfr, features, _ = one.answers(crops)
        trees = booster(features, egfr, index, min(40, layout.features))
        (folder / f"model_{index}.pkl").write_bytes(legacy_bytes(one.state_dict()))
        trees.save_model(folder / f"xgb_{index}.json")
        made.append((one, trees))
    return made
