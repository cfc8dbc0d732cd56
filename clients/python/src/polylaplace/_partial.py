"""What a fit has summed over a part of the data."""

from __future__ import annotations

from ._client import Client
from ._default_client import default_client
from ._exceptions import DataError


class Partial:
    """A partial fit: parts of the data on different machines, added up.

    Partials add (`p + q`, `sum(parts)`), pickle, and travel as bytes between machines and languages.

    >>> total = sum(la.fit_partial(X, y) for X, y in shards)  # doctest: +SKIP
    >>> la.fit_merged(total)  # doctest: +SKIP
    """

    __slots__ = ("_data", "n")

    def __init__(self, data: bytes, n: int) -> None:
        self._data = bytes(data)
        #: Number of examples.
        self.n = int(n)

    def __add__(self, other: object) -> Partial:
        if not isinstance(other, Partial):
            return NotImplemented
        return merge([self, other])

    def __radd__(self, other: object) -> Partial:
        # So that sum() works, which begins with 0.
        return self if other == 0 else NotImplemented

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Partial) and self._data == other._data

    def __hash__(self) -> int:
        return hash(self._data)

    def __reduce__(self) -> tuple[type[Partial], tuple[bytes, int]]:
        return Partial, (self._data, self.n)

    def __repr__(self) -> str:
        return f"Partial(n={self.n}, {len(self._data)} bytes)"

    def to_bytes(self) -> bytes:
        """The partial fit as bytes."""
        return self._data

    @staticmethod
    def from_bytes(data: bytes, *, client: Client | None = None) -> Partial:
        """A partial fit from bytes, checked."""
        return _merged([bytes(data)], client)


def merge(partials: list[Partial], *, client: Client | None = None) -> Partial:
    """The sum of partial fits, in one call.

    Raises:
        StateError: DIGEST_MISMATCH when they belong to different networks or options.
    """
    if not partials:
        raise DataError("There are no partial fits to merge.", "EMPTY_DATA")
    return _merged([partial.to_bytes() for partial in partials], client)


def _merged(parts: list[bytes], client: Client | None) -> Partial:
    answer = (client or default_client()).call("mergePartials", {"partials": parts})
    return Partial(answer["partial"], answer["examples"])
