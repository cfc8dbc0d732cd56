"""Tables of every engine as examples and labels, and with the columns of a prediction: pandas, Arrow, polars, dicts."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from .._data import Array, to_array
from .._examples import Examples, InputArray
from .._exceptions import DataError, OptionError
from ._extras import needed

#: Columns that make up examples: their names, in order; by the network's inputs where it has several.
Features: TypeAlias = str | Sequence[str] | Mapping[str, str | Sequence[str]] | None
#: The column of the labels, or one for each output.
Label: TypeAlias = str | Sequence[str] | None


def demand_method(data: Any, method: str, what: str) -> None:
    """Refuses data of another engine, which lack a method."""
    if not hasattr(data, method):
        raise OptionError(
            f"The data must be {what}; got {type(data).__name__}. `fit_batches` takes what one machine holds.",
            "BAD_OPTION",
            {"option": "data"},
        )


def is_arrays(batch: Any) -> bool:
    """Whether a batch is (x, y), or (x, y, weights), and no table."""
    return isinstance(batch, (tuple, list)) and len(batch) in (2, 3)


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of a table are examples, labels and weights. Without features: all columns but the others."""

    features: Features = None
    label: Label = None
    weight: str | None = None
    #: Those of the first batch, where no features are named: the others may have them in another order.
    found: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.weight, (str, type(None))):
            raise OptionError(
                "sample_weight must be the name of a column; of arrays the weights come with them: (x, y, weights), or "
                f"fit_dask(la, X, y, sample_weight=W) with dask arrays. Got {type(self.weight).__name__}.",
                "BAD_OPTION",
                {"option": "sample_weight"},
            )

    def as_in(self, first: Any) -> Columns:
        """The same for batches whose columns are those of the first."""
        return self if is_arrays(first) or self.features is not None else replace(self, found=self._others(first))

    def examples(self, table: Any) -> Examples:
        """The examples of a table: (n, features), (n, ...) of one column of vectors, or an array for each input."""
        if isinstance(self.features, Mapping):
            return Examples(tuple(_input(table, _listed(names), name) for name, names in self.features.items()))
        names = self._in_order(table) if self.features is None else _listed(self.features)
        return Examples((_input(table, names),))

    def _in_order(self, table: Any) -> Sequence[str]:
        """The columns of the features, where none are named, in the order of the first batch."""
        names = self._others(table)
        if self.found is None or sorted(names) == sorted(self.found):
            return names if self.found is None else self.found
        raise OptionError(
            f"The columns of the features are {', '.join(names[:20])}, and those of the first batch "
            f"{', '.join(self.found[:20])}: name them (features), or give every batch the same.",
            "BAD_OPTION",
            {"option": "features"},
        )

    def _others(self, table: Any) -> tuple[str, ...]:
        """All columns but those of labels and weights."""
        others = [*_listed(self.label), *_listed(self.weight)]
        return tuple(name for name in names_of(table) if name not in others)

    def split(self, batch: Any) -> tuple[Any, Any, Any]:
        """Examples, labels and weights (or None) of a table or of arrays (x, y), (x, y, weights)."""
        if is_arrays(batch):
            return batch[0], batch[1], batch[2] if len(batch) == 3 else None
        if self.label is None:
            raise OptionError(
                f"label is missing: name the column of the labels among {', '.join(names_of(batch)[:20])} (a list of "
                "them where the network has several outputs), or give (x, y) batches.",
                "BAD_OPTION",
                {"option": "label"},
            )
        x, y = self.examples(batch), _matrix(batch, _listed(self.label), "y")
        weights = None if self.weight is None else _matrix(batch, [self.weight], "sample_weight")[:, 0]
        return x, y[:, 0] if isinstance(self.label, str) and y.ndim == 2 and y.shape[1] == 1 else y, weights


def _listed(columns: str | Sequence[str] | None) -> list[str]:
    return [] if columns is None else [columns] if isinstance(columns, str) else [str(name) for name in columns]


def _is_arrow(table: Any) -> bool:
    return hasattr(table, "schema") and hasattr(table, "num_rows")


def as_table(batch: Any) -> Any:
    """A batch as a table that columns can be taken of; polars and what DuckDB gives become Arrow."""
    if isinstance(batch, Mapping) or _is_arrow(batch) or (hasattr(batch, "iloc") and hasattr(batch, "columns")):
        return batch
    for method in ("to_arrow", "to_arrow_table", "fetch_arrow_table"):
        if hasattr(batch, method):
            return getattr(batch, method)()
    raise DataError(
        f"A batch is a {type(batch).__name__}; Arrow record batches or tables, data frames of pandas or polars, "
        "dictionaries of arrays, or (x, y) are needed.",
        "BAD_ARRAY",
    )


def names_of(table: Any) -> list[str]:
    """The names of a table's columns."""
    if isinstance(table, Mapping):
        return [str(name) for name in table]
    return [str(name) for name in (table.schema.names if _is_arrow(table) else table.columns)]


def count_of(table: Any) -> int:
    """The number of a table's rows."""
    if isinstance(table, Mapping):
        name, column = next(iter(table.items()), ("", ()))
        if not hasattr(column, "__len__"):
            raise DataError(f"Column '{name}' must be an array; got {type(column).__name__}.", "BAD_ARRAY")
        return len(column)
    return int(table.num_rows) if _is_arrow(table) else len(table)


def _input(table: Any, names: Sequence[str], name: str | None = None) -> InputArray:
    """The array of an input, with the names of its columns where a column is a number a row."""
    values = _matrix(table, names, "X")
    return InputArray(values, name, tuple(names) if values.ndim == 2 and values.shape[1] == len(names) else None)


def _matrix(table: Any, names: Sequence[str], what: str) -> Array:
    """Columns of numbers side by side, (n, columns); a single one of vectors or tensors as it is, (n, ...)."""
    known = names_of(table)
    for name in names:
        if known.count(name) > 1:
            raise OptionError(
                f"The table has {known.count(name)} columns '{name}': rename them.",
                "BAD_OPTION",
                {"option": "features", "value": name},
            )
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            advice = f"; did you mean '{near[0]}'?" if near else f": it has {', '.join(known[:20])}."
            raise OptionError(
                f"The table has no column '{name}'{advice}", "BAD_OPTION", {"option": "features", "value": name}
            )
    if not names:
        raise OptionError("There are no columns of features.", "BAD_OPTION", {"option": "features"})
    columns = [to_array(_column(table, name), f"{what} (column '{name}')") for name in names]
    if len(columns) == 1 and columns[0].ndim > 1:
        return columns[0]
    for name, column in zip(names, columns, strict=True):
        if column.ndim > 1:
            raise OptionError(
                f"Column '{name}' holds arrays of shape {column.shape[1:]}; it must be the only column of features.",
                "BAD_OPTION",
                {"option": "features", "value": name},
            )
    return np.column_stack(columns)


def _column(table: Any, name: str) -> Array:
    """One column, (n,) or (n, ...)."""
    values = _from_arrow(table.column(name)) if _is_arrow(table) else table[name]
    if hasattr(values, "to_numpy"):
        values = values.to_numpy()
    array = np.asarray(values)
    if array.dtype == object and len(array) and isinstance(array[0], (np.ndarray, list, tuple)):
        lengths = {np.shape(row) for row in array}
        if len(lengths) > 1:
            raise DataError(f"Column '{name}' holds arrays of several shapes: {sorted(lengths)[:4]}.", "BAD_ARRAY")
        return np.stack([np.asarray(row) for row in array])
    return array


def _from_arrow(column: Any) -> Any:
    """An Arrow column as numpy, vectors of one length without a detour over Python objects."""
    if hasattr(column, "combine_chunks"):
        column = column.combine_chunks()
    if hasattr(column, "to_numpy_ndarray"):
        return column.to_numpy_ndarray()
    size = getattr(column.type, "list_size", None)
    if size is not None and column.null_count == 0:
        return np.asarray(column.flatten().to_numpy(zero_copy_only=False)).reshape(len(column), size)
    return column.to_numpy(zero_copy_only=False)


def with_columns(table: Any, columns: Mapping[str, Array]) -> Any:
    """The table with more columns.

    Raises:
        OptionError: when it has one of that name.
    """
    taken = [name for name in columns if name in names_of(table)]
    if taken:
        raise OptionError(
            f"The table has a column '{taken[0]}' already: give the new ones a prefix, for example prefix='laplace_'.",
            "BAD_OPTION",
            {"option": "prefix"},
        )
    if isinstance(table, Mapping):
        return {**table, **columns}
    if hasattr(table, "iloc"):
        return table.assign(**columns)
    pa = needed("pyarrow", "arrow")

    arrays = [*table.columns, *map(pa.array, columns.values())]
    names = [*names_of(table), *columns]
    make = pa.Table if isinstance(table, pa.Table) else pa.RecordBatch
    return make.from_arrays(arrays, names=names)
