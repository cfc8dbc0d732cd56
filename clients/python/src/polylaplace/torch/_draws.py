# mypy: disable-error-code="import-not-found"
"""Draws of many parameters, made a part at a time while their numbers are in the processor's caches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ._kinds import Count

#: Numbers of a part: 0.5 MB in single precision, with what is made of them within a second-level cache.
_AT_ONCE = 2**17
#: A part has so many rows at least, or a matrix that multiplies it is read from memory too often.
_ROWS_AT_LEAST = 256
#: A CPU's generator makes normal numbers by blocks of so many; parts of whole blocks are the numbers of one call.
_BLOCK = 16


def drawn(
    n_samples: Count,
    width: int,
    generator: torch.Generator | None,
    draws: Callable[[Tensor], Tensor],
    device: Any,
    dtype: Any,
) -> Tensor:
    """What a function makes of standard normal numbers, row by row.

    The numbers are those of one call of `torch.randn(n_samples, width)`.

    Args:
        draws: takes noise (m, width) and returns draws (m, width), each of its row alone.

    Returns:
        Draws (n_samples, width).
    """
    like: dict[str, Any] = {"device": device, "dtype": dtype}
    rows = max(_AT_ONCE // max(width, 1), _ROWS_AT_LEAST) // _BLOCK * _BLOCK
    # The last part takes what is left too: fewer numbers than a block are made in another way.
    parts = n_samples // rows if torch.device(device).type == "cpu" else 1
    if parts <= 1:
        return draws(torch.randn(n_samples, width, **like, generator=generator))
    first = draws(torch.randn(rows, width, **like, generator=generator))
    result = first.new_empty(n_samples, width)
    result[:rows] = first
    for part in range(1, parts):
        start = part * rows
        stop = n_samples if part == parts - 1 else start + rows
        result[start:stop] = draws(torch.randn(stop - start, width, **like, generator=generator))
    return result
