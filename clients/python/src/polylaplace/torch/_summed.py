# mypy: disable-error-code="import-not-found"
"""Loss and curvature of batches, summed by the core."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .._exceptions import DataError, LaplaceWarning, OptionError
from .._laplace import Laplace as CoreLaplace
from ._errors import NoCurvatureError
from ._layout import as_torch, in_core_order
from ._levels import user_level
from ._read_ahead import read_ahead
from ._soft_labels import SoftLabels
from .utils.matrix import Kron

#: What laplace-torch's empirical Fisher of regression is over the definition: the gradient of (f - y)^2 in place of
#: half of it, squared, times one half.
EF_OF_REGRESSION = 2.0

#: How the core's note on the order of single parameters begins.
_OF_ORDER = "Numbers of single parameters"

#: Arguments of laplace-torch's backends that the core has a word for.
_KNOWN = ("N", "kfac_approx", "mc_samples")


@dataclass(frozen=True)
class Summed:
    """Sums over batches: tensors of the module's dtype and device.

    Attributes:
        loss: the loss, a scalar.
        H: the curvature: (P, P), (P,), or a `Kron` whose second factors are means over the examples.
        posterior: the core's posterior, which predicts.
        order: for each of the core's parameters its place among torch's; None: the same.
        scale: what H is over the core's own.
        examples: how many rows there were.
        shape: the shape of one row's inputs, by name where they have names.
    """

    loss: Tensor
    H: Any
    posterior: CoreLaplace
    order: Tensor | None
    scale: float
    examples: int
    shape: Any


def summed(
    backend: Any,
    structure: str,
    batches: Iterable[tuple[Any, Tensor]],
    kwargs: Mapping[str, Any],
    *,
    progress: Any = None,
) -> Summed:
    """Loss and curvature of batches of inputs and labels.

    Raises:
        OptionError: when the backend has no curvature, or an argument that is not known.
    """
    core = core_laplace(backend, structure, kwargs)
    data = _features(backend, batches) if backend.last_layer else batches
    core._wanted = ("loss", "H", "parameters")
    if core._network_params is not None:
        # It was read a moment ago: the fit need not read it again to see whether it was trained further.
        core.model = None
    shapes: list[Any] = []
    labels = SoftLabels(backend)
    first, rest = read_ahead(_sendable(data, backend.dict_key_y, shapes, labels))
    if not first:
        raise DataError("There are no rows to fit to.", "EMPTY_DATA")
    order = _use_subnetwork(core, backend.subnetwork_indices, first[0][0])
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        if len(first) == 1 and rest is None:
            core.fit(*first[0], progress_bar=progress)
        else:
            core.fit(chain(first, rest or ()), progress_bar=progress)
    # The order of parameters is torch's here.
    for each in (one for one in said if order is None or not str(one.message).startswith(_OF_ORDER)):
        warnings.warn(each.message, each.category, stacklevel=user_level())
    like = next(backend._model.parameters())
    _say_of_device(like.device)
    scale = EF_OF_REGRESSION if _doubled(backend) else 1.0
    parameters = core._get("parameters")
    if backend.subnetwork_indices is None:
        order = in_core_order(parameters)
    return Summed(
        loss=torch.tensor(core.loss, dtype=like.dtype, device=like.device) + labels.more,
        H=_of_layers(as_torch(_tensors(core.H, like, scale), order, parameters, core.n_data)),
        posterior=core,
        order=order,
        scale=scale,
        examples=core.n_data,
        shape=shapes[0],
    )


def _say_of_device(device: Any) -> None:
    if device.type != "cpu":
        warnings.warn(
            f"The network is on {device}; the core computes on the CPU, so that data and weights are copied there. "
            "Results are on the network's device.",
            LaplaceWarning,
            stacklevel=user_level(),
        )


def _doubled(backend: Any) -> bool:
    return bool(backend.curvature == "empirical_fisher" and backend.likelihood == "regression")


def core_laplace(backend: Any, structure: str, kwargs: Mapping[str, Any]) -> CoreLaplace:
    """The core's posterior that a backend stands for, not fitted yet."""
    if backend.curvature is None:
        raise OptionError(
            f"{type(backend).__name__} has no curvature of its own: take GGNInterface, EFInterface, or one of the "
            "backends that are made of them (CurvlinopsGGN, AsdlEF, ...).",
            "BAD_OPTION",
            {"option": "backend"},
        )
    if backend.curvature == "hessian" and structure != "full":
        raise NoCurvatureError(
            f"{type(backend).__name__} has the exact Hessian as a whole matrix alone: take hessian_structure 'full', "
            "or a GGN or EF backend.",
            "BAD_COMBINATION",
            {"option": "backend"},
        )
    unknown = [key for key in kwargs if key not in _KNOWN]
    if unknown:
        raise OptionError(
            f"The argument {unknown[0]!r} of the backend is not supported: {', '.join(_KNOWN[1:])} are.",
            "UNKNOWN_OPTION",
            {"option": unknown[0]},
        )
    indices = backend.subnetwork_indices
    # The seed is torch's: torch.manual_seed repeats the draws.
    drawn: dict[str, Any] = (
        {"draws": _draws(backend, kwargs), "seed": int(torch.randint(2**31, ()))} if backend.stochastic else {}
    )
    return CoreLaplace(
        _last_layer(backend.model) if backend.last_layer else backend.model,
        str(backend.likelihood.value),
        "all" if indices is None else "subnetwork",
        structure,
        curvature="mc_fisher" if backend.stochastic else backend.curvature,
        subnetwork_indices=None if indices is None else indices.cpu().numpy(),
        kfac_approx=str(kwargs.get("kfac_approx", "expand")),
        dict_key_y=backend.dict_key_y,
        **drawn,
    )


def _draws(backend: Any, kwargs: Mapping[str, Any]) -> int:
    return int(kwargs.get("mc_samples", backend.num_samples))


def _last_layer(model: Any) -> nn.Module:
    """The last layer as a network of its own, all of whose parameters take part, also where they are not trained."""
    layer: nn.Module = model.last_layer
    if all(value.requires_grad for value in layer.parameters()):
        return layer
    return deepcopy(layer).requires_grad_(True)


def _features(backend: Any, batches: Iterable[tuple[Any, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    """The inputs of the last layer and the labels."""
    for x, y in batches:
        with torch.no_grad():
            yield backend.model.answering_features(x)[1], y


def _sendable(
    batches: Iterable[tuple[Any, Tensor]], label_key: str, shapes: list[Any], labels: SoftLabels
) -> Iterator[tuple[Any, Any]]:
    """Batches as the core takes them: mappings without their labels. The shapes of their rows are noted."""
    for x, y in batches:
        inputs = inputs_of(x, label_key)
        shapes.append(shape_of(inputs))
        yield inputs, labels.numbers(x, y)


def shape_of(inputs: Any) -> Any:
    """The shape of one row of inputs, by name where they have names."""
    if isinstance(inputs, Mapping):
        return {key: tuple(value.shape[1:]) for key, value in inputs.items()}
    return tuple(inputs.shape[1:])


def inputs_of(x: Any, label_key: str) -> Any:
    """The inputs of a batch: a tensor, or the tensors of a mapping that are no labels."""
    if not isinstance(x, Mapping):
        return x.detach()
    return {key: value.detach() for key, value in x.items() if key != label_key and isinstance(value, Tensor)}


def _use_subnetwork(core: CoreLaplace, indices: Tensor | None, inputs: Any) -> Tensor | None:
    """Tells the core the parameters of a subnetwork as it counts them.

    Returns:
        For each of them, in the core's order, its place among `indices`.
    """
    if indices is None:
        return None
    indices = indices.cpu()
    # A chain of layers has no matrix the other way round.
    of_network = None if core._network_params is not None else in_core_order(core._network_parameters(inputs))
    counted = indices if of_network is None else of_network.argsort()[indices]
    core._options["subnetwork"] = counted.sort().values.numpy().astype(np.float64)
    return counted.argsort()


def _of_layers(H: Any) -> Any:
    return Kron(H) if isinstance(H, list) else H


def _tensors(H: Any, like: Tensor, scale: float) -> Any:
    """The core's curvature as tensors of a dtype, on a device: a matrix, a diagonal, or the factors of each block."""

    def tensor(array: Any) -> Tensor:
        return torch.as_tensor(np.ascontiguousarray(array)).to(device=like.device, dtype=like.dtype)

    if isinstance(H, np.ndarray):
        return scale * tensor(H)
    blocks = []
    for block in H:
        factors = [tensor(block[key]) for key in ("B", "A", "diagonal") if block.get(key) is not None]
        factors[0] = factors[0] * scale
        blocks.append(factors)
    return blocks
