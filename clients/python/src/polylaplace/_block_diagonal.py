"""Block-diagonal matrices: the curvature of structure 'blockdiag'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ._block_sequence import BlockSequence
from ._data import Array


class BlockDiagonal(BlockSequence):
    """The symmetric (P, P) matrix that is zero between its blocks.

    A block is a mapping with the `names` of its tensors, the places of its `parameters` in theta (n,), and its `matrix`
    (n, n).
    """

    def __init__(self, blocks: Sequence[Mapping[str, Any]], size: int) -> None:
        super().__init__([{**block, "parameters": np.asarray(block["parameters"], dtype=np.int64)} for block in blocks])
        self._size = size

    def __repr__(self) -> str:
        return f"BlockDiagonal({'; '.join(', '.join(block['names']) for block in self._blocks)})"

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the whole matrix."""
        return self._size, self._size

    def diag(self) -> Array:
        """The diagonal of the whole matrix, (P,)."""
        diagonal: Array = np.zeros(self._size)
        for block in self._blocks:
            diagonal[block["parameters"]] = np.diag(block["matrix"])
        return diagonal

    def to_dense(self) -> Array:
        """The whole matrix, (P, P)."""
        matrix: Array = np.zeros(self.shape)
        for block in self._blocks:
            matrix[np.ix_(block["parameters"], block["parameters"])] = block["matrix"]
        return matrix
