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
    block), or `diagonal` (d,). Of a convolution in g groups, `B` (g, b, b) and `A` (g, a, a) are those of the groups,
    whose blocks follow one another on the diagonal. The matrix is `scale` times the blocks, plus on the diagonal of
    each block its number in `delta`, which has one for each block.
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
    outer, inner = _factors(block)
    return sum(len(b) * (1 if a is None else len(a)) for b, a in zip(outer, inner, strict=True))


def _factors(block: Mapping[str, Any]) -> tuple[list[Array], list[Array | None]]:
    """B and A of every group, of which a block has one unless it is that of a convolution in groups."""
    outer, inner = np.asarray(block["B"]), block.get("A")
    if outer.ndim == 2:
        return [outer], [None if inner is None else np.asarray(inner)]
    return list(outer), [None] * len(outer) if inner is None else list(np.asarray(inner))


def _dense(block: Mapping[str, Any]) -> Array:
    if block.get("diagonal") is not None:
        return np.diag(np.ravel(block["diagonal"]))
    matrix = np.zeros((_size(block), _size(block)))
    at = 0
    for b, a in zip(*_factors(block), strict=True):
        part = b if a is None else np.kron(b, a)
        matrix[at : at + len(part), at : at + len(part)] = part
        at += len(part)
    return matrix


def _diagonal(block: Mapping[str, Any]) -> Array:
    if block.get("diagonal") is not None:
        return np.ravel(block["diagonal"])
    parts = zip(*_factors(block), strict=True)
    return np.concatenate([np.diag(b) if a is None else np.kron(np.diag(b), np.diag(a)) for b, a in parts])
