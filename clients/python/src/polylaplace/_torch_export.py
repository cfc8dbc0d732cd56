"""torch modules with code of their own, by torch's ONNX export: its structure alone, with the module's own tensors.

An exporter is free with weights: it folds batch norm, merges tensors of equal values, drops biases of zeros, transposes
and renames. So every tensor of the module gets values of its own while the structure is exported, the tensors stay
outside of the file, and the outputs of what comes out are compared with the module's.
"""

from __future__ import annotations

import copy
import hashlib
import io
import os
import re
import sys
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._data import Array, to_array
from ._examples import Examples
from ._exceptions import GraphError
from ._torch_behaviour import check_no_branches, check_rows_apart
from ._torch_call import Arguments, arguments_of, output_key, plain_module, tensor_names
from ._torch_newer_export import newer_structure
from ._torch_symbols import (
    more_symbols,
    with_detached,
    with_limited_tables,
    with_plain_attention,
    with_plain_bags,
    with_plain_projections,
)

_ADVICE = (
    "For its last layer alone polylaplace.torch.Laplace takes it as it is: torch runs what comes before. Else give a "
    "file that you export yourself, or its state dict with architecture=."
)
#: Rows that the structure is exported with, and rows that its outputs are compared on: the number must not matter.
_EXPORTED_ROWS, _CHECKED_ROWS = 2, 3


@dataclass(frozen=True)
class _Export:
    """The structure of a module, and what it was when the structure was exported."""

    fingerprint: bytes
    outputs: Array
    plain: _Plain
    params: dict[str, Any]


_exports: weakref.WeakKeyDictionary[Any, _Export] = weakref.WeakKeyDictionary()


def unwrapped_module(module: Any) -> Any:
    """The module inside of torch.compile, DataParallel and DistributedDataParallel."""
    for _ in range(10):
        inner = getattr(module, "_orig_mod", None)
        if inner is None and type(module).__name__ in ("DataParallel", "DistributedDataParallel"):
            inner = module.module
        if inner is None:
            break
        module = inner
    return module


def frozen_parameters(module: Any) -> list[str]:
    """The names of the parameters that are not trained (requires_grad=False)."""
    return [name for name, value in real_parameters(module) if not value.requires_grad]


def real_parameters(module: Any) -> list[tuple[str, Any]]:
    """The parameters without those of whole numbers (indices kept as parameters), which cannot be trained."""
    return [(name, value) for name, value in module.named_parameters() if value.is_floating_point()]


@dataclass(frozen=True)
class _Plain:
    """How a module is called on some rows of each input, and the key of its output in what it returns."""

    arguments: Arguments
    rows: list[Array]
    key: str | None

    def of(self, torch: Any, module: Any) -> Any:
        """The module in single precision, if it is in half precision, as one of tensors in order to one tensor."""
        single = _single(torch, module)
        # Exporters give arguments that are left out their defaults by place, also those that are keywords only.
        alone = len(self.rows) == 1 and self.arguments.style == "places" and self.arguments.all and self.key is None
        return single if alone else plain_module(torch, single, self.arguments, self.key)


def exported_module(module: Any, examples: Examples, output: str | None = None) -> dict[str, Any]:
    """What readNetwork needs for a module, as it is now.

    Args:
        output: which tensor is the network's output, where the module returns several.

    Raises:
        DataError: when the module takes other inputs.
        GraphError: when torch cannot export it.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        raise GraphError(
            f"A {type(module).__name__} can be read only through torch's ONNX export, and torch is not loaded.",
            "BAD_GRAPH",
        )
    fingerprint = _fingerprint(module, examples, output)
    known = _exports.get(module)
    if known is not None and known.fingerprint == fingerprint:
        plain = known.plain.of(torch, module)
        outputs = _outputs(torch, plain, _given(torch, plain, known.plain.rows))
        if np.array_equal(outputs, known.outputs, equal_nan=True):
            return known.params
    how = _plain(torch, module, examples, output)
    plain = how.of(torch, module)
    names = how.arguments.names
    output_name = _output_name(module, how)
    with _in_evaluation(plain):
        given = _given(torch, plain, how.rows)
        outputs = _outputs(torch, plain, given)
        check_rows_apart(torch, plain, given, outputs)
        slopes, unused = _slopes(torch, plain, given)
        params = {
            "bytes": _any_number_of_rows(torch, plain, given, names, output_name),
            "tensors": _tensors(plain),
            "parameters": [name for name, _ in real_parameters(plain)],
            "unused": unused,
            "slopes": slopes,
            "inputs": {name: to_array(rows, name) for name, rows in zip(names, given, strict=True)},
            "outputs": {output_name: outputs},
        }
    _exports[module] = _Export(fingerprint, outputs, how, params)
    return params


def _plain(torch: Any, module: Any, examples: Examples, output: str | None) -> _Plain:
    """How a module is called; it is run once to see what it returns."""
    arguments = arguments_of(module, examples)
    rows = [_some_rows(examples.arrays[place].values) for place in arguments.places]
    single = _single(torch, module)
    given = _given(torch, single, rows)
    result = _result(torch, single, lambda: arguments.call(single, given), given, arguments.note)
    return _Plain(arguments, rows, output_key(module, result, output))


def _some_rows(rows: Array) -> Array:
    return np.resize(rows[:_CHECKED_ROWS], (_CHECKED_ROWS, *rows.shape[1:]))


def _output_name(module: Any, how: _Plain) -> str:
    """The name of the output, which `output=` of a fit must find.

    Raises:
        GraphError: when an input or a tensor of the module has it.
    """
    taken = tensor_names(module) | set(how.arguments.names)
    name = how.key or next(name for name in ("y", "output", "y_output") if name not in taken)
    if name in taken:
        raise GraphError(
            f"{name!r} is the name of an output and of an input or tensor of the {type(module).__name__}: rename one.",
            "BAD_GRAPH",
        )
    return name


def _tensors(module: Any) -> dict[str, Array]:
    """Parameters, tied ones once, and buffers, as copies: the module may be trained further."""
    named = (*module.named_parameters(), *module.named_buffers())
    return {name: np.array(to_array(value, name)) for name, value in named}


def _fingerprint(module: Any, examples: Examples, output: str | None) -> bytes:
    """Changes whenever a tensor of the module does, and with names, shapes and dtypes of its inputs."""
    inputs = [(part.name, part.values.shape[1:], part.values.dtype.str) for part in examples.arrays]
    digest = hashlib.blake2b(repr((inputs, output)).encode())
    for name, value in (*module.named_parameters(), *module.named_buffers()):
        array = np.ascontiguousarray(to_array(value, name))
        digest.update(repr((name, array.shape, array.dtype.str)).encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.digest()


def _single(torch: Any, module: Any) -> Any:
    """The module, in single precision where it is in half precision."""
    half = {torch.float16, torch.bfloat16}
    if any(value.dtype in half for value in module.parameters()):
        return copy.deepcopy(module).float()
    return module


def _given(torch: Any, module: Any, arrays: Sequence[Array]) -> list[Any]:
    """Arrays as tensors where the module is, real ones in its precision."""
    parameter = next((value for _, value in real_parameters(module)), None)
    given = [torch.as_tensor(np.ascontiguousarray(rows)) for rows in arrays]
    if parameter is None:
        return given
    return [
        rows.to(device=parameter.device, dtype=parameter.dtype if rows.is_floating_point() else rows.dtype)
        for rows in given
    ]


def _result(torch: Any, module: Any, call: Callable[[], Any], given: list[Any], note: str = "") -> Any:
    """What a call of a module returns.

    Raises:
        GraphError: when it fails.
    """
    try:
        with torch.no_grad(), _in_evaluation(module):
            return call()
    except Exception as error:
        shapes = ", ".join(str(tuple(rows.shape)) for rows in given)
        raise GraphError(
            f"The {type(module).__name__} failed on the first rows, of shape {shapes}{note}: "
            f"{type(error).__name__}: {error}. {_how_to_give(given, error)}; where it cannot run, a file that was "
            "exported elsewhere, or its state dict with architecture=.",
            "BAD_GRAPH",
        ) from error


def _how_to_give(given: Sequence[Any], error: Exception) -> str:
    """What to do about rows that a module does not take."""
    whole = [str(rows.dtype).removeprefix("torch.") for rows in given if not rows.is_floating_point()]
    if whole and "dtype" in str(error):
        return f"The data are whole numbers ({whole[0]}): give measurements as real ones, x.astype('float32')"
    return "Give rows as its forward takes them"


def _outputs(torch: Any, module: Any, given: list[Any]) -> Array:
    return np.array(to_array(_result(torch, module, lambda: module(*given), given), "outputs"))


def _slopes(torch: Any, module: Any, given: list[Any]) -> tuple[dict[str, float], list[str]]:
    """The derivative of a weighted sum of the outputs by each trained parameter, along a direction made of its values
    (core/fit/check-derivatives.ts), and the parameters that no output depends on, which no exporter keeps."""
    named = [(name, value) for name, value in real_parameters(module) if value.requires_grad]
    others = frozen_parameters(module)
    if not named:
        return {}, others
    with torch.enable_grad():
        outputs = module(*given)
        weights = torch.ones((), dtype=outputs.dtype, device=outputs.device)
        for extent in outputs.shape:
            weights = weights.unsqueeze(-1) * (torch.arange(extent).double() + 1).cos().to(weights)
        total = (outputs * weights).sum()
    if not total.requires_grad:
        return {}, [name for name, _ in named] + others
    gradients = torch.autograd.grad(total, [value for _, value in named], allow_unused=True)
    pairs = [(name, value, found) for (name, value), found in zip(named, gradients, strict=True)]
    slopes = {
        name: 0.0 if found is None else float((found.double() * (1000 * value.detach().double()).cos()).sum())
        for name, value, found in pairs
    }
    return slopes, [name for name, _, found in pairs if found is None] + others


@contextmanager
def _in_evaluation(module: Any) -> Iterator[None]:
    """The module in evaluation mode and not compiled, and every part of it as it was afterwards."""
    modes = [(part, part.training, getattr(part, "_compiled_call_impl", None)) for part in module.modules()]
    module.eval()
    try:
        for part, _, compiled in modes:
            if compiled is not None:
                part._compiled_call_impl = None
        yield
    finally:
        for part, training, compiled in modes:
            part.training = training
            if compiled is not None:
                part._compiled_call_impl = compiled


@contextmanager
def _distinct_tensors(torch: Any, module: Any) -> Iterator[None]:
    """Other values in every real tensor, no two alike and none zero, and its own ones afterwards.

    Not in buffers that are no part of the state dict: an exporter writes their values down.
    """
    kept = module.state_dict().keys()
    buffers = [(name, value) for name, value in module.named_buffers() if name in kept]
    named = [value for _, value in (*module.named_parameters(), *buffers) if value.is_floating_point()]
    own = [value.data for value in named]
    generator = torch.Generator().manual_seed(0)
    try:
        for value in named:
            noise = torch.rand(value.shape, generator=generator, dtype=torch.float64).to(value.device) + 0.5
            near = value.data + (1e-3 * noise * (value.data.abs() + 1e-3)).to(value.dtype)
            value.data = torch.where(torch.isfinite(near), near, value.data)
        yield
    finally:
        for value, data in zip(named, own, strict=True):
            value.data = data


def _any_number_of_rows(torch: Any, module: Any, given: list[Any], names: Sequence[str], output: str) -> bytes:
    """The module's structure, in which the number of rows is not written down as that of the export.

    Raises:
        GraphError: when the module's code takes the number of rows as a Python number, len(x), which is one for all.
    """
    structure, said = _structure(torch, module, [rows[:_EXPORTED_ROWS] for rows in given], names, output)
    if _BRANCH_WARNING.search(" ".join(said)):
        check_no_branches(torch, module, given)
    numbers = next((place for warning, place in said.items() if _NUMBER_WARNING.search(warning)), None)
    if numbers is None:
        return structure
    if _structure(torch, module, [rows[:_CHECKED_ROWS] for rows in given], names, output)[0] == structure:
        return structure
    raise GraphError(
        f"The code of the {type(module).__name__} takes the number of rows as a Python number ({numbers}), so that "
        "torch writes down the one of the export. Use x.size(0) or x.shape[0] in place of len(x) or int(...): torch "
        "follows these for any number of rows.",
        "BATCH_AXIS",
    )


#: What torch warns of where a tensor's extent, or any value, becomes a Python number.
_NUMBER_WARNING = re.compile(r"Using len to get tensor shape|tensor to a Python integer")
_BRANCH_WARNING = re.compile(r"tensor to a Python (boolean|float|number|list)")


def _structure(
    torch: Any, module: Any, given: list[Any], names: Sequence[str], output: str
) -> tuple[bytes, dict[str, str]]:
    """The module as an ONNX file in which every tensor of it is an input, and what torch warned of, with the places."""
    said: list[warnings.WarningMessage] = []
    with _distinct_tensors(torch, module):
        try:
            with (
                warnings.catch_warnings(record=True) as said,
                _without_dumps(torch),
                more_symbols(torch),
                with_detached(torch),
                with_plain_attention(torch),
                with_plain_bags(torch),
                with_plain_projections(torch),
                with_limited_tables(torch),
            ):
                # What torch says of its exporters is not about the user's network.
                warnings.simplefilter("always")
                buffer = io.BytesIO()
                torch.onnx.export(
                    module,
                    tuple(given),
                    buffer,
                    input_names=list(names),
                    output_names=[output],
                    dynamic_axes={name: {0: "n"} for name in (*names, output)},
                    dynamo=False,
                    export_params=False,
                    do_constant_folding=False,
                    # In the mode that the module is in, evaluation, but without folding batch norm into what is before.
                    training=torch.onnx.TrainingMode.PRESERVE,
                )
            structure = buffer.getvalue()
        except Exception as error:
            structure = _by_newer_exporter(torch, module, given, names, output, error)
    return structure, {str(each.message): f"{os.path.basename(each.filename)}, line {each.lineno}" for each in said}


def _by_newer_exporter(
    torch: Any, module: Any, given: list[Any], names: Sequence[str], output: str, error: Exception
) -> bytes:
    """What torch's newer exporter makes of a module that the older one failed on.

    Raises:
        GraphError: where it fails, too.
    """
    try:
        return newer_structure(torch, module, given, names, output, tensor_names(module))
    except Exception:
        # The older one's reason is short; the newer one prints pages.
        lines = [line for line in str(error).splitlines() if line.strip()]
        reason = lines[0].split("  [Caused by")[0].split(". Please feel free")[0] if lines else type(error).__name__
        raise GraphError(
            f"The {type(module).__name__} is not a plain Sequential, and torch's ONNX export of it failed: "
            f"{reason.rstrip('.')}. {_advice(module)}",
            "BAD_GRAPH",
        ) from error


@contextmanager
def _without_dumps(torch: Any) -> Iterator[None]:
    """Without the graph that the exporter prints where it fails."""
    original = torch._C._jit_onnx_log
    torch._C._jit_onnx_log = lambda *_: None
    try:
        yield
    finally:
        torch._C._jit_onnx_log = original


def _advice(module: Any) -> str:
    """What to do about a module that cannot be exported: parametrizations are named, with the way to plain weights."""
    parametrized = [
        (path, name, [type(each).__name__.lstrip("_") for each in parametrizations])
        for path, part in getattr(module, "inner", module).named_modules()
        for name, parametrizations in dict(getattr(part, "parametrizations", None) or {}).items()
    ]
    if not parametrized:
        return _ADVICE
    what = ", ".join(f"{f'{path}.{name}'.lstrip('.')!r} by {' and '.join(by)}" for path, name, by in parametrized)
    path, name, _ = parametrized[0]
    part = f"module.get_submodule({path!r})" if path else "module"
    return (
        f"It has parametrized tensors: {what}. torch.nn.utils.parametrize.remove_parametrizations({part}, {name!r}) "
        "makes one a plain parameter with the value that it has now."
    )
