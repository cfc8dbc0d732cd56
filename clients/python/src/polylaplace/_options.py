"""The options of a fit: from laplace-torch's names and values to the server's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from ._data import to_array
from ._exceptions import OptionError

#: laplace-torch's words for methods of tuning.
_TUNE_METHODS = {"gridsearch": "grid"}
#: The server's words for methods of tuning.
TUNE_METHODS = ("auto", "validated", "linearized", "marglik", "grid", "none")
#: laplace-torch's words for structures of the posterior precision.
_STRUCTURES = {"gp": "functional"}
#: laplace-torch's words for structures of the prior precision.
_PRIOR_STRUCTURES = {"diag": "diagonal"}


def fit_options(**given: Any) -> dict[str, Any]:
    """Options of a fit under the server's names; what is None is left to the server."""
    return {key: value for key, value in given.items() if value is not None}


def as_structure(word: str) -> str:
    """The server's word for a structure of the posterior precision."""
    return _STRUCTURES.get(word, word) if isinstance(word, str) else word


def as_prior_structure(word: str) -> str:
    """The server's word for a structure of the prior precision."""
    return _PRIOR_STRUCTURES.get(word, word) if isinstance(word, str) else word


def as_tune_method(word: str) -> str:
    """The server's word for a method of tuning."""
    return _TUNE_METHODS.get(word, word) if isinstance(word, str) else word


def as_subset(subset: str, parameters: Any) -> dict[str, Any]:
    """The options of a subset: its word, and of a subnetwork which parameters it has.

    Args:
        parameters: flat indices, names, or a mapping with `count` and `by`.

    Raises:
        OptionError: when subset and parameters do not belong together.
    """
    if subset != "subnetwork":
        if parameters is not None:
            raise OptionError("subnetwork_indices belong to subset_of_weights='subnetwork'.", "BAD_COMBINATION")
        return {"subset": subset}
    if parameters is None:
        raise OptionError(
            "subset_of_weights='subnetwork' needs subnetwork_indices: flat indices or names of parameters, or "
            "{'count': 100, 'by': 'magnitude'}.",
            "BAD_COMBINATION",
        )
    return {"subset": subset, "subnetwork": _subnetwork(parameters)}


def _subnetwork(parameters: Any) -> Any:
    if isinstance(parameters, Mapping):
        by = parameters.get("by")
        return {**parameters, "by": by if isinstance(by, str) else np.asarray(to_array(by, "by"), np.float64).ravel()}
    values = [parameters] if isinstance(parameters, str) else list(np.asarray(parameters).ravel().tolist())
    if values and isinstance(values[0], str):
        return [str(value) for value in values]
    if any(isinstance(value, bool) for value in values):
        raise OptionError(
            "subnetwork_indices are indices of parameters, no mask: give numpy.flatnonzero(mask).",
            "BAD_OPTION",
            {"option": "subnetwork_indices"},
        )
    return np.asarray(to_array(parameters, "subnetwork_indices"), dtype=np.float64).ravel()


#: Tensors by name, glob or index.
Tensors: TypeAlias = str | int | Sequence[str | int]


def as_tensors(value: Tensors | None, name: str) -> list[str | int] | None:
    """A choice of tensors as a list.

    Raises:
        OptionError: when an entry is neither text nor a whole number.
    """
    if value is None:
        return None
    entries = list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]
    for entry in entries:
        if isinstance(entry, bool) or not isinstance(entry, (str, int, np.integer)):
            raise OptionError(
                f"{name} must be names, globs or indices of tensors; got {type(entry).__name__}.",
                "BAD_OPTION",
                {"option": name},
            )
    return [entry if isinstance(entry, str) else int(entry) for entry in entries]


def as_number(value: Any, name: str) -> float:
    """One number from anything that holds just one.

    Raises:
        OptionError: when it holds more.
    """
    array = np.asarray(to_array(value, name), dtype=np.float64)
    if array.size != 1:
        raise OptionError(f"{name} must be one number; got {array.size}.", "BAD_OPTION", {"option": name})
    return float(array.reshape(-1)[0])


def as_numbers(value: Any, name: str) -> Any:
    """One number, or an array (n,) of them.

    Raises:
        OptionError: when there is none.
    """
    array = np.asarray(to_array(value, name), dtype=np.float64)
    if array.size == 0:
        raise OptionError(f"{name} must be a number or an array of numbers; got none.", "BAD_OPTION", {"option": name})
    return float(array.reshape(-1)[0]) if array.size == 1 else array.reshape(-1)


def as_noise(value: Any, name: str) -> Any:
    """The noise: one number, one an output (C,), or the covariance of all outputs (C, C).

    Raises:
        OptionError: when there is no number.
    """
    array = np.asarray(to_array(value, name), dtype=np.float64)
    return array if array.ndim == 2 and array.size > 1 and array.shape[0] > 1 else as_numbers(value, name)


def as_class_weight(value: Any) -> Any:
    """Weights of classes: 'balanced', one number a class, or a mapping from the numbers of all classes.

    Raises:
        OptionError: when a mapping leaves a class out.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        count = len(value)
        if sorted(value) != list(range(count)):
            raise OptionError(
                f"class_weight as a mapping has a weight for each class number from 0 on; got {sorted(value)!r}. Give "
                "all of them, or one number a class.",
                "BAD_OPTION",
                {"option": "class_weight"},
            )
        value = [value[k] for k in range(count)]
    return np.asarray(to_array(value, "class_weight"), dtype=np.float64).ravel()


def as_share(value: Any, name: str) -> float:
    """A number between 0 and 1, both excluded.

    Raises:
        OptionError: when it is anything else.
    """
    if isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and 0 < value < 1:
        return float(value)
    raise OptionError(f"{name} must be a number between 0 and 1; got {value!r}.", "BAD_OPTION", {"option": name})


def unwrapped(value: Any) -> Any:
    """An array of one number as this number; anything else as it is."""
    return float(value[0]) if isinstance(value, np.ndarray) and value.size == 1 else value
