"""Arrays too large for one message, in batches of rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ._data import Array
from ._examples import Examples

#: Arrays above this size in bytes are sent in several messages.
BATCH_BYTES = 256 * 2**20


def exceeds_one_message(*arrays: Array | Examples) -> bool:
    """Whether arrays together are too large for one message."""
    return sum(array.nbytes for array in arrays) > BATCH_BYTES


def row_batches(x: Examples) -> Iterable[Examples]:
    """Examples in pieces that fit into one message each."""
    step = max(1, len(x) * BATCH_BYTES // max(1, x.nbytes))
    return [x] if step >= len(x) else [x[at : at + step] for at in range(0, len(x), step)]


def slices(x: Examples, y: Array) -> Iterable[tuple[Examples, Array]]:
    """Examples (n, ...) and labels (n, ...) in pieces that fit into one message each."""
    step = max(1, len(x) * BATCH_BYTES // max(1, x.nbytes + y.nbytes))
    return ((x[at : at + step], y[at : at + step]) for at in range(0, len(x), step))


def together(answers: list[dict[str, Any]]) -> dict[str, Any]:
    """The answers for some rows each as one: arrays are joined along the rows, the rest is that of the first."""
    first = answers[0]
    if len(answers) == 1:
        return first
    return {
        key: np.concatenate([answer[key] for answer in answers]) if isinstance(value, np.ndarray) else value
        for key, value in first.items()
    }
