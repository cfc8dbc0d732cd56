# mypy: disable-error-code="import-not-found"
"""Small batches as one: a message takes longer than summing the rows of a small network does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

#: Inputs, a tensor or tensors by name, and labels.
Batch: TypeAlias = tuple[Any, Any]

#: Batches up to so many bytes together are read before any of them is sent.
_AHEAD = 2**19


def read_ahead(batches: Iterator[Batch]) -> tuple[list[Batch], Iterator[Batch] | None]:
    """The batches that were read, as one where they are small and rows of one table, and those that were not.

    Returns:
        The first batches, and None for the others where there are none.
    """
    read: list[Batch] = []
    size = 0
    for x, y in batches:
        tensors = [*(x.values() if isinstance(x, Mapping) else (x,)), y]
        if not all(isinstance(each, Tensor) and each.ndim for each in tensors):
            return [*read, (x, y)], batches
        size += sum(each.nbytes for each in tensors)
        if size > _AHEAD:
            return [*read, (x, y)], batches
        # A loader may write the next batch where this one lies.
        read.append((_copied(x), y.clone()))
    return _as_one(read), None


def _copied(x: Any) -> Any:
    return {name: value.clone() for name, value in x.items()} if isinstance(x, Mapping) else x.clone()


def _as_one(read: list[Batch]) -> list[Batch]:
    """All of them joined, or as they are where a shape, a dtype or a name of one is another."""
    if len(read) < 2 or len({(_kind(x), _kind(y)) for x, y in read}) > 1:
        return read
    first, tables = read[0][0], [x for x, _ in read]
    named = isinstance(first, Mapping)
    inputs = {name: _joined([x[name] for x in tables]) for name in first} if named else _joined(tables)
    return [(inputs, _joined([y for _, y in read]))]


def _kind(value: Any) -> Any:
    """What must agree of tensors that are joined along their rows."""
    if isinstance(value, Mapping):
        return tuple((name, _kind(each)) for name, each in value.items())
    return tuple(value.shape[1:]), value.dtype, value.device


def _joined(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat(tuple(tensors))
