"""Kronecker-factored matrices, as they come from the server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ._block_sequence import BlockSequence
from ._data import Array


class KronFactors(BlockSequence):
    """A block-diagonal matrix with one block for each tensor, in parameter order.

    A block is a mapping with `name` and either `B` (b, b) and `A` (a, a) (the block is B ⊗ A), `B` alone (a dense
    block), or `diagonal` (d,). The matrix is `scale` times the blocks, plus on the diagonal of each block its number in
    `delta`, which has one for each block.
    """

    def __init__(self, blocks: Sequence[Mapping[str, Any]], scale: float = 1.0, delta: Array | None = None) -> None:
        super().__init__(blocks)
        self.scale = scale
        self.delta = None if delta is None else np.asarray(delta, dtype=np.float64)

    def __repr__(self) -> str:
        shapes = ", ".join(f"{block['name']}: {_size(block)}" for block in self._blocks)
        return f"KronFactors({shapes})"

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the whole matrix."""
        size = sum(_size(block) for block in self._blocks)
        return size, size

    def diag(self) -> Array:
        """The diagonal of the whole matrix, (P,)."""
        parts = [_diagonal(block) for block in self._blocks]
        diagonal: Array = self.scale * np.concatenate(parts)
        return diagonal if self.delta is None else diagonal + self._by_parameter(self.delta)

    def _by_parameter(self, delta: Array) -> Array:
        return np.repeat(delta, [_size(block) for block in self._blocks])

    def to_dense(self) -> Array:
        """The whole matrix, (P, P)."""
        matrix = np.zeros(self.shape)
        at = 0
        for block in self._blocks:
            end = at + _size(block)
            matrix[at:end, at:end] = self.scale * _dense(block)
            at = end
        if self.delta is not None:
            matrix[np.diag_indices(at)] += self._by_parameter(self.delta)
        return matrix


def _size(block: Mapping[str, Any]) -> int:
    if block.get("diagonal") is not None:
        return int(np.size(block["diagonal"]))
    return len(block["B"]) * (1 if block.get("A") is None else len(block["A"]))


def _dense(block: Mapping[str, Any]) -> Array:
    if block.get("diagonal") is not None:
        return np.diag(np.ravel(block["diagonal"]))
    return np.asarray(block["B"]) if block.get("A") is None else np.kron(block["B"], block["A"])


def _diagonal(block: Mapping[str, Any]) -> Array:
    if block.get("diagonal") is not None:
        return np.ravel(block["diagonal"])
    outer = np.diag(block["B"])
    return outer if block.get("A") is None else np.kron(outer, np.diag(block["A"]))
