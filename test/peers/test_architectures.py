"""Every architecture of docs/architectures.md: its exports run and fit, and its posterior is the one of torch.func."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import architectures as zoo
import conftest
import pytest
import torch
from polylaplace import Laplace
from torch import Tensor, nn
from torch.func import functional_call, jacrev

PRIOR = 0.7
ROWS = 3
# Beyond as many weights the diagonal is compared, so that the tests stay quick.
LARGEST_FULL = 320

KINDS = {each.name: each for each in zoo.ARCHITECTURES}
EXPORTS = [(each.name, zoo.way_name(*way)) for each in zoo.ARCHITECTURES for way in zoo.two_ways(each)]

#: Exporting takes most of the time: as many processes do it while the other tests run.
PARTS = 2


@pytest.fixture(scope="module", autouse=True)
def exporting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[tuple[Path, subprocess.Popen[bytes]]]]:
    script = str(conftest.ROOT / "test/peers/architectures.py")
    folders = [tmp_path_factory.mktemp("exports") for _ in range(PARTS)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    running = [
        (folder, subprocess.Popen([sys.executable, script, str(folder), "two", str(part), str(PARTS)], **quiet))
        for part, folder in enumerate(folders)
    ]
    yield running
    for _, process in running:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def results(exporting: list[tuple[Path, subprocess.Popen[bytes]]]) -> dict[tuple[str, str], dict[str, Any]]:
    found = []
    for folder, process in exporting:
        assert process.wait() == 0
        script = str(conftest.ROOT / "test/peers/architectures.mjs")
        subprocess.run(["node", script, str(folder / "exports.json")], check=True)
        found += json.loads((folder / "results.json").read_text())
    return {(each["architecture"], each["export"]): each for each in found}


def terms_of(architecture: zoo.Architecture, outputs: Tensor) -> Tensor:
    """N x T x C, term by term."""
    rows = outputs.movedim(architecture.batch, 0)
    if not architecture.positions:
        return rows.reshape(len(rows), 1, -1)
    return rows.movedim(1, -1).flatten(1, -2) if architecture.class_axis == 1 else rows.flatten(1, -2)


def _hessians(architecture: zoo.Architecture, terms: Tensor) -> Tensor:
    """N x T x C x C."""
    if architecture.likelihood == "regression":
        return torch.eye(terms.shape[-1]).double().expand(*terms.shape, terms.shape[-1])
    if architecture.likelihood == "binary":
        return (terms.sigmoid() * (1 - terms.sigmoid())).unsqueeze(-1)
    p = terms.softmax(-1)
    return torch.diag_embed(p) - p.unsqueeze(-1) * p.unsqueeze(-2)


def jacobians(architecture: zoo.Architecture, module: nn.Module, inputs: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """The Jacobian of every parameter, N x T x C x size."""
    parameters = {name: value.detach() for name, value in module.named_parameters()}

    def terms(values: dict[str, Tensor]) -> Tensor:
        return terms_of(architecture, functional_call(module, values, inputs))

    shape = terms(parameters).shape
    return {name: part.reshape(*shape, -1) for name, part in jacrev(terms)(parameters).items()}


def _variance(jacobian: Tensor, hessians: Tensor, diagonal: bool) -> Tensor:
    """N x T x C, by the whole precision matrix."""
    h = torch.einsum("ntcp,ntcd,ntdq->pq", jacobian, hessians, jacobian)
    precision = torch.diag(torch.diag(h)) if diagonal else h
    solved = torch.linalg.solve(precision + PRIOR * torch.eye(len(h)).double(), jacobian.flatten(0, 2).T)
    return torch.einsum("rp,pr->r", jacobian.flatten(0, 2), solved).reshape(jacobian.shape[:3])


@pytest.mark.parametrize("name", KINDS)
def test_variances_are_those_of_torch_func(name: str) -> None:
    torch.backends.mha.set_fastpath_enabled(False)  # It has no derivative.
    architecture = KINDS[name]
    module = zoo.trained(architecture).double()
    inputs = zoo.double_inputs(architecture, ROWS)
    with torch.no_grad():
        outputs = module(*inputs)
    f, jacobian = terms_of(architecture, outputs), jacobians(architecture, module, inputs)
    hessians = _hessians(architecture, f)
    y = zoo.example_labels(architecture, outputs).numpy()
    x = inputs[0].numpy() if len(inputs) == 1 else [each.numpy() for each in inputs]
    head = zoo.head_names(architecture, module)
    size = sum(value.numel() for value in module.parameters())
    for subset, names, structure in (
        ("last_layer", head, "full"),
        ("all", list(jacobian), "full" if size <= LARGEST_FULL else "diag"),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            la = Laplace(module, architecture.likelihood, subset, structure, prior_precision=PRIOR).fit(x, y)
        assert [each["name"] for each in la.summary["parameters"]] == names
        assert la.n_params == sum(module.get_parameter(each).numel() for each in names)
        prediction = la.predict(x)
        mean = torch.as_tensor(prediction.mean)
        wanted = _variance(torch.cat([jacobian[each] for each in names], -1), hessians, structure == "diag")
        torch.testing.assert_close(found_terms(architecture, mean), f, rtol=1e-6, atol=1e-9)
        found = found_terms(architecture, torch.as_tensor(prediction.variance))
        torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6 * float(wanted.max()))


def found_terms(architecture: zoo.Architecture, values: Tensor) -> Tensor:
    return (
        terms_of(architecture, values.movedim(0, architecture.batch)) if values.ndim > 1 else values.reshape(-1, 1, 1)
    )


@pytest.mark.parametrize(("name", "way"), EXPORTS)
def test_exports_run_and_fit(results: dict[tuple[str, str], dict[str, Any]], name: str, way: str) -> None:
    result = results[name, way]
    assert result["read"] is True, result
    assert result["free"] is True, result
    for key, tolerance in (("outputs", 1e-5), ("runtime", 1e-5), ("derivative", 1e-6)):
        assert isinstance(result[key], (int, float)), result[key]
        assert result[key] < tolerance, (key, result[key])
    assert result["lastLayer"] is True, result["lastLayer"]
    assert result["all"] is True, result["all"]
