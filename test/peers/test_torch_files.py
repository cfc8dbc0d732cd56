"""Parameters of ONNX files that torch's exporters write, and files for single examples, against torch."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from architectures import ARCHITECTURES, Architecture, example_inputs, export, trained
from polylaplace import Laplace
from torch import nn
from torch.func import functional_call, jacrev
from torch.nn.utils import spectral_norm, weight_norm

#: Numbers of the module that its file does not have: rows of tables that a file of a fixed length does not pick.
UNUSED = {"BERT": 4 * 8 + 8}
PARAMETERS = [("new", name) for name in ("Swin", "BERT", "FT-Transformer", "RNN")]
PARAMETERS += [("old", name) for name in ("BERT", "FT-Transformer", "LLaMA", "Spatial transformer")]


def architecture(name: str) -> Architecture:
    return next(each for each in ARCHITECTURES if each.name == name)


@pytest.mark.parametrize(("exporter", "name"), PARAMETERS)
def test_parameters_of_a_file_with_a_fixed_batch(exporter: str, name: str, tmp_path: Path) -> None:
    module = trained(architecture(name))
    path = tmp_path / "network.onnx"
    export(architecture(name), module, path, dynamo=exporter == "new", dynamic=False)
    expected = sum(each.numel() for each in module.parameters())
    if exporter == "new":
        expected -= UNUSED.get(name, 0)
    options = {"positions": "mean"} if name == "LLaMA" else {}
    network = Laplace(str(path), "classification", subset_of_weights="all", hessian_structure="diag", **options)
    (rows,) = example_rows(architecture(name))
    network.fit(rows, np.arange(len(rows)) % 3)
    assert network.n_params == expected


def example_rows(kind: Architecture) -> list[np.ndarray]:
    return [each.numpy() for each in example_inputs(kind, 6)]


class Plain(nn.Module):
    """Its last layer has tensors that are no nn.Parameter, as functional code leaves them; a fixed matrix too."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.body = kind, nn.Linear(4, 6)
        self.weight, self.bias = torch.randn(3, 6), torch.randn(3)
        self.fixed = torch.outer(torch.arange(6.0), torch.arange(6.0) + 0.5).mul(torch.pi / 6).cos()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.tanh(self.body(x) @ self.fixed)
        match self.kind:
            case "linear":
                return nn.functional.linear(h, self.weight, self.bias)
            case "product":
                return h @ self.weight.T + self.bias
            case _:
                return h @ self.weight.T


@pytest.mark.parametrize("folding", [True, False])
@pytest.mark.parametrize(("kind", "own"), [("linear", 21), ("product", 21), ("no bias", 18)])
@pytest.mark.parametrize("axes", [2, 3])
def test_weights_that_are_plain_tensors(kind: str, own: int, axes: int, folding: bool, tmp_path: Path) -> None:
    torch.manual_seed(1)
    module = Plain(kind).eval()
    x = torch.randn(9, *[5] * (axes - 2), 4)
    path = str(tmp_path / "network.onnx")
    dynamic = {"x": {0: "batch"}}
    torch.onnx.export(
        module, (x,), path, dynamo=False, dynamic_axes=dynamic, input_names=["x"], do_constant_folding=folding
    )
    la = Laplace(
        path,
        "classification",
        subset_of_weights="all",
        hessian_structure="diag",
        **({"positions": "mean"} if axes == 3 else {}),
    )
    with pytest.warns(UserWarning, match="(?s)Counted as parameters"):
        la.fit(x.numpy(), np.arange(9) % 3)
    assert la.n_params == 4 * 6 + 6 + own


class Normalised(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Linear(12, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.norm(self.conv(x))).flatten(1))


@pytest.mark.parametrize(("exporter", "folds"), [("new", True), ("old", True), ("whole", False)])
def test_what_an_exporter_has_folded_is_said(exporter: str, folds: bool, tmp_path: Path) -> None:
    module, path = Normalised().eval(), str(tmp_path / "network.onnx")
    options = {"new": {"dynamo": True}, "old": {"dynamo": False}, "whole": {"dynamo": True, "optimize": False}}[
        exporter
    ]
    torch.onnx.export(module, (torch.randn(2, 1, 4, 4),), path, **options)
    la = Laplace(path, "classification", subset_of_weights="all", hessian_structure="diag", prior_precision=1.0)
    la.fit(torch.randn(9, 1, 4, 4).numpy(), np.arange(9) % 3)
    said = [note for note in la.summary["notes"] if "has worked other tensors" in note]
    assert len(said) == folds
    assert la.n_params == sum(each.numel() for each in module.parameters()) - 6 * folds


class Made(nn.Module):
    """A layer whose weight is made of parameters."""

    def __init__(self, make: Callable[[nn.Parameter], torch.Tensor]) -> None:
        super().__init__()
        self.w, self.head, self.make = nn.Parameter(torch.randn(4, 4)), nn.Linear(4, 3), make

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(x @ self.make(self.w)))


class Twice(nn.Module):
    """A matrix and its transpose, a code book that is subtracted and multiplied, or a temperature."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.body, self.book = kind, nn.Linear(4, 3), nn.Parameter(torch.randn(3, 3))
        self.scale = nn.Parameter(torch.tensor(1.5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.tanh(self.body(x))
        match self.kind:
            case "transposed":
                return torch.tanh(h @ self.book) @ self.book.T * self.scale
            case "subtracted":
                return torch.softmax(((h[:, None] - self.book) ** 2).sum(-1), -1) @ self.book * self.scale
            case "divided":
                return h @ self.book / self.scale
            case _:
                return h @ self.book * self.scale.exp()


SPECTRAL = lambda: nn.Sequential(spectral_norm(nn.Linear(4, 5)), nn.Tanh(), nn.Linear(5, 3))  # noqa: E731
WEIGHT_NORM = lambda: nn.Sequential(weight_norm(nn.Linear(4, 5)), nn.Tanh(), nn.Linear(5, 3))  # noqa: E731
#: A module, how many numbers its file by each exporter has fewer than the module, and the words that tell of them.
MADE: dict[str, tuple[Callable[[], nn.Module], dict[str, int], str]] = {
    "triangles": (lambda: Made(lambda w: w.triu() + w.triu(1).T), {}, ""),
    "positive": (lambda: Made(lambda w: w.exp()), {}, ""),
    "rows of probabilities": (lambda: Made(lambda w: w.softmax(-1)), {}, ""),
    "product": (lambda: Made(lambda w: w[:, :2] @ w[:, 2:].T), {}, "made of other tensors"),
    "spectral norm": (SPECTRAL, {}, "made of other tensors"),
    "weight norm": (WEIGHT_NORM, {"new": 5}, "made of other tensors"),
    "transposed": (lambda: Twice("transposed"), {"old": 1}, "single numbers.*'scale'"),
    "subtracted": (lambda: Twice("subtracted"), {"old": 1}, "single numbers.*'scale'"),
    "divided": (lambda: Twice("divided"), {"old": 1}, "single numbers.*'scale'"),
    "exponential": (lambda: Twice("exponential"), {"old": 1}, "single numbers.*'scale'|made of other.*'exp'"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("exporter", ["new", "old"])
@pytest.mark.parametrize("name", MADE)
def test_weights_that_are_made_of_parameters(name: str, exporter: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    make, fewer, words = MADE[name]
    module, path = make().eval(), str(tmp_path / "network.onnx")
    torch.onnx.export(module, (torch.randn(2, 4),), path, dynamo=exporter == "new")
    la = Laplace(path, "classification", "all", "diag").fit(torch.randn(9, 4).numpy(), np.arange(9) % 3)
    assert la.n_params == sum(each.numel() for each in module.parameters()) - fewer.get(exporter, 0)
    if exporter in fewer:
        assert re.search(words, " ".join(la.summary["notes"]))


class Centred(nn.Module):
    """Mixes the examples of a batch, and squeezes a batch of one away."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(3, 5), nn.Linear(5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.tanh(self.body(x - x.mean(0, keepdim=True).mean(1, keepdim=True))).squeeze(0)
        return self.head(torch.softmax(h @ h.T, -1) @ h).mean(0)


@pytest.mark.parametrize("exporter", ["new", "old"])
def test_a_file_for_single_examples_gives_each_what_it_gets_alone(exporter: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = Centred().double().eval()
    path = tmp_path / "network.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (torch.randn(1, 4, 3).double(),), str(path), dynamo=exporter == "new")
    x = torch.randn(12, 4, 3).double()
    y = np.arange(12) % 3
    la = Laplace(str(path), "classification", subset_of_weights="all", hessian_structure="full", prior_precision=2.0)
    la.fit(x.numpy(), y)
    parameters = {name: value.detach() for name, value in module.named_parameters()}

    def alone(weights: dict[str, torch.Tensor], row: torch.Tensor) -> torch.Tensor:
        return functional_call(module, weights, (row[None],))

    outputs = torch.stack([alone(parameters, row) for row in x]).detach()
    jacobians = [jacrev(alone)(parameters, row) for row in x]
    rows = torch.stack([torch.cat([each[name].reshape(3, -1) for name in parameters], 1) for each in jacobians])
    p = outputs.softmax(-1)
    hessian = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    precision = torch.einsum("ncp,ncd,ndq->pq", rows, hessian, rows) + 2 * torch.eye(rows.shape[-1]).double()
    variance = torch.einsum("ncp,pq,ncq->nc", rows, torch.linalg.inv(precision), rows)
    found = np.diagonal(la.functional_variance(x.numpy()), axis1=1, axis2=2)
    np.testing.assert_allclose(found, variance, rtol=1e-8)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("exporter", ["new", "old"])
@pytest.mark.parametrize("mode", ["mean", "sum", "max"])
def test_a_loop_over_any_number_of_examples(mode: str, exporter: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.EmbeddingBag(9, 4, mode=mode), nn.Linear(4, 3)).eval()
    ids, path = torch.randint(0, 9, (6, 5)), str(tmp_path / "network.onnx")
    free = (
        {"dynamic_shapes": ({0: torch.export.Dim.DYNAMIC},)}
        if exporter == "new"
        else {"dynamic_axes": {"ids": {0: "n"}}}
    )
    torch.onnx.export(module, (ids,), path, dynamo=exporter == "new", input_names=["ids"], **free)
    labels = np.arange(6) % 3
    fits = [Laplace(each, "classification", "all", "full", prior_precision=1.0) for each in (path, module)]
    answers = [la.fit(ids.numpy(), labels).predict(ids.numpy()) for la in fits]
    for name in ("mean", "variance"):
        np.testing.assert_allclose(getattr(answers[0], name), getattr(answers[1], name), rtol=1e-4, atol=1e-6)
