"""Examples as they are given to a network: one array, or one for each of its inputs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ._arguments import is_whole
from ._data import Array, SeveralInputs, frame_columns, is_array, to_array
from ._exceptions import DataError, ShapeError

#: Names of more columns than this are not sent.
_MOST_COLUMNS = 10_000


@dataclass(frozen=True, slots=True)
class InputArray:
    """The array of one input (n, ...), with the names of input and columns where there are any."""

    values: Array
    name: str | None = None
    columns: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Examples:
    """n examples: one array, or one for each input of the network."""

    arrays: tuple[InputArray, ...]

    def __len__(self) -> int:
        return len(self.arrays[0].values) if self.arrays and self.arrays[0].values.ndim else 0

    def __getitem__(self, rows: Any) -> Examples:
        return Examples(
            tuple(InputArray(part.values[rows], part.name, part.columns) for part in self.arrays),
        )

    @property
    def nbytes(self) -> int:
        """The bytes of all arrays."""
        return sum(part.values.nbytes for part in self.arrays)

    @property
    def only(self) -> Array | None:
        """The array, where there is one without a name of its own."""
        return self.arrays[0].values if len(self.arrays) == 1 and self.arrays[0].name is None else None

    def with_columns(self, names: Iterable[str] | None) -> Examples:
        """The same with names of the columns."""
        if names is None or self.only is None:
            return self
        return Examples((InputArray(self.arrays[0].values, None, tuple(names)),))

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Examples:
        """Several one after another; inputs that have names are matched by them."""
        first = parts[0]
        if len(parts) == 1:
            return first
        return Examples(
            tuple(
                InputArray(concatenated([_same(part, i, own) for part in parts]), own.name, own.columns)
                for i, own in enumerate(first.arrays)
            )
        )


def concatenated(batches: Sequence[Array]) -> Array:
    """Batches one after another.

    Raises:
        ShapeError: when their examples differ in shape.
    """
    for number, batch in enumerate(batches):
        if batch.shape[1:] != batches[0].shape[1:]:
            raise ShapeError(
                f"Batch {number} has examples of shape {batch.shape[1:]}, and batch 0 of shape {batches[0].shape[1:]}: "
                "pad or cut sequences to one length (tokenizers: padding='max_length'), and mask the padding.",
                "SHAPE_MISMATCH",
            )
    return np.concatenate(batches)


def _same(part: Examples, place: int, like: InputArray) -> Array:
    """The array of a batch for the input of another batch's array, its columns in that one's order."""
    if like.name is None and len(part.arrays) > place:
        return _ordered(part.arrays[place], like)
    for own in part.arrays:
        if own.name == like.name:
            return _ordered(own, like)
    raise DataError(f"A batch has no input {like.name or place!r}, which an earlier one has.", "BAD_ARRAY")


def _ordered(own: InputArray, like: InputArray) -> Array:
    if own.columns is None or like.columns is None or own.columns == like.columns:
        return own.values
    if sorted(own.columns) != sorted(like.columns) or len(set(own.columns)) < len(own.columns):
        raise DataError(
            f"A batch has the columns {', '.join(own.columns[:20])}, and an earlier one has "
            f"{', '.join(like.columns[:20])}: select the same ones of every batch.",
            "BAD_ARRAY",
        )
    return own.values[:, [own.columns.index(name) for name in like.columns]]


def is_mapping(value: Any) -> bool:
    """Whether a value maps the names of inputs to arrays. Sparse matrices of scipy may be dictionaries too."""
    return isinstance(value, Mapping) and not hasattr(value, "tocsr")


def to_examples(
    value: Any,
    name: str,
    *,
    rows: int | None = None,
    inputs: Collection[int] | None = None,
    without: str | None = None,
) -> Examples:
    """Examples from outside: an array-like, a data frame, a mapping of arrays by input, or a list of them in order.

    Args:
        name: of the user's argument.
        rows: how many examples there are, where labels say it.
        inputs: how many arrays a list may have, where that is known: one for each input that the network reads, or
            for each that it declares.
        without: the key of a mapping that holds the labels.

    Raises:
        DataError: when it is not made of arrays of numbers.
    """
    if isinstance(value, Examples):
        return value
    if is_mapping(value):
        arrays = tuple(
            InputArray(_rows(part, f"{name}[{key!r}]"), str(key)) for key, part in value.items() if key != without
        )
        if not arrays:
            raise DataError(f"{name} is a mapping without arrays.", "EMPTY_DATA", {"array": name})
        return Examples(arrays)
    if isinstance(value, (list, tuple)) and _is_list_of_inputs(value, rows, inputs):
        return Examples(tuple(_frame(part, f"{name}[{i}]") for i, part in enumerate(value)))
    return Examples((_frame(value, name),))


def _frame(value: Any, name: str) -> InputArray:
    """An array, with the names of its columns where it is a data frame."""
    return InputArray(_rows(value, name), None, _names(frame_columns(value), name))


def _names(columns: tuple[Any, ...] | None, name: str) -> tuple[str, ...] | None:
    """The names of a frame's columns: text or numbers; None where they only count the columns.

    Raises:
        DataError: for a frame without names whose columns were put in another order.
    """
    if columns is None or len(columns) > _MOST_COLUMNS:
        return None
    if all(isinstance(column, str) for column in columns):
        return columns
    if not all(is_whole(column) for column in columns) or list(columns) == list(range(len(columns))):
        return None
    if sorted(columns) == list(range(len(columns))):
        raise DataError(
            f"The columns of {name} have numbers for names, and are in the order "
            f"{', '.join(map(str, columns[:20]))}. Put them in the order that the network was trained on and give "
            f"{name}.to_numpy(), or name them.",
            "BAD_ARRAY",
            {"array": name},
        )
    return tuple(map(str, columns))


def _rows(value: Any, name: str) -> Array:
    array = to_array(value, name)
    if array.ndim == 0:
        raise DataError(f"{name} must hold rows of examples, (n, ...); got one value.", "BAD_ARRAY", {"array": name})
    return array


def _is_list_of_inputs(value: Sequence[Any], rows: int | None, inputs: Collection[int] | None) -> bool:
    """Whether a list holds an array for each input; else it holds the examples, one after another."""
    if len(value) < 2 or not all(is_array(part) for part in value):
        return False
    if isinstance(value, SeveralInputs):
        return True
    if inputs is not None:
        return len(value) in inputs
    shapes = {tuple(np.shape(part)) for part in value}
    if len(shapes) > 1:
        return True
    (shape,) = shapes
    return rows is not None and len(value) != rows and len(shape) > 0 and shape[0] == rows
