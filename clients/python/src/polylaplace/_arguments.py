"""Arguments of public methods, checked against their annotations before anything is done."""

from __future__ import annotations

import functools
import inspect
import math
import operator
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias, TypeVar, cast

import numpy as np

from ._exceptions import OptionError
from ._row_labels import belong_together, refuse_reordered_arguments

#: A whole number from 1.
Count: TypeAlias = int

_Function = TypeVar("_Function", bound=Callable[..., Any])


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number of Python, numpy, torch, ...; floats without a fraction are."""
    if isinstance(value, (bool, np.bool_)):
        return False
    try:
        operator.index(value)
    except TypeError:
        return isinstance(value, (float, np.floating)) and bool(value == np.trunc(value)) and math.isfinite(value)
    return True


def _is_number(value: Any) -> bool:
    if isinstance(value, (bool, np.bool_, str)) or not hasattr(value, "__float__"):
        return False
    try:
        return math.isfinite(float(value))
    except (TypeError, ValueError, OverflowError):
        return False


def _is_sequence(value: Any) -> bool:
    return (
        isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping)) and getattr(value, "ndim", 1) > 0
    )


def _is_sequence_of_text(value: Any) -> bool:
    return _is_sequence(value) and all(isinstance(entry, str) for entry in value)


def _is_sequence_of_numbers(value: Any) -> bool:
    return _is_sequence(value) and all(map(_is_number, value))


def _is_partial(value: Any) -> bool:
    return hasattr(value, "to_bytes") and hasattr(value, "chunks")


#: By an annotation, or a part of it: whether a value is one, and how it is called.
KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "None": (lambda value: value is None, "None"),
    "bool": (lambda value: isinstance(value, (bool, np.bool_)), "True or False"),
    "int": (is_whole, "a whole number"),
    "Count": (lambda value: is_whole(value) and value >= 1, "a whole number above 0"),
    "float": (_is_number, "a finite number"),
    "str": (lambda value: isinstance(value, str), "text"),
    "bytes": (lambda value: isinstance(value, (bytes, bytearray, memoryview)), "bytes"),
    "os.PathLike[str]": (lambda value: isinstance(value, os.PathLike), "a path"),
    "Mapping[str, Any]": (lambda value: isinstance(value, Mapping), "a mapping"),
    "Mapping[str, int]": (lambda value: isinstance(value, Mapping), "a mapping"),
    "Sequence[Any]": (_is_sequence, "a list"),
    "Sequence[Laplace]": (
        lambda value: _is_sequence(value) and all(hasattr(type(entry), "n_outputs") for entry in value),
        "a list of fitted Laplace objects",
    ),
    "list[Partial]": (
        lambda value: isinstance(value, (list, tuple)) and all(map(_is_partial, value)),
        "a list of partial fits (Partial)",
    ),
    "TextIO": (lambda value: hasattr(value, "write"), "a file to write to"),
    "Sequence[int]": (_is_sequence_of_numbers, "a list of whole numbers"),
    "Sequence[float]": (_is_sequence_of_numbers, "a list of numbers"),
    "Sequence[str]": (_is_sequence_of_text, "a list of text"),
    "tuple[str, ...]": (_is_sequence_of_text, "a list of text"),
    "list[str]": (_is_sequence_of_text, "a list of text"),
    "Client": (lambda value: hasattr(value, "call"), "a Client"),
    "Partial": (_is_partial, "a partial fit (Partial)"),
    "ProgressOption": (
        lambda value: value is None or isinstance(value, (bool, np.bool_)) or callable(value),
        "True, False or a function",
    ),
}


def _shown(value: Any) -> str:
    short = value is None or isinstance(value, (bool, int, float, str, np.generic))
    text = repr(value)
    return text if short and len(text) <= 60 else f"a value of type {type(value).__name__}"


def _parts(annotation: str) -> list[str]:
    """The kinds that an annotation names; one that is known as a whole, None aside, is a single one."""
    whole = annotation.removesuffix(" | None")
    optional = [] if whole == annotation else ["None"]
    return [whole, *optional] if whole in KINDS else annotation.split(" | ")


@dataclass(frozen=True)
class _Parameters:
    """What a function takes."""

    signature: inspect.Signature
    #: Those that may be given by their place.
    positional: tuple[str, ...]
    names: frozenset[str]
    required: frozenset[str]
    #: Whether each is of one name: a function of `*args` or `**options` takes others.
    plain: bool
    #: The kinds of those whose annotations name kinds alone.
    kinds: dict[str, list[str]]
    #: Whether some are rows that belong together.
    together: bool

    def given(self, args: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any] | None:
        """The arguments by name, without defaults; None where the function does not take them."""
        if not self.plain:
            try:
                return self.signature.bind(*args, **options).arguments
            except TypeError:
                return None
        # As `bind`, which takes longer than many of the functions.
        given = {**dict(zip(self.positional, args, strict=False)), **options}
        fits = (
            len(args) <= len(self.positional)
            and len(given) == len(args) + len(options)
            and self.names.issuperset(options)
            and self.required.issubset(given)
        )
        return given if fits else None


@functools.cache
def _parameters_of(function: Callable[..., Any]) -> _Parameters:
    signature = inspect.signature(function)
    parameters = signature.parameters
    by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    kinds = {
        name: parts
        for name, parameter in signature.parameters.items()
        if isinstance(parameter.annotation, str)
        and (parts := _parts(parameter.annotation))
        and all(part in KINDS for part in parts)
    }
    return _Parameters(
        signature=signature,
        positional=tuple(name for name, parameter in parameters.items() if parameter.kind in by_place),
        names=frozenset(parameters),
        required=frozenset(name for name, parameter in parameters.items() if parameter.default is parameter.empty),
        plain=all(parameter.kind in by_name for parameter in parameters.values()),
        kinds=kinds,
        together=belong_together(parameters),
    )


def checked(function: _Function) -> _Function:
    """The function, refusing arguments that are not of the kind which its annotations name.

    Annotations that name other kinds too (arrays, networks) are checked where these are read.
    """

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        # Read at the first call, not while the package is imported.
        parameters = _parameters_of(function)
        kinds = parameters.kinds
        given = parameters.given(args, options)
        if given is None:
            # Python's own words for it name the function.
            return function(*args, **options)
        for name, value in given.items():
            if name in kinds and not any(KINDS[part][0](value) for part in kinds[name]):
                words = " or ".join(KINDS[part][1] for part in kinds[name] if part != "None")
                raise OptionError(f"{name} must be {words}; got {_shown(value)}.", "BAD_OPTION", {"option": name})
        if parameters.together:
            refuse_reordered_arguments(given)
        return function(*args, **options)

    return cast(_Function, call)


class CheckedArguments:
    """Every public method of a subclass checks its arguments."""

    __slots__ = ()
    #: Special methods that do so too.
    _CHECKED: ClassVar[tuple[str, ...]] = ("__init__", "__call__")

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, own in list(vars(cls).items()):
            if name.startswith("_") and name not in cls._CHECKED:
                continue
            if isinstance(own, (classmethod, staticmethod)):
                setattr(cls, name, type(own)(checked(own.__func__)))
            elif inspect.isfunction(own):
                setattr(cls, name, checked(own))
