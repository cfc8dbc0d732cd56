"""Networks that answer at several positions of an example: variances as torch.func's, K-FAC with a term a position."""

from __future__ import annotations

import contextlib
import functools
import io
import warnings
from typing import Any

import numpy as np
import polylaplace
import pytest
import torch
from polylaplace import Laplace
from torch import nn
from torch.func import functional_call, jacrev, vmap
from torch.nn import functional

RNG = np.random.default_rng(0)
PRIOR = 0.7


class Tokens(nn.Module):
    """Token labels: N x T to N x T x C, with a context that all tokens share."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(8, 6)
        self.hidden = nn.Linear(6, 5)
        self.head = nn.Linear(5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.tanh(self.hidden(self.embedding(x)))
        return self.head(h + h.mean(1, keepdim=True))


class Convolutions(nn.Module):
    """Signals N x 2 x L or images N x 2 x H x W to N x C x the same; `window` of the head."""

    def __init__(self, axes: int, outputs: int = 3, window: int = 1) -> None:
        super().__init__()
        kind = (nn.Conv1d, nn.Conv2d)[axes - 1]
        self.hidden = kind(2, 4, 3, padding=1)
        self.head = kind(4, outputs, window, padding=window // 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.hidden(x)))


class ClassesLast(nn.Module):
    """Images with their classes on the last axis, as Keras has them."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Convolutions(2)
        self.head = self.inner.head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x).permute(0, 2, 3, 1)


@functools.cache
def _network(name: str) -> tuple[nn.Module, np.ndarray, int]:
    """The network, its inputs, and the axis of its classes."""
    torch.manual_seed(0)
    signals, images = RNG.normal(size=(6, 2, 5)), RNG.normal(size=(4, 2, 3, 4))
    module, x, axis = {
        "tokens": lambda: (Tokens(), RNG.integers(0, 8, (7, 4)), -1),
        "signals": lambda: (Convolutions(1), signals, 1),
        # As many positions as classes: only the head tells which axis is which.
        "as many": lambda: (Convolutions(1, outputs=5), signals, 1),
        "images": lambda: (Convolutions(2, window=3), images, 1),
        "classes last": lambda: (ClassesLast(), images, -1),
    }[name]()
    return module.double().eval(), x, axis


NETWORKS = ["tokens", "signals", "as many", "images", "classes last"]


def _terms(outputs: torch.Tensor, axis: int) -> torch.Tensor:
    """N x T x C, term by term."""
    return outputs.movedim(axis, -1).flatten(1, -2)


def _jacobian(module: nn.Module, x: torch.Tensor, axis: int) -> dict[str, torch.Tensor]:
    """N x T x C x size of every parameter."""
    parameters = {name: value.detach() for name, value in module.named_parameters()}

    def outputs(values: dict[str, torch.Tensor], row: torch.Tensor) -> torch.Tensor:
        return _terms(functional_call(module, values, (row.unsqueeze(0),)), axis)[0]

    return {name: part.flatten(3) for name, part in vmap(jacrev(outputs), (None, 0))(parameters, x).items()}


def _root(outputs: torch.Tensor, likelihood: str) -> torch.Tensor:
    """N x T x C x C with R R' = Lambda."""
    if likelihood == "regression":
        return torch.eye(outputs.shape[-1]).double().expand(*outputs.shape, outputs.shape[-1])
    p = outputs.softmax(-1)
    return torch.diag_embed(p.sqrt()) - p.unsqueeze(-1) * p.sqrt().unsqueeze(-2)


def _labels(module: nn.Module, x: torch.Tensor, axis: int, likelihood: str, left_out: bool) -> tuple[Any, torch.Tensor]:
    """Labels, some of them marked as left out, and which terms have one, N x T."""
    outputs = module(x).detach()
    classes = outputs.movedim(axis, -1)
    kept = torch.tensor(RNG.random(classes.shape[:-1]) < (0.6 if left_out else 2))
    if likelihood == "classification":
        y = torch.tensor(RNG.integers(0, classes.shape[-1], classes.shape[:-1]))
        y[~kept] = -100
    else:
        y = torch.tensor(RNG.normal(size=classes.shape))
        y[~kept] = np.nan
        y = y.movedim(-1, axis)
    return y.numpy(), kept.flatten(1)


@functools.cache
def _file(name: str) -> bytes:
    module, x, _ = _network(name)
    blob = io.BytesIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        axes = {"input_names": ["x"], "output_names": ["y"], "dynamic_axes": {"x": {0: "n"}, "y": {0: "n"}}}
        torch.onnx.export(module, (torch.as_tensor(x),), blob, dynamo=False, **axes)
    return blob.getvalue()


def _fitted(name: str, y: np.ndarray, likelihood: str, subset: str, structure: str) -> Laplace:
    options: dict[str, Any] = {"prior_precision": PRIOR, "precision": "float64"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Laplace(_file(name), likelihood, subset, structure, **options).fit(_network(name)[1], y)


def _close(actual: Any, expected: torch.Tensor, axis: int) -> None:
    np.testing.assert_allclose(_terms(torch.as_tensor(actual), axis), expected, rtol=1e-8)


@pytest.mark.parametrize("left_out", [False, True])
@pytest.mark.parametrize("likelihood", ["classification", "regression"])
@pytest.mark.parametrize("name", NETWORKS)
def test_variances_are_those_of_torch_func(name: str, likelihood: str, left_out: bool) -> None:
    module, x, axis = _network(name)
    rows = torch.as_tensor(x)
    y, kept = _labels(module, rows, axis, likelihood, left_out)
    outputs = module(rows).detach()
    parts = _jacobian(module, rows, axis)
    root = _root(_terms(outputs, axis), likelihood) * kept[..., None, None]
    for subset, names in (("all", list(parts)), ("last_layer", list(parts)[-2:])):
        jacobian = torch.cat([parts[key] for key in names], -1)
        seeds = torch.einsum("ntck,ntcp->ntkp", root, jacobian).flatten(0, 2)
        hessian = seeds.T @ seeds
        for structure in ("full", "diag"):
            la = _fitted(name, y, likelihood, subset, structure)
            precision = hessian + PRIOR * torch.eye(len(hessian)).double()
            if structure == "diag":
                precision = torch.diag(torch.diag(precision))
            wanted = torch.einsum("ntcp,pq,ntdq->ntcd", jacobian, torch.linalg.inv(precision), jacobian)
            prediction = la.predict(x, covariance=True)
            assert prediction.mean.shape == tuple(outputs.shape)
            np.testing.assert_allclose(prediction.mean, outputs, rtol=1e-9, atol=1e-12)
            _close(prediction.variance, torch.diagonal(wanted, dim1=-2, dim2=-1), axis)
            np.testing.assert_allclose(prediction.covariance.reshape(wanted.shape), wanted, rtol=1e-7, atol=1e-12)
    if likelihood == "classification":
        loss = functional.cross_entropy(outputs.movedim(axis, 1), torch.tensor(y), ignore_index=-100, reduction="sum")
        np.testing.assert_allclose(la.log_likelihood, -loss, rtol=1e-12)
        assert prediction.probabilities.shape == tuple(outputs.shape)
        assert prediction.epistemic.shape == y.shape


def _layer_inputs(module: nn.Module, layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """N x S x in of a layer: of a convolution the patches under its window."""
    caught: list[torch.Tensor] = []
    hook = layer.register_forward_hook(lambda _, given, result: caught.append(given[0]))
    module(x)
    hook.remove()
    (a,) = caught
    if isinstance(layer, nn.Linear):
        return a.reshape(len(x), -1, a.shape[-1]).detach()
    padded = functional.pad(a, [side for size in reversed(layer.padding) for side in (size, size)])
    for axis, size in enumerate(layer.kernel_size):
        padded = padded.unfold(2 + axis, size, 1)
    axes = a.dim() - 2
    order = [0, *range(2, 2 + axes), 1, *range(2 + axes, 2 + 2 * axes)]
    return padded.permute(order).flatten(1 + axes).flatten(1, axes).detach()


def _factors(
    module: nn.Module, layer: nn.Module, x: torch.Tensor, axis: int, root: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """A and B of one layer, the gradients of every term of the likelihood taken on their own."""
    a = _layer_inputs(module, layer, x)
    caught: list[torch.Tensor] = []
    hook = layer.register_forward_hook(lambda _, given, result: caught.append(result))
    outputs = _terms(module(x), axis)
    hook.remove()
    b = torch.zeros(layer.weight.shape[0], layer.weight.shape[0]).double()
    for term in range(outputs.shape[1]):
        for seed in range(root.shape[-1]):
            total = (outputs[:, term] * root[:, term, :, seed]).sum()
            (g,) = torch.autograd.grad(total, caught[0], retain_graph=True)
            by_position = g if isinstance(layer, nn.Linear) else g.flatten(2).movedim(1, 2)
            gradients = by_position.reshape(-1, len(b))
            b += gradients.T @ gradients
    rows = a.flatten(0, 1)
    return rows.T @ rows / len(rows), b


@pytest.mark.parametrize("likelihood", ["classification", "regression"])
@pytest.mark.parametrize("name", NETWORKS)
def test_kron_is_k_fac_with_a_term_a_position(name: str, likelihood: str) -> None:
    module, x, axis = _network(name)
    rows = torch.as_tensor(x)
    y, _ = _labels(module, rows, axis, likelihood, left_out=False)
    parts = _jacobian(module, rows, axis)
    root = _root(_terms(module(rows).detach(), axis), likelihood)
    layers = dict(module.named_modules())
    for subset, keys in (("all", list(parts)), ("last_layer", list(parts)[-2:])):
        wanted = torch.zeros_like(root)
        for key in keys:
            layer = layers[key.rpartition(".")[0]]
            jacobian = parts[key]
            if isinstance(layer, nn.Embedding):
                # No linear layer: a dense block for a tensor as small as this.
                seeds = torch.einsum("ntck,ntcp->ntkp", root, jacobian).flatten(0, 2)
                block = seeds.T @ seeds
            else:
                a, b = _factors(module, layer, rows, axis, root)
                block = b if key.endswith("bias") else torch.kron(b, a)
            covariance = torch.linalg.inv(block + PRIOR * torch.eye(len(block)).double())
            wanted += torch.einsum("ntcp,pq,ntdq->ntcd", jacobian, covariance, jacobian)
        la = _fitted(name, y, likelihood, subset, "kron")
        _close(la.predict(x).variance, torch.diagonal(wanted, dim1=-2, dim2=-1), axis)


def test_one_label_a_row_is_refused_with_both_ways_out() -> None:
    with pytest.raises(polylaplace.ShapeError, match="option positions.*pool the positions in the network"):
        _fitted("tokens", RNG.integers(0, 3, 7), "classification", "all", "diag")
    with pytest.raises(polylaplace.ShapeError, match="N x 3 x 4"):
        _fitted("images", RNG.integers(0, 3, 4), "classification", "last_layer", "kron")
