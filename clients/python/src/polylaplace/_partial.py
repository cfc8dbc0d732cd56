"""What a fit has summed over a part of the data."""

from __future__ import annotations

from typing import Any

from ._arguments import CheckedArguments, checked, is_whole
from ._client import Client
from ._default_client import default_client
from ._exceptions import DataError


class Partial(CheckedArguments):
    """A partial fit: parts of the data on different machines, added up.

    Partials add (`p + q`, `sum(parts)`), are taken away again (`total - p`), pickle, and travel as bytes between
    machines and languages. Each knows the chunks of data that it has summed: one that holds a chunk of the other is
    refused.

    >>> import numpy as np
    >>> from polylaplace import Laplace
    >>> la = Laplace({"0.weight": np.eye(2), "0.bias": np.zeros(2)}, "classification", prior_precision=1.0)
    >>> X = np.random.default_rng(0).normal(size=(30, 2))
    >>> parts = [la.fit_partial(rows, rows.argmax(axis=1)) for rows in (X[:10], X[10:])]
    >>> la.fit_merged(sum(parts)).predict(X[:1]).probabilities.shape
    (1, 2)
    """

    __slots__ = ("_chunks", "_data", "n")

    def __init__(self, data: bytes, n: float, chunks: bytes | None = None) -> None:
        self._data = bytes(data)
        self._chunks = None if chunks is None else bytes(chunks)
        #: Number of examples: the sum of their weights, where they have some.
        self.n: int | float = int(n) if is_whole(n) else float(n)

    @property
    def chunks(self) -> tuple[str, ...] | None:
        """The digests of the chunks of data that were summed, ascending; None for a partial of version 0.1.0."""
        if self._chunks is None:
            return None
        return tuple(self._chunks[at : at + 32].hex() for at in range(0, len(self._chunks), 32))

    def __add__(self, other: object) -> Partial:
        if not isinstance(other, Partial):
            return NotImplemented
        return merge([self, other])

    def __sub__(self, other: object) -> Partial:
        """The sums without those of a part that was added before."""
        if not isinstance(other, Partial):
            return NotImplemented
        return partial_of(default_client().call("subtractPartial", {"partial": self._data, "part": other._data}))

    def __radd__(self, other: object) -> Partial:
        # So that sum() works, which begins with 0.
        return self if other == 0 else NotImplemented

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Partial) and self._data == other._data

    def __hash__(self) -> int:
        return hash(self._data)

    def __reduce__(self) -> tuple[type[Partial], tuple[bytes, float, bytes | None]]:
        return Partial, (self._data, self.n, self._chunks)

    def __repr__(self) -> str:
        return f"Partial(n={self.n}, {len(self._data)} bytes)"

    def to_bytes(self) -> bytes:
        """The partial fit as bytes."""
        return self._data

    @staticmethod
    def from_bytes(data: bytes, *, client: Client | None = None) -> Partial:
        """A partial fit from bytes, checked."""
        return _merged([bytes(data)], "refuse", client)


@checked
def merge(partials: list[Partial], *, repeats: str = "refuse", client: Client | None = None) -> Partial:
    """The sum of partial fits, in one call. The order in which they are given changes no bit.

    Args:
        repeats: 'refuse': two parts may not hold the same chunk of data; 'skip': some parts are copies of the same work
            (a retry, a task that ran twice), and a chunk counts once; 'count': chunks of equal rows are all meant.

    Raises:
        StateError: DIGEST_MISMATCH when they belong to different networks or options; DUPLICATE_CHUNK.
    """
    if not partials:
        raise DataError("There are no partial fits to merge.", "EMPTY_DATA")
    return _merged([partial.to_bytes() for partial in partials], repeats, client)


def _merged(parts: list[bytes], repeats: str, client: Client | None) -> Partial:
    answer = (client or default_client()).call("mergePartials", {"partials": parts, "repeats": repeats})
    return partial_of(answer)


def partial_of(answer: dict[str, Any]) -> Partial:
    """The partial fit of a server's answer."""
    return Partial(answer["partial"], answer["examples"], answer["chunks"])
