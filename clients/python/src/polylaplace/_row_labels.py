"""The labels that pandas gives to rows: arrays that are one row beside another must have them in the same order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ._exceptions import DataError

#: Arguments of public methods whose rows belong together.
_TOGETHER = (("X", "y", "sample_weight", "mask"), ("X_val", "y_val"))


def belong_together(names: Collection[str]) -> bool:
    """Whether some arguments of these names have rows that belong together."""
    return any(name in names for group in _TOGETHER for name in group)


def refuse_reordered_arguments(given: Mapping[str, Any]) -> None:
    """Raises where arguments that belong together have the same labels of rows in several orders."""
    for names in _TOGETHER:
        refuse_reordered({name: given[name] for name in names if given.get(name) is not None})


def refuse_reordered(arrays: Mapping[str, Any]) -> None:
    """Raises where arrays (n, ...) by name have the same labels of rows, in another order.

    Rows are taken by their place. Labels that differ say nothing about it (a selection beside new labels); the same
    ones in another order say that row i of one array is not row i of the other.

    Raises:
        DataError: BAD_ARRAY, with both ways to say what is meant.
    """
    parts = [part for name, value in arrays.items() for part in _indexes(name, value)]
    for name, index in parts[1:]:
        first_name, first = parts[0]
        if len(index) == len(first) and not index.equals(first) and Counter(index) == Counter(first):
            raise DataError(
                f"The rows of {name} have the labels of those of {first_name} (their index) in another order: "
                f"{_shown(index)} and {_shown(first)}. Give {name}.loc[{first_name}.index] to match rows by label, or "
                f"{name}.to_numpy() to take them as they stand.",
                "BAD_ARRAY",
                {"array": name},
            )


def _indexes(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The labels of the rows of a frame or series; of several inputs those of each."""
    if hasattr(value, "iloc") and hasattr(getattr(value, "index", None), "equals"):
        yield name, value.index
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _indexes(f"{name}[{key!r}]", part)
    elif isinstance(value, (list, tuple)) and value and hasattr(value[0], "iloc"):
        for number, part in enumerate(value):
            yield from _indexes(f"{name}[{number}]", part)


def _shown(index: Any) -> str:
    return ", ".join(map(str, index[:4])) + (", ..." if len(index) > 4 else "")
