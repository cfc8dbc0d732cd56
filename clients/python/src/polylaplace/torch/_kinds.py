# mypy: disable-error-code="import-not-found"
"""What the arguments of this package may be, beside the kinds of the rest of the client."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from .._arguments import KINDS, Count
from .._exceptions import DataError, LaplaceWarning, OptionError, ShapeError
from ._levels import user_level

__all__ = [
    "Count",
    "Inputs",
    "allow_words",
    "as_batch",
    "as_vector",
    "counted_rows",
    "demand_finite",
    "demand_finite_rows",
    "demand_positive",
]

#: What a network is called with: a tensor, a mapping of tensors, or an object of the network's own.
Inputs: TypeAlias = Any


def _is_inputs(value: Any) -> bool:
    bare = (str, bytes, bool, int, float, complex, np.ndarray, np.generic)
    if isinstance(value, Mapping):
        return any(isinstance(each, Tensor) for each in value.values())
    if isinstance(value, (list, tuple)):
        return len(value) > 0 and all(map(_is_inputs, value))
    return value is not None and type(value) is not object and not isinstance(value, bare)


def _is_device(value: Any) -> bool:
    try:
        torch.device(value)
    except (TypeError, RuntimeError):
        return False
    return True


def _is_loader(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping, Tensor, np.ndarray))


def _instance(kind: Any) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kind)


def allow_words(*kinds: type[StrEnum]) -> None:
    """Lets arguments `Kind | str` be the words of a kind alone."""
    for kind in kinds:
        words = [each.value for each in kind]
        known = functools.partial(_is_word, words)
        KINDS[f"{kind.__name__} | str"] = known, "one of " + ", ".join(map(repr, words))


def _is_word(words: list[str], value: Any) -> bool:
    return isinstance(value, str) and value in words


KINDS |= {
    "Tensor": (_instance(Tensor), "a tensor"),
    "Sequence[Tensor]": (
        lambda value: isinstance(value, (list, tuple)) and bool(value) and all(map(_instance(Tensor), value)),
        "a list of tensors",
    ),
    "nn.Module": (_instance(nn.Module), "a torch.nn.Module"),
    "DataLoader": (
        _is_loader,
        "a DataLoader, or something else that gives batches (x, y) whenever it is iterated over",
    ),
    "Iterable[Any]": (lambda value: isinstance(value, Iterable) and not isinstance(value, (str, bytes)), "a list"),
    "torch.Generator": (_instance(torch.Generator), "a torch.Generator"),
    "torch.dtype": (_instance(torch.dtype), "a torch.dtype"),
    "torch.device | str": (_is_device, "a torch.device"),
    "type[CurvatureInterface]": (_instance(type), "a class of polylaplace.torch.curvature"),
    "Callable[..., Any]": (callable, "a class or a function"),
    "Inputs": (_is_inputs, "a tensor or a mapping of tensors, as the network takes them"),
}


def demand_finite(value: Any, name: str) -> Any:
    """A number or a tensor, unchanged.

    Raises:
        OptionError: where a part of it is NaN or infinite.
    """
    tensor = value.detach() if isinstance(value, Tensor) else torch.as_tensor(float(value))
    # A sum that is finite has finite parts; the exact question takes five operations.
    if not math.isfinite(tensor if tensor.numel() == 1 else tensor.sum()) and not torch.isfinite(tensor).all():
        raise OptionError(f"{name} must be finite; it has NaN or infinity.", "BAD_OPTION", {"option": name})
    return value


def demand_positive(value: Any, name: str) -> Any:
    """A number or a tensor, unchanged.

    Raises:
        OptionError: where a part of it is not a finite number above 0.
    """
    if isinstance(value, Tensor):
        least = float(value.detach() if value.numel() == 1 else demand_finite(value, name).detach().min())
    else:
        least = float(value)
    if not (math.isfinite(least) and least > 0):
        raise OptionError(f"{name} must be greater than 0; got {least:g}.", "BAD_OPTION", {"option": name})
    return value


def demand_finite_rows(x: Inputs) -> Inputs:
    """Inputs, unchanged.

    Raises:
        DataError: for NaN or infinity in a tensor; in a mapping infinity may be a mask.
    """
    if isinstance(x, Tensor) and not torch.isfinite(x).all():
        raise DataError("x has NaN or infinity: the network would make NaN of it.", "NOT_FINITE")
    named = x.items() if isinstance(x, Mapping) else ()
    for name, value in named:
        if isinstance(value, Tensor) and value.isnan().any():
            raise DataError(f"x[{name!r}] has NaN: the network would make NaN of it.", "NOT_FINITE")
    return x


class MissingKeyError(DataError, KeyError):
    """A batch without a key that is needed: as laplace-torch has it, a KeyError too."""

    # That of KeyError quotes the message.
    __str__ = Exception.__str__


def as_batch(batch: Any, label_key: str) -> tuple[Inputs, Tensor]:
    """Inputs and labels of a batch of a loader, (x, y) or a mapping which is its own inputs.

    Raises:
        MissingKeyError: for a mapping without labels.
        DataError: for anything else.
        ShapeError: when there is not a label for each row.
    """
    if isinstance(batch, Mapping):
        if label_key not in batch:
            raise MissingKeyError(
                f"The batches have no {label_key!r} (dict_key_y); they have {', '.join(map(repr, batch))}.", "BAD_ARRAY"
            )
        x, y = batch, batch[label_key]
    elif isinstance(batch, (list, tuple)) and len(batch) >= 2:
        x, y = batch[0], batch[1]
    else:
        raise DataError(
            f"A batch must be (x, y) or a mapping of tensors; got a value of type {type(batch).__name__}.", "BAD_ARRAY"
        )
    if not isinstance(y, Tensor):
        raise DataError(f"The labels of a batch must be a tensor; got {type(y).__name__}.", "BAD_ARRAY")
    if isinstance(x, Tensor) and x.ndim and y.ndim and len(x) != len(y):
        raise ShapeError(f"A batch has {len(x)} rows and {len(y)} labels.", "SHAPE_MISMATCH")
    return x, y


#: torch's ignore_index: the label of a row that does not count.
NO_LABEL = -100


def counted_rows(y: Tensor) -> Tensor | None:
    """Which rows count, where labels of classes leave some out by torch's ignore_index; None: all of them."""
    if y.ndim != 1 or y.is_floating_point():
        return None
    counted = y != NO_LABEL
    if bool(counted.all()):
        return None
    warnings.warn(
        f"Rows whose label is {NO_LABEL}, torch's ignore_index, do not count: neither in the loss nor in the "
        "curvature.",
        LaplaceWarning,
        stacklevel=user_level(),
    )
    return counted


def as_vector(parameters: Iterable[Tensor]) -> Tensor:
    """Parameters as one vector, each row-major, also those that lie in memory otherwise (channels_last)."""
    return torch.cat([parameter.reshape(-1) for parameter in parameters])
