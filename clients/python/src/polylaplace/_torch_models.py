"""torch modules as the server takes them, without importing torch.

A chain of torch's own layers is described by its layers and weights. Any other module must be run to be known: torch's
ONNX export does that.
"""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from ._data import Array, to_array
from ._exceptions import GraphError

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


def torch_module(module: Any, hints: Mapping[str, Any], example: Array | None) -> dict[str, Any] | None:
    """What readNetwork needs for a module; None when an example of the data is needed first."""
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
    """The layers of a Sequential (or of a single layer) in the architecture file's words.

    Returns:
        None when the module's code would have to run to know what it computes.
    """
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
