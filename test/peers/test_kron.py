"""Kronecker factors of recurrent layers, attention and heads at positions are those of the definition.

The definition is computed with torch in double precision: every product with a weight is caught as it happens, be it in
a layer, in attention or in a step of a recurrence that is written out, and so are the gradients of what comes out of it,
for each term of the likelihood and each column of a root of its Hessian.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import architectures as zoo
import numpy as np
import pytest
import torch
from polylaplace import Laplace
from test_architectures import KINDS, found_terms, jacobians, terms_of
from torch import Tensor, nn
from torch.nn import functional

PRIOR = 0.7
ROWS = 4
#: A tensor that no product uses has a dense block up to so many numbers, else a diagonal one.
DENSE = 64

NAMES = [
    "LeNet", "ShuffleNetV2", "ResNeXt", "MobileNetV2", "EfficientNet", "ConvNeXt", "CRNN for CTC", "YOLO", "ViT", "GPT", "GPT with a tied head", "LLaMA", "BERT", "BERT with a label for every token",
    "RNN", "LSTM", "LSTM of two layers", "LSTM of tokens", "GRU", "Bidirectional LSTM", "Bidirectional GRU", "TCN", "WaveNet",
    "TransformerEncoder", "TransformerEncoder, norm first", "FT-Transformer", "Neural ODE", "Siamese network",
]  # fmt: skip


@dataclass
class Product:
    """One product with a weight, or a group of its rows: rows of its inputs, N x positions x in, and its result."""

    weight: Tensor
    bias: Tensor | None
    a: Tensor
    result: Tensor
    group: int = 0
    groups: int = 1

    def rows_of(self, gradient: Tensor) -> Tensor:
        """The gradient of the group's part of the result as rows x out."""
        rows = gradient.flatten(2).movedim(1, 2) if self.weight.ndim > 2 else gradient
        return rows.reshape(-1, self.weight.shape[0]).chunk(self.groups, 1)[self.group]


def _catching_linear(products: list[Product], original: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        result = original(x, weight, bias)
        products.append(Product(weight, bias, x.detach().reshape(-1, x.shape[-1]), result))
        return result

    return linear


def _catching_convolution(products: list[Product], original: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def convolution(
        x: Tensor, weight: Tensor, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int
    ) -> Tensor:
        result = original(x, weight, bias, stride, padding, dilation, groups)
        flat = weight.ndim == 3
        pair = [(1, *value) if flat else tuple(value) for value in (weight.shape[2:], dilation, stride)]
        sides = (0, *padding) if flat else tuple(padding)
        for group, part in enumerate(x.detach().chunk(groups, 1)):
            patches = functional.unfold(part.unsqueeze(2) if flat else part, pair[0], pair[1], sides, pair[2])
            rows = patches.transpose(1, 2).reshape(-1, patches.shape[1])
            products.append(Product(weight, bias, rows, result, group, groups))
        return result

    return convolution


def _written_out(self: nn.RNNBase, x: Tensor, _: Any = None) -> tuple[Tensor, Any]:
    """A recurrent layer step by step."""
    x = x.transpose(0, 1) if self.batch_first else x
    lasts, cells = [], []
    for layer in range(self.num_layers):
        sides = []
        for direction in range(2 if self.bidirectional else 1):
            suffix = f"_l{layer}{'_reverse' if direction else ''}"
            own = [getattr(self, f"{name}{suffix}") for name in ("weight_ih", "bias_ih", "weight_hh", "bias_hh")]
            outputs, h, c = _steps(type(self), x.flip(0) if direction else x, *own)
            sides.append(outputs.flip(0) if direction else outputs)
            lasts.append(h)
            cells.append(c)
        x = torch.cat(sides, -1)
    state = torch.stack(lasts)
    result = x.transpose(0, 1) if self.batch_first else x
    return result, (state, torch.stack(cells)) if isinstance(self, nn.LSTM) else state


def _steps(
    kind: type[nn.RNNBase], x: Tensor, w: Tensor, b: Tensor, r: Tensor, q: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    h = c = torch.zeros(x.shape[1], r.shape[1], dtype=x.dtype)
    rows = []
    for row in x:
        given, before = functional.linear(row, w, b), functional.linear(h, r, q)
        if kind is nn.LSTM:
            i, f, g, o = (given + before).chunk(4, -1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
        elif kind is nn.GRU:
            (reset, update, new), (reset_h, update_h, new_h) = given.chunk(3, -1), before.chunk(3, -1)
            z = (update + update_h).sigmoid()
            h = (1 - z) * (new + (reset + reset_h).sigmoid() * new_h).tanh() + z * h
        else:
            h = (given + before).tanh()
        rows.append(h)
    return torch.stack(rows), h, c


def _root(architecture: zoo.Architecture, terms: Tensor) -> Tensor:
    """N x T x C x K with R R' = Lambda."""
    if architecture.likelihood == "regression":
        return torch.eye(terms.shape[-1]).double().expand(*terms.shape, terms.shape[-1])
    if architecture.likelihood == "binary":
        return (terms.sigmoid() * (1 - terms.sigmoid())).sqrt().unsqueeze(-1)
    p = terms.softmax(-1)
    return torch.diag_embed(p.sqrt()) - p.unsqueeze(-1) * p.sqrt().unsqueeze(-2)


#: A tensor by its identity, and a group of it.
Key = tuple[int, int]


def _factors(
    products: Sequence[Product], terms: Tensor, root: Tensor
) -> tuple[dict[Key, Tensor], dict[Key, Tensor], dict[Key, int]]:
    """Sums of a a' and g g' of each group of a tensor (g g' for biases too), and how many rows of a there are."""
    inputs: dict[Key, Tensor] = {}
    outputs: dict[Key, Tensor] = {}
    rows: dict[Key, int] = {}
    for product in products:
        key = (id(product.weight), product.group)
        inputs[key] = inputs.get(key, 0) + product.a.T @ product.a
        rows[key] = rows.get(key, 0) + len(product.a)
    for term in range(terms.shape[1]):
        for seed in range(root.shape[-1]):
            total = (terms[:, term] * root[:, term, :, seed]).sum()
            gradients = torch.autograd.grad(
                total, [each.result for each in products], retain_graph=True, allow_unused=True
            )
            for product, gradient in zip(products, gradients, strict=True):
                if gradient is None:
                    continue
                g = product.rows_of(gradient)
                for tensor in (product.weight, product.bias):
                    if tensor is not None:
                        key = (id(tensor), product.group)
                        outputs[key] = outputs.get(key, 0) + g.T @ g
    return inputs, outputs, rows


@pytest.mark.parametrize("name", NAMES)
def test_kron_is_that_of_the_definition(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.backends.mha.set_fastpath_enabled(False)
    architecture = KINDS[name]
    module = zoo.trained(architecture).double()
    inputs = zoo.double_inputs(architecture, ROWS)
    with torch.no_grad():
        plain = module(*inputs)
    y = zoo.example_labels(architecture, plain).numpy()
    x = inputs[0].numpy() if len(inputs) == 1 else [each.numpy() for each in inputs]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        la = Laplace(module, architecture.likelihood, "all", "kron", prior_precision=PRIOR).fit(x, y)
        found = found_terms(architecture, torch.as_tensor(la.predict(x).variance))
        np.testing.assert_allclose(la.H.diag(), np.diag(la.H.to_dense()), rtol=1e-12)

    products: list[Product] = []
    monkeypatch.setattr(functional, "linear", _catching_linear(products, functional.linear))
    for kind in ("conv1d", "conv2d"):
        monkeypatch.setattr(functional, kind, _catching_convolution(products, getattr(functional, kind)))
    for recurrent in (nn.RNN, nn.LSTM, nn.GRU):
        monkeypatch.setattr(recurrent, "forward", _written_out)
    outputs = module(*inputs)
    torch.testing.assert_close(outputs, plain)
    terms = terms_of(architecture, outputs)
    root = _root(architecture, terms.detach())
    a, b, rows = _factors(products, terms, root)
    monkeypatch.undo()
    wanted = torch.zeros_like(terms)
    for key, jacobian in jacobians(architecture, module, inputs).items():
        tensor = module.get_parameter(key)
        seeds = torch.einsum("ntck,ntcp->ntkp", root, jacobian).flatten(0, 2)
        groups = sorted(own for own in b if own[0] == id(tensor))
        if groups:
            block = torch.block_diag(
                *(torch.kron(b[own], a[own] / rows[own]) if own in a else b[own] for own in groups)
            )
        else:
            block = seeds.T @ seeds
            if len(block) > DENSE:
                block = torch.diag(torch.diag(block))
        covariance = torch.linalg.inv(block + PRIOR * torch.eye(len(block)).double())
        wanted = wanted + torch.einsum("ntcp,pq,ntcq->ntc", jacobian, covariance, jacobian)
    torch.testing.assert_close(found, wanted.detach(), rtol=1e-6, atol=1e-6 * float(wanted.max()))
