"""How a torch module is called with arrays of data, and which tensor of what it returns is the network's output."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ._examples import Examples
from ._exceptions import DataError, GraphError, OptionError

_Parameter = inspect.Parameter
#: Names for a single array, of which the first is taken that no tensor of the module has.
_SINGLE = ("x", "input", "x_input")
#: The attribute or key that holds the logits in what Hugging Face's modules return.
_LOGITS = "logits"


@dataclass(frozen=True)
class Arguments:
    """The inputs of a module: their names, the array of the data that each takes, and how they are given."""

    names: tuple[str, ...]
    places: tuple[int, ...]
    style: Literal["places", "keywords", "mapping", "sequence"]
    #: Whether forward takes nothing else.
    all: bool = False

    @property
    def note(self) -> str:
        """What was given, where it is not one argument each."""
        if self.style == "mapping":
            return f", given as one mapping with the keys {_listed(self.names)}"
        return f", given as one tuple of {len(self.names)}" if self.style == "sequence" else ""

    def call(self, module: Any, tensors: Sequence[Any]) -> Any:
        """What the module returns for tensors in the order of the names."""
        if self.style == "places":
            return module(*tensors)
        if self.style == "sequence":
            return module(tuple(tensors))
        named = dict(zip(self.names, tensors, strict=True))
        return module(**named) if self.style == "keywords" else module(named)


def arguments_of(module: Any, examples: Examples) -> Arguments:
    """How examples are given to a module: a mapping by keyword, a list by place.

    A module whose forward takes one argument gets several arrays as one mapping or tuple.

    Raises:
        DataError: when forward does not take what is given, or needs more.
    """
    given = [part.name for part in examples.arrays]
    forward = _forward(module)
    taken = tensor_names(module)
    if any(name is None for name in given):
        return _by_place(module, forward, len(given), taken)
    names = [str(name) for name in given]
    clash = [name for name in names if name in taken]
    if clash:
        raise GraphError(
            f"{_listed(clash)} is the name of an input and of a tensor of the {type(module).__name__}: rename one.",
            "BAD_GRAPH",
        )
    if forward is None or not _takes_one(forward, names):
        order = _by_keyword(module, forward, names)
        return Arguments(tuple(order), tuple(names.index(name) for name in order), "keywords")
    return Arguments(tuple(names), tuple(range(len(names))), "mapping")


def tensor_names(module: Any) -> set[str]:
    """The names of parameters and buffers."""
    return {name for name, _ in (*module.named_parameters(), *module.named_buffers())}


def _forward(module: Any) -> list[_Parameter] | None:
    """The parameters of forward, of the module inside where one (peft's) passes on all it gets; None: not known."""
    try:
        own = list(inspect.signature(module.forward).parameters.values())
    except (TypeError, ValueError):
        return None
    passes_on = bool(own) and all(each.kind in _ANY for each in own)
    return _forward(module.get_base_model()) if passes_on and hasattr(module, "get_base_model") else own


def _takes_one(forward: Sequence[_Parameter], names: Sequence[str]) -> bool:
    """Whether forward has one argument, and no mapping's key is its name."""
    return len(forward) == 1 and forward[0].kind in _PLACES and forward[0].name not in names


_ANY = (_Parameter.VAR_POSITIONAL, _Parameter.VAR_KEYWORD)
_PLACES = (_Parameter.POSITIONAL_ONLY, _Parameter.POSITIONAL_OR_KEYWORD)


def _by_keyword(module: Any, forward: Sequence[_Parameter] | None, names: list[str]) -> list[str]:
    """The names in the order in which forward has them, so that a list in that order means the same."""
    if forward is None:
        return names
    known = [each.name for each in forward if each.kind not in (_Parameter.VAR_POSITIONAL, _Parameter.VAR_KEYWORD)]
    extra = [name for name in names if name not in known]
    if extra and not any(each.kind is _Parameter.VAR_KEYWORD for each in forward):
        raise DataError(
            f"The data have {_listed(extra)}, which the {type(module).__name__}'s forward does not take: it takes "
            f"{_listed(known)}. Leave out what is no input; dict_key_y= names the labels.",
            "BAD_ARRAY",
        )
    missing = [name for name in _required(forward) if name not in names]
    if missing:
        raise DataError(
            f"The {type(module).__name__}'s forward needs {_listed(missing)}, and the data have {_listed(names)}.",
            "BAD_ARRAY",
        )
    return [*(name for name in known if name in names), *extra]


def _by_place(module: Any, forward: Sequence[_Parameter] | None, count: int, taken: set[str]) -> Arguments:
    places = [each.name for each in forward or () if each.kind in _PLACES]
    if count > 1 and forward is not None and _takes_one(forward, ()):
        return Arguments(_free_names([], count, taken), tuple(range(count)), "sequence")
    if forward is not None:
        needed = _required(forward)
        most = None if any(each.kind is _Parameter.VAR_POSITIONAL for each in forward) else len(places)
        if needed[count:] or (most is not None and count > most):
            raise DataError(
                f"The {type(module).__name__}'s forward takes {_listed(places) or 'nothing'}"
                f"{f' and needs {_listed(needed)}' if needed != places else ''}; the data are {count} "
                f"array{'' if count == 1 else 's'}. Give a list with one array for each, or a mapping by these names.",
                "BAD_ARRAY",
            )
    everything = forward is not None and len(forward) == count and places == [each.name for each in forward]
    return Arguments(_free_names(places, count, taken), tuple(range(count)), "places", everything)


def _required(forward: Sequence[_Parameter]) -> list[str]:
    kinds = (*_PLACES, _Parameter.KEYWORD_ONLY)
    return [each.name for each in forward if each.kind in kinds and each.default is _Parameter.empty]


def _free_names(places: Sequence[str], count: int, taken: set[str]) -> tuple[str, ...]:
    """Names of inputs that have none: those of forward, unless tensors of the module have them."""
    if count == 1:
        return (next(name for name in _SINGLE if name not in taken),)
    names = [*places[:count], *(f"x{i}" for i in range(len(places), count))]
    return tuple(f"{name}_input" if name in taken else name for name in names)


def output_key(module: Any, result: Any, wanted: str | None) -> str | None:
    """Which of the tensors that a module returns is its output; None: it returns one tensor, and nothing else.

    Args:
        wanted: the name of the output, where the user gave one.

    Raises:
        OptionError: when nothing there has this name.
        GraphError: when none or several could be meant.
    """
    if _is_tensor(result):
        return None
    there = _tensors_of(result)
    what = f"The {type(module).__name__} returns a {type(result).__name__}"
    names = f"with the tensor{'' if len(there) == 1 else 's'} {_listed(list(there))}" if there else "without a tensor"
    if wanted is not None and wanted not in there:
        raise OptionError(f"output is {wanted!r}, and {what[0].lower()}{what[1:]} {names}.", "BAD_OPTION")
    key = wanted or (_LOGITS if _LOGITS in there else next(iter(there), None) if len(there) == 1 else None)
    if key is not None:
        return key
    advice = f"Say which with output=, for example output={next(iter(there))!r}." if there else "It must return one."
    raise GraphError(f"{what} {names}; expected one tensor, or one named 'logits'. {advice}", "BAD_GRAPH")


def picked(result: Any, key: str | None) -> Any:
    """The tensor under a key of `output_key`."""
    return result if key is None else _tensors_of(result)[key]


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "detach") and hasattr(value, "cpu")


def _tensors_of(result: Any) -> dict[str, Any]:
    """The tensors in a mapping, a tuple or an object, by key, place ('output0', ...) or attribute."""
    if isinstance(result, Mapping):
        items = {str(key): value for key, value in result.items()}
    elif hasattr(result, "_asdict"):
        items = dict(result._asdict())
    elif isinstance(result, (tuple, list)):
        items = {f"output{i}": value for i, value in enumerate(result)}
    else:
        logits = getattr(result, _LOGITS, None)
        slots = [name for name in getattr(type(result), "__slots__", ()) if hasattr(result, name)]
        items = {**getattr(result, "__dict__", {}), **{name: getattr(result, name) for name in slots}, _LOGITS: logits}
    return {name: value for name, value in items.items() if _is_tensor(value)}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))


def plain_module(torch: Any, module: Any, arguments: Arguments, key: str | None) -> Any:
    """A module that takes tensors in order and returns one; its tensors are the module's, under the same names."""

    def forward(self: Any, *tensors: Any) -> Any:
        return picked(arguments.call(module, tensors), key)

    # The names in an export are those of the state dict.
    members = {name: _of_inner(module, name) for name in ("named_parameters", "named_buffers", "state_dict")}
    wrapper = type(type(module).__name__, (torch.nn.Module,), {"forward": forward, **members})()
    wrapper.inner = module
    wrapper.training = module.training
    return wrapper


def _of_inner(module: Any, name: str) -> Any:
    return lambda self, *args, **options: getattr(module, name)(*args, **options)
