"""Networks as the server takes them: files, torch modules, scikit-learn's MLPs, skorch."""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ._data import Array, to_array
from ._exceptions import DataError, GraphError, StateError

#: The parameters of readNetwork.
NetworkParams: TypeAlias = dict[str, Any]
#: A list of layers, or a JSON file of one.
Architecture: TypeAlias = Sequence[Mapping[str, Any]] | str | os.PathLike[str]


def network_params(model: Any, hints: Mapping[str, Any], example: Array | None = None) -> NetworkParams | None:
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
    if hasattr(model, "module_") and hasattr(model, "get_params"):
        return network_params(model.module_, hints, example)
    if hasattr(model, "coefs_") and hasattr(model, "intercepts_"):
        return {"sklearn": _sklearn_mlp(model), "hints": hints}
    if _is_sklearn_mlp(model):
        raise StateError(
            f"The {type(model).__name__} has not been fitted yet: call its fit first, or give it to LaplaceClassifier or LaplaceRegressor, which fit it.",
            "NOT_FITTED",
        )
    if hasattr(model, "state_dict") and hasattr(model, "named_children"):
        return _torch_module(model, hints, example)
    if hasattr(model, "SerializeToString"):
        return {"bytes": model.SerializeToString(), "hints": hints}
    if isinstance(model, Mapping):
        return _state_dict(model, hints)
    raise DataError(
        f"A {type(model).__name__} is not a network that can be read. Give a file's path or its bytes (ONNX, PyTorch state dict, safetensors, Flux BSON), "
        "a torch.nn.Module, or a fitted scikit-learn MLP.",
        "BAD_ARRAY",
    )


def size_of(value: Any) -> int:
    """Bytes of the bulk data in parameters."""
    if isinstance(value, Mapping):
        return sum(map(size_of, value.values()))
    if isinstance(value, (list, tuple)):
        return sum(map(size_of, value))
    return value.nbytes if isinstance(value, np.ndarray) else len(value) if isinstance(value, bytes) else 0


def with_input_size(params: NetworkParams, example: Array | None) -> NetworkParams:
    """Adds the shape of one example for layers, which do not tell the size of images or the length of sequences."""
    hints = params.get("hints", {})
    bare = "layers" in params or hints.get("architecture") is not None
    if example is None or example.ndim < 3 or not bare or "inputSize" in hints:
        return params
    return {**params, "hints": {**hints, "inputSize": [int(extent) for extent in example.shape[1:]]}}


def load_architecture(architecture: Architecture | None) -> list[Mapping[str, Any]] | None:
    """The list of layers of an architecture option."""
    if architecture is None:
        return None
    if isinstance(architecture, (str, os.PathLike)):
        import json

        text = Path(architecture).read_text(encoding="utf-8")
        return list(json.loads(text))
    return [dict(layer) for layer in architecture]


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
    layers = hints.get("architecture")
    tensors = {str(name): to_array(value, str(name)) for name, value in state.items()}
    rest = {key: value for key, value in hints.items() if key != "architecture"}
    return (
        {"layers": layers, "tensors": tensors, "hints": rest}
        if layers is not None
        else {"tensors": tensors, "hints": rest}
    )


# --- torch, without importing it ---

#: Module classes that can be read directly, with the attributes that say what they compute.
_TORCH_LAYERS: dict[str, tuple[str, ...]] = {
    "Linear": (),
    "Conv1d": ("stride", "padding", "dilation", "groups", "padding_mode"),
    "Conv2d": ("stride", "padding", "dilation", "groups", "padding_mode"),
    "BatchNorm1d": ("eps",),
    "BatchNorm2d": ("eps",),
    "LayerNorm": ("eps", "normalized_shape"),
    "MaxPool1d": ("kernel_size", "stride", "padding", "dilation", "ceil_mode"),
    "MaxPool2d": ("kernel_size", "stride", "padding", "dilation", "ceil_mode"),
    "AvgPool1d": ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"),
    "AvgPool2d": ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"),
    "AdaptiveAvgPool1d": ("output_size",),
    "AdaptiveAvgPool2d": ("output_size",),
    "Flatten": ("start_dim", "end_dim"),
    "ReLU": (),
    "Tanh": (),
    "Sigmoid": (),
    "GELU": ("approximate",),
    "SiLU": (),
    "Mish": (),
    "ELU": ("alpha",),
    "SELU": (),
    "CELU": ("alpha",),
    "LeakyReLU": ("negative_slope",),
    "Softplus": ("beta", "threshold"),
    "Softsign": (),
    "Hardtanh": ("min_val", "max_val"),
    "ReLU6": (),
    "Hardswish": (),
    "Hardsigmoid": (),
    "Softmax": ("dim",),
    "LogSoftmax": ("dim",),
    "Identity": (),
    "Dropout": (),
    "Dropout1d": (),
    "Dropout2d": (),
}


def _torch_module(module: Any, hints: Mapping[str, Any], example: Array | None) -> NetworkParams | None:
    layers = hints.get("architecture") or torch_layers(module)
    if layers is not None:
        rest = {key: value for key, value in hints.items() if key != "architecture"}
        tensors = {
            name: to_array(value, name)
            for name, value in module.state_dict().items()
            if not name.endswith("num_batches_tracked")
        }
        return {"layers": layers, "tensors": tensors, "hints": rest}
    if example is None:
        return None
    return {"bytes": _torch_export(module, example), "hints": dict(hints)}


def torch_layers(module: Any) -> list[dict[str, Any]] | None:
    """The layers of a Sequential (or of a single layer) in the architecture file's words, None when its code would have to run."""
    layers: list[dict[str, Any]] = []
    return layers if _collect(module, "", layers) else None


def _collect(module: Any, prefix: str, layers: list[dict[str, Any]]) -> bool:
    cls = type(module)
    # A subclass may have a forward of its own: only torch's own classes are known to compute what their name says.
    if not cls.__module__.startswith("torch.nn.modules.") or "forward" in vars(module):
        return False
    if cls.__name__ == "Sequential":
        return all(
            _collect(child, f"{prefix}.{name}" if prefix else name, layers) for name, child in module.named_children()
        )
    if (
        cls.__name__ not in _TORCH_LAYERS
        or getattr(module, "_forward_hooks", None)
        or getattr(module, "_forward_pre_hooks", None)
    ):
        return False
    if getattr(module, "parametrizations", None) is not None:
        return False
    if cls.__name__ in ("BatchNorm1d", "BatchNorm2d") and getattr(module, "running_mean", None) is None:
        return False
    entry: dict[str, Any] = {"type": cls.__name__, "name": prefix}
    for key in _TORCH_LAYERS[cls.__name__]:
        value = getattr(module, key, None)
        if value is not None:
            entry[key] = list(value) if isinstance(value, (tuple, list)) else value
    layers.append(entry)
    return True


def _torch_export(module: Any, example: Array) -> bytes:
    """A module's own ONNX export, by the torch that made it."""
    torch = sys.modules.get("torch")
    if torch is None:
        raise GraphError(
            f"A {type(module).__name__} can be read only through torch's ONNX export, and torch is not loaded.",
            "BAD_GRAPH",
        )
    parameter = next(iter(module.parameters()), None)
    rows: Any = torch.as_tensor(np.ascontiguousarray(example[:2]))
    if parameter is not None:
        rows = rows.to(device=parameter.device, dtype=parameter.dtype if rows.is_floating_point() else rows.dtype)
    training = module.training
    module.eval()
    buffer = io.BytesIO()
    try:
        with warnings.catch_warnings():
            # torch announces another exporter, which needs further packages.
            warnings.simplefilter("ignore", DeprecationWarning)
            torch.onnx.export(
                module,
                (rows,),
                buffer,
                input_names=["x"],
                output_names=["y"],
                dynamic_axes={"x": {0: "n"}, "y": {0: "n"}},
                dynamo=False,
            )
    except Exception as error:
        raise GraphError(
            f"The {type(module).__name__} is not a plain Sequential, and torch's ONNX export of it failed: {error}. "
            "Export it yourself (torch.onnx.export) and give the file, or give its state dict with architecture=.",
            "BAD_GRAPH",
        ) from error
    finally:
        module.train(training)
    return buffer.getvalue()
