"""Reads the binary model format of xgboost 0.7x: the bytes inside a pickled booster.

xgboost 3.2 dropped this format, so it is read here and no old xgboost is needed. Little-endian records, after
xgboost 0.72 ``src/learner.cc`` (LearnerModelParam), ``src/gbm/gbtree_model.h`` (GBTreeModelParam) and
``include/xgboost/tree_model.h`` (TreeParam, Node, RTreeNodeStat).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convert.checkpoint import DefectError

MAGIC = b"binf"  # in front where Booster.save_model wrote the file; absent in a pickle
REAL, LENGTH = struct.Struct("<f"), struct.Struct("<Q")
LEARNER = struct.Struct("<I i i i 29i")  # behind base_score: num_feature, num_class, contain_extra_attrs, ...
MODEL = struct.Struct("<i i i i q i i 32i")  # num_trees, num_roots, num_feature, pad, buffer, groups, leaf vector
TREE = struct.Struct("<i i i i i i 31i")  # num_roots, num_nodes, num_deleted, max_depth, num_feature, leaf vector
NODE = np.dtype([("parent", "<i4"), ("left", "<i4"), ("right", "<i4"), ("split", "<u4"), ("value", "<f4")])
STATISTICS_BYTES = 16  # of each node: loss change, hessian, weight, children
DEFAULT_LEFT = np.uint32(1 << 31)  # top bit of split: where a missing value goes; pooled features miss none
MOST_TREES, MOST_NODES = 100_000, 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class OldTree:
    """One tree; arrays over its nodes, -1 in ``left`` at a leaf."""

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    split: NDArray[np.int64]
    value: NDArray[np.float32]  # threshold, or the value of the leaf


@dataclass(frozen=True, slots=True, eq=False)
class OldBooster:
    """A ``binary:logistic`` gbtree; ``base_margin`` as the file holds it, which is after the logit."""

    columns: int
    base_margin: float
    trees: tuple[OldTree, ...]


def parse(data: bytes) -> OldBooster:
    """Parse raw bytes of xgboost 0.7x.

    Raises
    ------
    DefectError
        They are cut short, contradict themselves, or are of another objective or booster.
    """
    reader = _Reader(data.removeprefix(MAGIC))
    base_margin = reader.real()
    columns, classes, *_ = reader.record(LEARNER)
    objective, kind = reader.text(), reader.text()
    if (objective, kind) != ("binary:logistic", "gbtree"):
        raise DefectError(f"is {kind} for {objective} instead of gbtree for binary:logistic")
    count, _, inner, _, _, groups, leaf_vector, *_ = reader.record(MODEL)
    if classes > 1 or groups != 1 or leaf_vector or inner != columns or not 0 < count <= MOST_TREES:
        raise DefectError(f"holds {count} trees of {groups} groups over {columns} columns, which cannot be")
    trees = tuple(_tree(reader, columns) for _ in range(count))
    reader.skip(4 * count)  # the group of each tree
    return OldBooster(columns, base_margin, trees)


class _Reader:
    """A cursor that refuses to run over the end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def skip(self, size: int) -> int:
        """Advance; return where the skipped part begins."""
        begin, self._at = self._at, self._at + size
        if size < 0 or self._at > len(self._data):
            raise DefectError("holds a model that is cut short or not of xgboost 0.7x")
        return begin

    def record(self, form: struct.Struct) -> tuple[int, ...]:
        """Read one fixed record of whole numbers."""
        return form.unpack_from(self._data, self.skip(form.size))

    def real(self) -> float:
        """Read one number."""
        (value,) = REAL.unpack_from(self._data, self.skip(REAL.size))
        if not np.isfinite(value):
            raise DefectError("holds a base score that is no number")
        return float(value)

    def text(self) -> str:
        """Read a text with its length in front."""
        (size,) = self.record(LENGTH)
        begin = self.skip(size)
        return self._data[begin : self._at].decode("ascii", "replace")

    def nodes(self, count: int) -> NDArray[np.void]:
        """Read the nodes of a tree."""
        begin = self.skip(count * NODE.itemsize)
        return np.frombuffer(self._data, NODE, count, begin)


def _tree(reader: _Reader, columns: int) -> OldTree:
    roots, count, _, _, inner, leaf_vector, *_ = reader.record(TREE)
    if roots != 1 or not 0 < count <= MOST_NODES or inner != columns or leaf_vector:
        raise DefectError("holds a tree whose header cannot be")
    nodes = reader.nodes(count)
    reader.skip(STATISTICS_BYTES * count)
    left, right = nodes["left"].astype(np.int64), nodes["right"].astype(np.int64)
    split = (nodes["split"] & ~DEFAULT_LEFT).astype(np.int64)
    tree = OldTree(left, right, split, nodes["value"].astype(np.float32))
    if not _is_sound(tree, columns):
        raise DefectError("holds a tree that contradicts itself")
    return tree


def _is_sound(tree: OldTree, columns: int) -> bool:
    """Tell whether the nodes under the root form a tree; pruned nodes stay in the file, out of its reach."""
    reached, waiting = {0}, [0]
    while waiting:
        node = waiting.pop()
        if not np.isfinite(tree.value[node]):
            return False
        if tree.left[node] < 0:
            continue
        children = {int(tree.left[node]), int(tree.right[node])}
        inside = all(0 < child < len(tree.left) for child in children)
        if len(children) < 2 or not inside or children & reached or tree.split[node] >= columns:
            return False
        reached |= children
        waiting += children
    return True
