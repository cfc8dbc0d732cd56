"""Class labels of any kind as numbers, in the order of a network's outputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._data import Array
from ._exceptions import DataError


def distinct(y: Any, name: str) -> Array:
    """The different labels of y, sorted.

    Raises:
        DataError: for labels that have no order among each other: text and None, or text and numbers.
    """
    try:
        found: Array = np.unique(y)
    except TypeError as error:
        kinds = sorted({type(label).__name__ for label in np.asarray(y, object).ravel()})
        raise DataError(
            f"{name} must hold labels of one kind; got {' and '.join(kinds)}. Remove the rows without a label.",
            "BAD_LABELS",
            {"array": name},
        ) from error
    return found


def classes_of(y: Array, network: Any, outputs: int) -> Array:
    """The labels in the order of the network's outputs: its own where it knows them, else sorted.

    Args:
        outputs: of the network; one output (a logit) stands for two classes.

    Raises:
        DataError: when labels and outputs do not agree in number.
    """
    if hasattr(network, "classes_"):
        return np.asarray(network.classes_)
    found = np.unique(y)
    columns = max(2, outputs)
    if len(found) == columns:
        return found
    if len(found) < columns and found.dtype.kind in "iuf" and np.isin(found, np.arange(columns)).all():
        # Class numbers of which some do not occur.
        return np.arange(columns).astype(found.dtype)
    words = "one output (a logit), which tells two classes apart" if outputs == 1 else f"{outputs} outputs"
    raise DataError(
        f"The network has {words}, and y has {len(found)} classes: {found[:5].tolist()}"
        f"{', ...' if len(found) > 5 else ''}.",
        "BAD_LABELS",
        {"expected": columns, "actual": len(found)},
    )


def class_numbers(y: Any, classes: Array, name: str, whose: str) -> Array:
    """The number of each label among the classes, (n,).

    Raises:
        DataError: for labels that are not among them.
    """
    try:
        labels = np.asarray(y)
    except ValueError as error:
        raise DataError(f"{name} must hold one label a row: {error}.", "BAD_LABELS", {"array": name}) from error
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    try:
        unknown = sorted(set(np.unique(labels).tolist()) - set(classes.tolist()), key=str)
    except TypeError as error:
        raise DataError(f"{name} must hold class labels: {error}.", "BAD_LABELS", {"array": name}) from error
    if unknown:
        known = f"{', '.join(repr(label) for label in classes[:10].tolist())}{', ...' if len(classes) > 10 else ''}"
        raise DataError(
            f"{name} has labels that {whose}: {unknown[:5]}. Its classes are {known}.", "BAD_LABELS", {"array": name}
        )
    # The network's own order need not be sorted.
    order = np.argsort(classes, kind="stable")
    numbers: Array = order[np.searchsorted(classes[order], labels)]
    return numbers.astype(np.int64)
