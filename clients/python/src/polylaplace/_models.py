"""Networks as the server takes them: files, torch modules, Keras models, scikit-learn's MLPs, skorch."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ._data import to_array
from ._examples import Examples
from ._exceptions import DataError, GraphError, OptionError, StateError
from ._keras_models import is_keras_model, keras_file, keras_outputs
from ._options import Tensors, as_tensors
from ._sklearn_models import prepared, surroundings, unwrapped_estimator
from ._torch_models import torch_module

#: The parameters of readNetwork.
NetworkParams: TypeAlias = dict[str, Any]
#: A list of layers, or a JSON file of one.
Architecture: TypeAlias = Sequence[Mapping[str, Any]] | str | os.PathLike[str]


def reading_hints(
    *,
    architecture: Architecture | None,
    activation: str | None,
    input: str | None,
    output: str | None,
    parameters: Tensors | None,
    freeze: Tensors | None,
    model_name: str | None,
    input_size: int | Sequence[int] | None,
    dimensions: Mapping[str, int] | None,
    files: dict[str, bytes] | None,
) -> dict[str, Any]:
    """How a network is read, by the names of the protocol."""
    return {
        "architecture": _load_architecture(architecture),
        "activation": activation,
        "input": input,
        "output": output,
        "parameters": as_tensors(parameters, "parameters"),
        "freeze": as_tensors(freeze, "freeze"),
        "model": model_name,
        "inputSize": input_size if input_size is None or isinstance(input_size, int) else list(input_size),
        "dimensions": None if dimensions is None else dict(dimensions),
        "files": files,
    }


def network_params(model: Any, hints: Mapping[str, Any], example: Examples | None = None) -> NetworkParams | None:
    """What readNetwork needs for a model, and for what a scikit-learn object has around it; else as `_bare_params`."""
    if not hasattr(model, "get_params"):
        return _bare_params(model, hints, example)
    wrapped = unwrapped_estimator(model)
    around = surroundings(wrapped, example)
    if around is None:
        return None
    inner = _bare_params(wrapped.network, hints, prepared(wrapped, example))
    return None if inner is None else {**inner, **around}


#: What torch makes of a module with the operations that one example took, in place of its code.
_TRACES = {"TopLevelTracedModule": "torch.jit.trace", "ExportedProgram": "torch.export"}


def _refuse_traces(model: Any) -> None:
    made_by = _TRACES.get(type(model).__name__)
    if made_by is not None:
        raise GraphError(
            f"A {type(model).__name__} is a recording of a module, made by {made_by} with an example. Give the torch "
            "module that it was made from, or the ONNX file that torch.onnx.export makes of it.",
            "BAD_GRAPH",
        )


def _bare_params(model: Any, hints: Mapping[str, Any], example: Examples | None) -> NetworkParams | None:
    """What readNetwork needs for a model.

    Args:
        hints: architecture, activation, input, output and the like; None values are left out.
        example: some rows of data; a torch module that cannot be read directly is exported with them.

    Returns:
        None when the model can be sent only once an example is known.
    """
    hints = {key: value for key, value in hints.items() if value is not None}
    if isinstance(model, (bytes, bytearray, memoryview)):
        return {"bytes": bytes(model), "hints": hints}
    if isinstance(model, (str, os.PathLike)):
        return {"bytes": _read_file(Path(model)), "hints": hints}
    if is_keras_model(model):
        return {"bytes": keras_file(model), "hints": hints, **keras_outputs(model, example)}
    if hasattr(model, "module_") and hasattr(model, "get_params"):
        return _bare_params(model.module_, hints, example)
    if hasattr(model, "load_params") and hasattr(model, "get_params"):
        raise StateError(
            f"The {type(model).__name__} (skorch) has no network yet: call its fit first, or initialize() and "
            "load_params(...).",
            "NOT_FITTED",
        )
    if hasattr(model, "coefs_") and hasattr(model, "intercepts_"):
        return {"sklearn": _sklearn_mlp(model), "hints": hints}
    if _is_sklearn_mlp(model):
        raise StateError(
            f"The {type(model).__name__} has not been fitted yet: call its fit first, or give it to LaplaceClassifier "
            "or LaplaceRegressor, which fit it.",
            "NOT_FITTED",
        )
    _refuse_traces(model)
    if hasattr(model, "state_dict") and hasattr(model, "named_children"):
        return torch_module(model, hints, example)
    if type(model).__name__ == "ONNXProgram" and hasattr(model, "model_proto"):
        model = model.model_proto
    if hasattr(model, "SerializeToString"):
        return {"bytes": model.SerializeToString(), "hints": hints}
    if isinstance(model, Mapping):
        return _state_dict(model, hints)
    raise DataError(
        f"A {type(model).__name__} is not a network that can be read. Give a file's path or its bytes (ONNX, PyTorch "
        "state dict, safetensors, Flux BSON), a torch.nn.Module, a Keras model, or a fitted scikit-learn MLP.",
        "BAD_ARRAY",
    )


def is_live(model: Any) -> bool:
    """Whether a model may change between two fits, as objects of a program do and files (here) do not."""
    return not isinstance(model, (bytes, bytearray, memoryview, str, os.PathLike))


def fingerprint(value: Any) -> bytes:
    """Changes whenever the parameters of readNetwork do."""
    digest = hashlib.blake2b()
    _add_to(digest, value)
    return digest.digest()


def _add_to(digest: hashlib.blake2b, value: Any) -> None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            digest.update(repr(key).encode())
            _add_to(digest, item)
    elif isinstance(value, (list, tuple)):
        digest.update(repr(len(value)).encode())
        for item in value:
            _add_to(digest, item)
    elif isinstance(value, np.ndarray):
        digest.update(repr((value.shape, value.dtype.str)).encode())
        digest.update(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data)
    else:
        digest.update(value if isinstance(value, bytes) else repr(value).encode())


def size_of(value: Any) -> int:
    """Bytes of the bulk data in parameters."""
    if isinstance(value, Mapping):
        return sum(map(size_of, value.values()))
    if isinstance(value, (list, tuple)):
        return sum(map(size_of, value))
    return value.nbytes if isinstance(value, (np.ndarray, Examples)) else len(value) if isinstance(value, bytes) else 0


def with_input_size(params: NetworkParams, examples: Examples | None) -> NetworkParams:
    """Adds the shape of one example for layers, which do not tell the size of images or the length of sequences; files
    of Keras may leave that open too."""
    example = None if examples is None else examples.only
    hints = params.get("hints", {})
    keras = params.get("bytes", b"")[:4] in (b"PK\x03\x04", b"\x89HDF")
    bare = "layers" in params or hints.get("architecture") is not None or keras
    if example is None or example.ndim < 3 or not bare or "inputSize" in hints:
        return params
    return {**params, "hints": {**hints, "inputSize": [int(extent) for extent in example.shape[1:]]}}


def _load_architecture(architecture: Architecture | None) -> list[Mapping[str, Any]] | None:
    """The list of layers of an architecture option."""
    if architecture is None:
        return None
    if isinstance(architecture, (str, os.PathLike)):
        import json

        try:
            layers = json.loads(Path(architecture).read_text(encoding="utf-8"))
        except ValueError as error:
            raise _no_layers(f"a file that is no JSON ({error})") from error
    else:
        layers = architecture
    if not isinstance(layers, Sequence) or not all(isinstance(layer, Mapping) for layer in layers):
        raise _no_layers(f"a {type(layers).__name__}")
    return [dict(layer) for layer in layers]


def _no_layers(found: str) -> OptionError:
    return OptionError(
        f"architecture must be a list of layers, such as {{'type': 'linear', 'in': 4, 'out': 3}}, or a JSON file of "
        f"one; got {found}.",
        "BAD_OPTION",
        {"option": "architecture"},
    )


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except IsADirectoryError:
        raise DataError(f"'{path}' is a folder; give the model's file.", "BAD_ARRAY") from None


def _is_sklearn_mlp(model: Any) -> bool:
    return any(cls.__name__ == "BaseMultilayerPerceptron" for cls in type(model).__mro__)


def _sklearn_mlp(model: Any) -> dict[str, Any]:
    return {
        "coefs": [to_array(matrix, "coefs_") for matrix in model.coefs_],
        "intercepts": [to_array(vector, "intercepts_") for vector in model.intercepts_],
        "activation": str(model.activation),
        "outActivation": str(model.out_activation_),
    }


def _state_dict(state: Mapping[Any, Any], hints: Mapping[str, Any]) -> NetworkParams:
    """A plain dictionary of tensors, with an architecture or as a chain of linear layers."""
    parts = [name for name, value in state.items() if isinstance(value, Mapping)]
    if parts:
        name = hints.get("model") or (parts[0] if len(parts) == 1 else None)
        if name not in state:
            raise GraphError(
                f"The dictionary holds {len(parts)} networks: {', '.join(map(repr, parts))}. Say which with "
                f"model_name, for example model_name={parts[0]!r}.",
                "AMBIGUOUS_NETWORK",
                {"networks": [str(part) for part in parts]},
            )
        return _state_dict(state[name], {key: value for key, value in hints.items() if key != "model"})
    layers = hints.get("architecture")
    tensors = {str(name): to_array(value, str(name)) for name, value in state.items()}
    rest = {key: value for key, value in hints.items() if key != "architecture"}
    return (
        {"layers": layers, "tensors": tensors, "hints": rest}
        if layers is not None
        else {"tensors": tensors, "hints": rest}
    )


# --- torch, without importing it ---
