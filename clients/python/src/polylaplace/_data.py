"""Data from outside as numpy arrays: numpy, torch, pandas, polars, DataLoaders, without importing any of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from ._arguments import is_whole
from ._exceptions import DataError, OptionError, StateError
from ._likelihoods import has_numbers

#: Any array of this package.
Array: TypeAlias = np.ndarray[Any, Any]


def to_array(value: Any, name: str) -> Array:
    """An array-like as a numpy array of a dtype that can be sent.

    Accepts anything with `__array__`, `to_numpy` or `detach` (torch, also on a GPU), and nested lists.

    Raises:
        DataError: when it is not an array of numbers.
    """
    refuse_masked(value, name)
    names = frame_columns(value)
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = _from_torch(value, name)
    elif hasattr(value, "to_numpy") and not isinstance(value, np.ndarray):
        value = value.to_numpy()
    elif hasattr(value, "toarray") and hasattr(value, "tocsr"):
        raise DataError(f"{name} is a sparse matrix; give it as a dense array ({name}.toarray()).", "BAD_ARRAY")
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        reason = str(error).rstrip(".")
        raise DataError(
            f"{name} cannot be made an array of numbers: {reason}.", "BAD_ARRAY", {"array": name}
        ) from error
    return _sendable(array, name, names)


def refuse_masked(value: Any, name: str) -> None:
    """Raises for an array of numpy.ma with entries masked: under the mask there are numbers that nobody means."""
    if isinstance(value, np.ma.MaskedArray) and value.mask.any():
        raise DataError(
            f"{name} is a masked array, and {int(value.mask.sum())} of its entries are masked. Remove their rows, or "
            f"fill them in with a number that you choose ({name}.filled(number)).",
            "NOT_FINITE",
            {"array": name},
        )


def frame_columns(value: Any) -> tuple[Any, ...] | None:
    """The names of a data frame's columns; None of anything else."""
    columns = getattr(value, "columns", None) if hasattr(value, "to_numpy") else None
    return None if columns is None else tuple(columns)


def _from_torch(tensor: Any, name: str) -> Any:
    if getattr(tensor, "is_meta", False):
        raise DataError(f"{name} is a tensor of the device 'meta', which holds no numbers.", "BAD_ARRAY")
    if type(tensor).__name__ in ("UninitializedParameter", "UninitializedBuffer"):
        raise StateError(
            f"{name} is a tensor of a lazy layer, which has no shape and no numbers yet: call the module once with an "
            "example, or load its weights.",
            "NOT_FITTED",
        )
    if getattr(tensor, "is_sparse", False):
        raise DataError(f"{name} is a sparse tensor; give it as a dense one ({name}.to_dense()).", "BAD_ARRAY")
    tensor = tensor.detach().cpu()
    if str(tensor.dtype) == "torch.bfloat16":
        tensor = tensor.float()
    return tensor.numpy()


def _sendable(array: Array, name: str, columns: Sequence[Any] | None) -> Array:
    kind = array.dtype.kind
    if kind == "O":
        array = _from_objects(array, name, columns)
        kind = array.dtype.kind
    if kind == "f":
        return (
            array.astype(array.dtype.newbyteorder("="), copy=False)
            if array.dtype.itemsize in (4, 8)
            else array.astype(np.float32 if array.dtype.itemsize < 4 else np.float64)
        )
    if kind == "b" or array.dtype == np.uint8:
        return array
    if kind in "iu":
        return array.astype(np.int32 if array.dtype.itemsize <= 4 and kind == "i" else np.int64, copy=False)
    if kind in "US":
        raise text_error(array, name, columns)
    # scikit-learn's checks of estimators look for the second sentence.
    what = {"c": "complex numbers", "M": "dates", "m": "time differences"}.get(kind, f"values of dtype {array.dtype}")
    more = " Complex data not supported." if kind == "c" else ""
    raise DataError(f"{name} holds {what}; real numbers are needed.{more}", "BAD_ARRAY", {"array": name})


def _from_objects(array: Array, name: str, columns: Sequence[Any] | None) -> Array:
    """Object arrays come from mixed data frames and from pandas' nullable columns, whose NA becomes NaN."""
    if array.ndim == 0:
        raise DataError(
            f"{name} must be an array of numbers; got {type(array[()]).__name__}. Of a DataLoader or another iterable "
            "give one batch's array after another.",
            "BAD_ARRAY",
            {"array": name},
        )
    if any(isinstance(item, str) for item in array.flat):
        raise text_error(array, name, columns)
    missing = np.frompyfunc(lambda item: type(item).__name__ in ("NAType", "NaTType"), 1, 1)(array).astype(bool)
    try:
        return np.where(missing, np.nan, array).astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} holds values that are not numbers: {error}.", "BAD_ARRAY", {"array": name}) from error


def text_error(array: Array, name: str, columns: Sequence[Any] | None = None) -> DataError:
    """The error for text where numbers are due.

    Args:
        columns: the names of the array's columns.
    """
    place, example = next((at, str(item)) for at, item in np.ndenumerate(array) if isinstance(item, str))
    where = f" in column {columns[place[1]]!r}" if columns is not None and len(place) == 2 else ""
    if _is_number(example):
        advice = "These are numbers as text: make numbers of them (astype(float))."
    elif name.startswith("y"):
        advice = (
            "Code classes as integers 0, 1, 2, ...: `classes, y = numpy.unique(y, return_inverse=True)`; "
            "LaplaceClassifier does it for you."
        )
    else:
        advice = (
            "Give the numbers that the network itself takes: of a fitted Pipeline, X = model[:-1].transform(X), with "
            "the network model[-1]; or put the posterior into the Pipeline: Pipeline([*model.steps[:-1], ('laplace', "
            "LaplaceClassifier(model[-1]))]).fit(X, y), or LaplaceRegressor."
        )
    return DataError(f"{name} holds text ({example!r}){where}. {advice}", "BAD_LABELS", {"array": name})


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def is_array(value: Any) -> bool:
    """Whether a value is an array or a data frame of some package."""
    return hasattr(value, "__array__") or hasattr(value, "to_numpy") or hasattr(value, "detach")


def is_array_like(value: Any) -> bool:
    """Whether a value is examples, as opposed to an iterable of batches."""
    if is_array(value) or isinstance(value, Mapping):
        return True
    return isinstance(value, (list, tuple)) and not (len(value) > 0 and _is_batch(value[0]))


def _is_batch(value: Any) -> bool:
    if isinstance(value, Mapping):
        return True
    return (
        isinstance(value, (tuple, list))
        and len(value) >= 2
        and all(is_array(part) or isinstance(part, (Mapping, list, tuple)) for part in value)
        and any(is_array(part) or isinstance(part, Mapping) for part in value)
    )


class SeveralInputs(list[Any]):
    """An array for each input, in order, and nothing else: as many arrays as rows are no rows."""


def batches(loader: Iterable[Any], label_key: str, name: str = "data") -> Iterator[tuple[Any, Any]]:
    """The (x, y) batches of a DataLoader or any other iterable.

    A batch is a pair; or several arrays, the last of them the labels; or a mapping with the labels under a key.
    """
    if not isinstance(loader, Iterable):
        dataset = hasattr(loader, "__getitem__")
        advice = (
            " A torch Dataset becomes one by torch.utils.data.DataLoader(dataset, batch_size=256)." if dataset else ""
        )
        raise DataError(
            f"{name} must be arrays (X, y) or an iterable of (x, y) batches; got {type(loader).__name__}.{advice}",
            "BAD_ARRAY",
        )
    for number, batch in enumerate(loader):
        if isinstance(batch, Mapping):
            if label_key not in batch:
                raise DataError(
                    f"Batch {number} of the {name} has no '{label_key}' among {', '.join(map(str, batch))}: give the "
                    "key of the labels as dict_key_y.",
                    "BAD_ARRAY",
                )
            yield {key: value for key, value in batch.items() if key != label_key}, batch[label_key]
            continue
        if not isinstance(batch, (tuple, list)) or len(batch) < 2:
            raise DataError(
                f"Batch {number} of the {name} must be (x, y), or a mapping with the labels under "
                f"'{label_key}'; got {type(batch).__name__}.",
                "BAD_ARRAY",
            )
        x = batch[0] if len(batch) == 2 else SeveralInputs(batch[:-1])
        if not (_has_no_rows(batch[-1]) and _has_no_rows(batch[0])):
            yield x, batch[-1]


def _has_no_rows(part: Any) -> bool:
    """Whether an array of a batch is empty: a filter has left nothing of it, and it changes nothing."""
    return hasattr(part, "__len__") and np.ndim(part) > 0 and len(part) == 0


def fresh_seed(seed: Any) -> int:
    """A seed for one call: the given one, or one drawn from a generator or from numpy's global state."""
    if seed is None:
        return int(np.random.randint(2**31 - 1))
    if isinstance(seed, np.random.Generator):
        return int(seed.integers(2**53))
    if isinstance(seed, np.random.RandomState):
        return int(seed.randint(2**31 - 1))
    if not is_whole(seed) or not 0 <= int(seed) < 2**53:
        raise OptionError(
            f"seed must be a whole number from 0 to 2^53 - 1, or a generator of numpy; got {str(seed)[:60]}.",
            "BAD_OPTION",
            {"option": "seed"},
        )
    return int(seed)


def flat_labels(y: Array, likelihood: str) -> Array:
    """Targets of regression may be a vector; (n, 1) class labels are flattened.

    Raises:
        DataError: for a single number.
    """
    if y.ndim == 0:
        raise DataError("y must hold a label for each row, (n,) or (n, C); got one number.", "BAD_LABELS")
    return y[:, 0] if likelihood == "classification" and y.ndim == 2 and y.shape[1] == 1 else y


#: The label of a position that is left out, as torch has it.
NO_LABEL = -100


def masked(y: Any, mask: Any, likelihood: str) -> Array:
    """Labels with those that a mask leaves out marked: -100, or NaN for the targets of a regression.

    Args:
        y: labels (n, positions), or (n, positions, C).
        mask: true where a label counts, (n, positions).
    """
    if y is None:
        raise DataError(
            "mask goes with y; in (x, y) batches mark the labels that are left out with -100 (targets: NaN).",
            "BAD_ARRAY",
            {"array": "mask"},
        )
    labels, counts = to_array(y, "y"), to_array(mask, "mask") != 0
    if counts.shape != labels.shape[: counts.ndim]:
        raise DataError(
            f"mask is {counts.shape} and y is {labels.shape}: it must say of each position whether its label counts.",
            "BAD_ARRAY",
            {"array": "mask"},
        )
    kept = counts.reshape(counts.shape + (1,) * (labels.ndim - counts.ndim))
    if has_numbers(likelihood):
        return np.where(kept, labels.astype(np.float64), np.nan)
    return np.where(kept, labels.astype(np.int64) if labels.dtype.kind in "bu" else labels, NO_LABEL)
