"""A matrix as the sequence of its blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload


class BlockSequence(Sequence[Mapping[str, Any]]):
    """The blocks on a matrix's diagonal, as they come from the server."""

    def __init__(self, blocks: Sequence[Mapping[str, Any]]) -> None:
        self._blocks = list(blocks)

    @overload
    def __getitem__(self, index: int) -> Mapping[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[Mapping[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> Mapping[str, Any] | list[Mapping[str, Any]]:
        return self._blocks[index]

    def __len__(self) -> int:
        return len(self._blocks)

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return iter(self._blocks)
