"""torch modules as the server takes them, without importing torch.

A chain of torch's own layers is described by its layers and weights. Any other module must be run to be known: torch's
ONNX export does that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ._data import to_array
from ._examples import Examples
from ._exceptions import GraphError
from ._torch_export import exported_module, frozen_parameters, real_parameters, unwrapped_module

#: Module classes that can be read directly, with the attributes that say what they compute.
_TORCH_LAYERS: dict[str, tuple[str, ...]] = {
    "Linear": (),
    "Conv1d": ("stride", "padding", "dilation", "groups", "padding_mode"),
    "Conv2d": ("stride", "padding", "dilation", "groups", "padding_mode"),
    "BatchNorm1d": ("eps", "affine"),
    "BatchNorm2d": ("eps", "affine"),
    "LayerNorm": ("eps", "normalized_shape", "elementwise_affine"),
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


def torch_module(module: Any, hints: Mapping[str, Any], example: Examples | None) -> dict[str, Any] | None:
    """What readNetwork needs for a module as it is now; None when an example of the data is needed first.

    The parameters are `module.parameters()` in their order, without those that are not trained.
    """
    module = _one_network(unwrapped_module(module), hints.get("model"))
    rest = {key: value for key, value in hints.items() if key not in ("architecture", "model")}
    _refuse_quantised(module)
    if "parameters" not in rest:
        frozen = frozen_parameters(module)
        _check_trained(module, frozen, "have requires_grad=False, as after merge_and_unload() of adapters")
        if frozen:
            rest["freeze"] = [*frozen, *_as_list(rest.get("freeze"))]
    given = hints.get("architecture")
    layers = given or torch_layers(module)
    if layers is not None:
        if given is None and "parameters" not in rest:
            rest["parameters"] = [name for name, _ in real_parameters(module)]
        tensors = {
            name: to_array(value, name)
            for name, value in module.state_dict().items()
            if not name.endswith("num_batches_tracked")
        }
        return {"layers": layers, "tensors": tensors, "hints": rest}
    if example is None:
        return None
    exported = exported_module(module, example, rest.get("output"))
    if "parameters" not in rest:
        _check_trained(module, exported["unused"], "are frozen or do not change its outputs in evaluation mode")
    return {"module": exported, "hints": rest}


def _check_trained(module: Any, without: Sequence[str], why: str) -> None:
    """Checks that the posterior has a parameter to be over.

    Raises:
        GraphError: when all of the module's are among those `without` a part in the fit.
    """
    names = [name for name, _ in real_parameters(module)]
    if names and set(names) <= set(without):
        raise GraphError(
            f"All {len(names)} parameters of the {type(module).__name__} {why}: the posterior would be over none. Name "
            f"those that it is over with parameters=, for example parameters={names[-1]!r}, or '*' for all.",
            "BAD_GRAPH",
        )


def _refuse_quantised(module: Any) -> None:
    for path, part in module.named_modules():
        made_by = type(part).__module__
        if made_by.startswith(("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized", "torch.nn.quantized")):
            raise GraphError(
                f"The {type(module).__name__} has quantised layers ({path!r} is a {type(part).__name__} of {made_by}), "
                "which have no derivatives: use the float model it was made from.",
                "UNSUPPORTED_OPERATOR",
            )


def _one_network(module: Any, name: str | None) -> Any:
    """The network that is meant: a container has no forward of its own, and its parts are networks of their own.

    Raises:
        GraphError: when a container's network is not named.
    """
    children = dict(module.named_children())
    if name is not None:
        try:
            return unwrapped_module(module.get_submodule(name))
        except AttributeError:
            raise GraphError(
                f"model_name is {name!r}, and the {type(module).__name__} has {', '.join(map(repr, children))}.",
                "AMBIGUOUS_NETWORK",
                {"networks": list(children)},
            ) from None
    if type(module).__name__ not in ("ModuleDict", "ModuleList") or len(children) == 0:
        return module
    if len(children) == 1:
        return _one_network(next(iter(children.values())), None)
    raise GraphError(
        f"The {type(module).__name__} holds {len(children)} networks: {', '.join(map(repr, children))}. Say which with "
        f"model_name, for example model_name={next(iter(children))!r}.",
        "AMBIGUOUS_NETWORK",
        {"networks": list(children)},
    )


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return [value] if isinstance(value, (str, int)) else list(value)


def torch_layers(module: Any) -> list[dict[str, Any]] | None:
    """The layers of a Sequential (or of a single layer) in the architecture file's words.

    Returns:
        None when the module's code would have to run to know what it computes.
    """
    layers: list[dict[str, Any]] = []
    return layers if not _has_tied(module) and _collect(module, "", layers) else None


def _has_tied(module: Any) -> bool:
    """Whether a parameter is in several places: layers have weights of their own."""
    named = list(module.named_parameters(remove_duplicate=False))
    return len({id(value) for _, value in named}) < len(named)


def _collect(module: Any, prefix: str, layers: list[dict[str, Any]]) -> bool:
    cls = type(module)
    # A subclass may have a forward of its own: only torch's own classes are known to compute what their name says.
    if not cls.__module__.startswith("torch.nn.modules.") or "forward" in vars(module):
        return False
    if getattr(module, "_forward_hooks", None) or getattr(module, "_forward_pre_hooks", None):
        return False
    if cls.__name__ == "Sequential":
        # named_children leaves out a module that stands in several places, such as one ReLU between all layers.
        parts = [(name, child) for name, child in module._modules.items() if child is not None]
        return all(_collect(child, f"{prefix}.{name}" if prefix else name, layers) for name, child in parts)
    if cls.__name__ not in _TORCH_LAYERS or _has_more_than_layers(module):
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


def _has_more_than_layers(module: Any) -> bool:
    """Whether a layer has a setting that the architecture file has no word for."""
    padding_mode = getattr(module, "padding_mode", "zeros") != "zeros"
    takes_examples = getattr(module, "start_dim", 1) == 0
    return padding_mode or takes_examples or getattr(module, "divisor_override", None) is not None
