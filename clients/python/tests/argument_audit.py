"""Tries every argument of a function with values that are not of its kind; the tests say which functions.

What is wrong must be refused by an error of this package, in few words; what may be a value after all must not end in
an error of another kind.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from polylaplace import LaplaceError

#: By annotation: values that are not of its kind.
WRONG: dict[str, list[Any]] = {
    "bool": ["yes", 2, object(), [1], {"a": 1}, float("nan")],
    "int": ["3", 2.5, float("nan"), [1], {"a": 1}, object(), float("inf"), True],
    "float": ["0.5", float("nan"), [1.0, 2.0], {"a": 1}, object()],
    "str": [5, b"x", ["a"], {"a": 1}, object(), 2.5],
}
#: Where an annotation allows more: these are refused by a typed error, or are values after all.
ODD = [
    object(),
    {"nonsense": 1},
    float("nan"),
    [],
    "nonsense",
    np.zeros(0),
    [[1], [2, 3]],
    -1,
    np.zeros((2, 2, 2)),
    1 + 2j,
]
#: What Python and the operating system say themselves.
NATIVE = (OSError,)
#: What scikit-learn says of the rows that its estimators are given: its own checks ask for it.
OF_SKLEARN = (ValueError, TypeError, OSError)


def kinds(parameter: inspect.Parameter) -> tuple[list[Any], bool]:
    """Values to try, and whether all of them must be refused."""
    annotation = str(parameter.annotation).removesuffix(" | None")
    return (WRONG[annotation], True) if annotation in WRONG else (ODD, False)


def failures(name: str, call: Callable[..., Any], given: dict[str, Any], native: tuple[Any, ...]) -> Iterator[str]:
    """What is accepted though it is wrong, and what is refused by no error of this package."""
    for parameter in inspect.signature(call).parameters.values():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        values, all_wrong = kinds(parameter)
        for value in values:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    call(**{**given, parameter.name: value})
            except LaplaceError as error:
                if error.code == "INTERNAL" or len(str(error)) > 1000:
                    yield f"{name}({parameter.name}={value!r}): {error}"
            except native:
                pass
            except Exception as error:
                yield f"{name}({parameter.name}={value!r}): {type(error).__name__}: {error}"
            else:
                if all_wrong:
                    yield f"{name}({parameter.name}={value!r}) is accepted"


def with_signature_of(function: Callable[..., Any], call: Callable[..., Any]) -> Callable[..., Any]:
    call.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return call


def methods(cls: type) -> list[str]:
    return [name for name, member in inspect.getmembers(cls, callable) if not name.startswith("_")]


def required(function: Callable[..., Any], known: dict[str, Any]) -> dict[str, Any]:
    """Values for the arguments that have no default, and for rows and labels."""
    names = inspect.signature(function).parameters
    return {name: value for name, value in known.items() if name in names}
