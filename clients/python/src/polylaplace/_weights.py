"""How often each row of a fit counts."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._data import Array, to_array
from ._examples import Examples
from ._exceptions import OptionError, ShapeError


def as_weights(weight: Any, rows: int) -> dict[str, Array]:
    """Weights (n,) as they are sent; nothing where there are none.

    Raises:
        ShapeError: when there is not one for each row.
    """
    return WeightsInTurn(weight).all(rows)


def repeated(x: Examples, y: Array, weight: Any) -> tuple[Examples, Array]:
    """Every row (n, ...) as often as its weight says, for what has no weights of its own.

    Raises:
        OptionError: BAD_COMBINATION for weights that are no whole numbers.
    """
    own = as_weights(weight, len(y)).get("sampleWeight")
    if own is None:
        return x, y
    if not np.array_equal(own, np.trunc(own)):
        raise OptionError(
            "The rows are read once more, where a weight (sample_weight) is a whole number: how often the row is "
            "there. For other weights tune by 'marglik' or 'gridsearch', or give the prior precision.",
            "BAD_COMBINATION",
            {"option": "sample_weight"},
        )
    rows = np.repeat(np.arange(len(y)), own.astype(np.int64))
    return x[rows], y[rows]


class WeightsInTurn:
    """The weights (n,) of rows that come in batches, one after another."""

    def __init__(self, weight: Any) -> None:
        self._weights = (
            None if weight is None else np.asarray(to_array(weight, "sample_weight"), np.float64).reshape(-1)
        )
        self._taken = 0

    def next(self, rows: int) -> dict[str, Array]:
        """Those of the next rows, as they are sent."""
        if self._weights is None:
            return {}
        own = self._weights[self._taken : self._taken + rows]
        self._taken += rows
        if len(own) < rows:
            raise self._wrong()
        return {"sampleWeight": own}

    def end(self) -> None:
        """Checks that there are no more weights than rows."""
        if self._weights is not None and self._taken != len(self._weights):
            raise self._wrong()

    def all(self, rows: int) -> dict[str, Array]:
        """Those of all rows at once."""
        found = self.next(rows)
        self.end()
        return found

    def _wrong(self) -> ShapeError:
        count = 0 if self._weights is None else len(self._weights)
        return ShapeError(
            f"sample_weight has {count} entries, and there are {self._taken} rows or more; it is one number a row.",
            "SHAPE_MISMATCH",
            {"expected": self._taken, "actual": count},
        )
