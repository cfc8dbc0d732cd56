"""Fitted scikit-learn objects around a network: Pipeline, searches, TransformedTargetRegressor.

What stands before the network and behind it is found out by what it does to rows of the data, so that every step that
is a linear function of the columns (scalers, a choice of columns, PCA) can be taken along, and any other is refused.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ._data import Array
from ._examples import Examples, InputArray
from ._exceptions import DataError, OptionError, StateError

#: Numbers within this of each other, relative to the largest, are the same.
_SAME = 1e-9
#: Rows that a step is checked on, beside the data: they are far from them, where steps that cut off show.
_FAR_ROWS = 16
_ROWS = 1000
_FAR = 100.0

_BY_HAND = (
    "Put the posterior into the Pipeline, which keeps the fitted network: "
    "Pipeline([*model.steps[:-1], ('laplace', LaplaceClassifier(model[-1]))]).fit(X, y), or LaplaceRegressor; or "
    "transform the rows yourself, X = model[:-1].transform(X), and give the network inside, model[-1]."
)

_Function = Callable[[Array], Array]


@dataclass
class Wrapped:
    """A fitted network with the fitted steps before it, and those that turn its outputs into targets."""

    network: Any
    steps: list[Any] = field(default_factory=list)
    targets: list[Any] = field(default_factory=list)
    #: The names of the columns that the outermost object was fitted with.
    columns: list[str] | None = None

    @property
    def bare(self) -> bool:
        """Whether there is nothing around the network."""
        return not self.steps and not self.targets


def unwrapped_estimator(model: Any) -> Wrapped:
    """The network inside of fitted scikit-learn objects.

    Raises:
        StateError: when one of them is not fitted.
        OptionError: for objects that hold several networks.
    """
    names = getattr(model, "feature_names_in_", None)
    wrapped = Wrapped(model, columns=None if names is None else [str(name) for name in names])
    for _ in range(20):
        inner = _inside(wrapped)
        if inner is None:
            return wrapped
        wrapped.network = inner
        if wrapped.columns is None and not wrapped.steps and hasattr(inner, "feature_names_in_"):
            wrapped.columns = [str(name) for name in inner.feature_names_in_]
    return wrapped


def _inside(wrapped: Wrapped) -> Any:
    """The object inside of the outermost one, whose steps are noted; None for a network itself."""
    model = wrapped.network
    name = type(model).__name__
    if hasattr(model, "cv_results_") or hasattr(model, "best_estimator_") or _looks_like(model, "BaseSearchCV"):
        if hasattr(model, "best_estimator_"):
            return model.best_estimator_
        raise StateError(f"The {name} has no best_estimator_: call its fit first, with refit=True.", "NOT_FITTED")
    if hasattr(model, "named_steps") and hasattr(model, "steps"):
        wrapped.steps += [step for _, step in model.steps[:-1] if step is not None and step != "passthrough"]
        return model.steps[-1][1]
    if _looks_like(model, "TransformedTargetRegressor"):
        if not hasattr(model, "regressor_"):
            raise StateError(f"The {name} has not been fitted yet: call its fit first.", "NOT_FITTED")
        wrapped.targets.insert(0, model.transformer_)
        return model.regressor_
    if _looks_like(model, "FrozenEstimator"):
        return model.estimator
    for several, one in (
        ("estimators_", "estimators_[0]"),
        ("calibrated_classifiers_", "calibrated_classifiers_[0].estimator"),
    ):
        if not hasattr(model, several):
            continue
        raise OptionError(
            f"A {name} holds several networks, each with a posterior of its own: give one of them at a time, "
            f"model.{one}, or fit one MLPRegressor or MLPClassifier with "
            "several outputs.",
            "BAD_OPTION",
            {"option": "model"},
        )
    return None


def _looks_like(model: Any, name: str) -> bool:
    return any(cls.__name__ == name for cls in type(model).__mro__)


def prepared(wrapped: Wrapped, examples: Examples | None) -> Examples | None:
    """The first rows as the network itself is given them."""
    if examples is None or not wrapped.steps:
        return examples
    rows = _prepare(wrapped)(_table(examples, wrapped.columns)[:4])
    return Examples((InputArray(rows.astype(np.float32)),))


def _with_inner_steps(step: Any) -> Iterator[Any]:
    """A step and those that it is made of: of a ColumnTransformer, a FeatureUnion, a Pipeline."""
    if not hasattr(step, "__dict__"):
        return
    yield step
    for list_of_steps in ("transformers_", "transformer_list", "steps"):
        for _, inner, *_columns in getattr(step, list_of_steps, ()):
            yield from _with_inner_steps(inner)


def _check_finite(wrapped: Wrapped) -> None:
    """Fitted numbers of the steps, which a division by infinity would hide.

    Raises:
        DataError: naming the step, the attribute and the place of one that is NaN or infinite.
    """
    for step in (inner for outer in wrapped.steps for inner in _with_inner_steps(outer)):
        for name, value in vars(step).items():
            if not name.endswith("_") or not isinstance(value, np.ndarray) or value.dtype.kind != "f":
                continue
            wrong = np.flatnonzero(~np.isfinite(value))
            if len(wrong) > 0:
                raise DataError(
                    f"{name} of the step {type(step).__name__} holds {value.ravel()[wrong[0]]} at element {wrong[0]}; "
                    "fit the pipeline again on finite numbers.",
                    "NOT_FINITE",
                    {"array": name, "index": int(wrong[0])},
                )


def surroundings(wrapped: Wrapped, examples: Examples | None) -> dict[str, Any] | None:
    """What readNetwork needs beside the network itself; None when rows of data are needed first.

    Raises:
        OptionError: for a step that is not a linear function of the columns.
        DataError: for one that holds NaN or infinity.
    """
    _check_finite(wrapped)
    found: dict[str, Any] = {} if wrapped.columns is None else {"columns": wrapped.columns}
    if wrapped.steps:
        if examples is None:
            return None
        rows = _table(examples, wrapped.columns)
        found["preparation"] = _preparation(wrapped, rows[:: max(1, len(rows) // _ROWS)])
    if wrapped.targets:
        found["targets"] = _targets(wrapped)
    return found


def _table(examples: Examples, columns: Sequence[str] | None) -> Array:
    """The rows with their columns as the object knows them."""
    rows, names = examples.only, examples.arrays[0].columns
    if rows is None or rows.ndim != 2:
        raise DataError("A Pipeline takes a table: rows of columns.", "BAD_ARRAY", {"array": "X"})
    if columns is not None and names is not None and set(columns) == set(names):
        rows = rows[:, [names.index(name) for name in columns]]
    return np.asarray(rows, dtype=np.float64)


def _prepare(wrapped: Wrapped) -> _Function:
    """The steps before the network as a function of rows."""

    def prepare(table: Array) -> Array:
        values: Any = table
        if wrapped.columns is not None:
            import pandas  # type: ignore[import-untyped]

            values = pandas.DataFrame(table, columns=wrapped.columns)
        for step in wrapped.steps:
            values = step.transform(values)
        if hasattr(values, "toarray"):
            values = values.toarray()
        return np.asarray(values, dtype=np.float64)

    return prepare


def _preparation(wrapped: Wrapped, rows: Array) -> dict[str, Any]:
    width = rows.shape[1]
    words = " + ".join(type(step).__name__ for step in wrapped.steps)
    matrix, shift = _linear(_prepare(wrapped), rows, f"The steps before the network ({words})")
    used = matrix != 0
    if (used.sum(axis=0) <= 1).all():
        columns = used.argmax(axis=0)
        scale = matrix[columns, np.arange(matrix.shape[1])]
        return {"width": width, "columns": columns.astype(np.int64), "scale": scale, "shift": shift}
    return {"width": width, "matrix": matrix, "shift": shift}


def _targets(wrapped: Wrapped) -> dict[str, Any]:
    outputs = _outputs_of(wrapped)

    def invert(values: Array) -> Array:
        for target in wrapped.targets:
            values = target.inverse_transform(values)
        return np.asarray(values, dtype=np.float64).reshape(len(values), -1)

    zeros = np.zeros((1, outputs))
    words = " + ".join(type(target).__name__ for target in wrapped.targets)
    try:
        matrix, shift = _linear(invert, zeros, f"The transformation of the targets ({words})")
        scale = np.diagonal(matrix)
        if matrix.shape != (outputs, outputs) or not np.array_equal(matrix, np.diag(scale)):
            raise OptionError(f"The transformation of the targets ({words}) mixes them.", "BAD_OPTION")
    except OptionError as error:
        raise OptionError(
            f"{error.args[0]} The noise of a regression is one of the targets themselves: fit the posterior of the "
            "inner network (regressor_) to the transformed targets, and turn its predictions back.",
            "BAD_OPTION",
            {"option": "model"},
        ) from None
    return {"scale": scale.copy(), "shift": shift}


def _outputs_of(wrapped: Wrapped) -> int:
    outputs = getattr(wrapped.network, "n_outputs_", getattr(wrapped.targets[-1], "n_features_in_", None))
    if outputs is None:
        raise OptionError(
            f"How many outputs a {type(wrapped.network).__name__} has is not known: its targets cannot be scaled back.",
            "BAD_OPTION",
            {"option": "model"},
        )
    return int(outputs)


def _linear(function: _Function, rows: Array, what: str) -> tuple[Array, Array]:
    """M and b of x M + b, which a function of rows must be.

    Raises:
        OptionError: where it is another function.
    """
    start = rows.mean(axis=0)
    steps = rows.std(axis=0)
    steps[steps == 0] = 1.0
    far = start + _FAR * steps * np.random.default_rng(0).standard_normal((_FAR_ROWS, len(start)))
    checked = np.concatenate([rows, far])
    try:
        with warnings.catch_warnings():
            # About names of columns, which are given where the object knows them.
            warnings.simplefilter("ignore")
            origin = function(start[np.newaxis])[0]
            moved = function(start + np.diag(steps))
            expected = function(checked)
    except Exception as error:
        raise OptionError(
            f"{what} cannot be followed: {error}. {_BY_HAND}", "BAD_OPTION", {"option": "model"}
        ) from error
    matrix = (moved - origin) / steps[:, np.newaxis]
    matrix[np.abs(matrix * steps[:, np.newaxis]) <= _SAME * (1e-300 + np.abs(moved - origin).max(axis=0))] = 0
    shift = origin - start @ matrix
    scale = np.abs(expected).max(axis=0) + 1e-300
    if (
        expected.shape != (len(checked), matrix.shape[1])
        or not (np.abs(checked @ matrix + shift - expected) <= 1e-7 * scale).all()
    ):
        raise OptionError(
            f"{what} are not a linear function of the columns (scalers, a choice of columns and PCA are). {_BY_HAND}",
            "BAD_OPTION",
            {"option": "model"},
        )
    return matrix, shift
