"""What the arguments of this package may be, beside the kinds of the rest of the client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from .._arguments import KINDS, is_whole

#: A seed: a whole number from 0.
Seed: TypeAlias = int
#: A number between 0 and 1, both excluded.
Share: TypeAlias = float


def _is_names(value: Any) -> bool:
    return isinstance(value, str) or KINDS["Sequence[str]"][0](value)


def _is_features(value: Any) -> bool:
    of_inputs = isinstance(value, Mapping) and bool(value)
    return value is None or (all(map(_is_names, value.values())) if of_inputs else _is_names(value))


def _is_share(value: Any) -> bool:
    return KINDS["float"][0](value) and 0 < value < 1


KINDS |= {
    "Laplace": (lambda value: hasattr(type(value), "fit_merged"), "a Laplace"),
    "Features": (_is_features, "names of columns, or a mapping from inputs to names of columns"),
    "Label": (lambda value: value is None or _is_names(value), "the name of a column, or a list of them"),
    "Seed": (lambda value: is_whole(value) and value >= 0, "a whole number from 0"),
    "Share": (_is_share, "a number between 0 and 1"),
}
