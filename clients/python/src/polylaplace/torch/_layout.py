# mypy: disable-error-code="import-not-found"
"""The order of a module's parameters beside the core's.

The core has a matrix by which a network multiplies from the right (x @ W, of GPT-2's `Conv1D` for instance) as out x
in; a vector of torch's parameters has it as it is stored. The core's parameters of a subnetwork ascend; torch's are in
the order in which they were named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

#: What the core says of a tensor of parameters: `name`, `shape`, `size`, and `transposed` where it is so.
CoreParameter = Mapping[str, Any]


def in_core_order(parameters: Sequence[CoreParameter]) -> Tensor | None:
    """For each of the core's parameters its place in torch's vector; None where the orders are the same."""
    if not any(each.get("transposed") for each in parameters):
        return None
    places, start = [], 0
    for each in parameters:
        size = prod(each["shape"])
        own = torch.arange(start, start + size)
        if each.get("transposed"):
            rows, columns = each["shape"]
            own = own.view(columns, rows).T.flatten()
        places.append(own)
        start += size
    return torch.cat(places)


def as_torch(H: Any, order: Tensor | None, parameters: Sequence[CoreParameter], examples: float) -> Any:
    """A curvature of the core, a tensor or the factors of each block, in torch's order.

    Args:
        order: for each of the core's parameters its place among torch's.
        examples: how many rows there were, whose mean second factors are.
    """
    if order is None:
        return H
    if isinstance(H, Tensor):
        place = order.argsort().to(H.device)
        return H[place] if H.ndim == 1 else H[place][:, place]
    pairs = zip(H, parameters, strict=True)
    return [_turned(block, each, examples) if each.get("transposed") else block for block, each in pairs]


def _turned(factors: list[Tensor], parameter: CoreParameter, examples: float) -> list[Tensor]:
    """The factors of a block of a matrix that torch has as in x out."""
    if len(factors) == 2:
        # The first factor is a sum over the rows, and the second their mean, whichever way round they stand.
        B, A = factors
        return [A * examples, B / examples]
    place = in_core_order([parameter])
    assert place is not None
    place = place.argsort().to(factors[0].device)
    return [factors[0][place] if factors[0].ndim == 1 else factors[0][place][:, place]]
