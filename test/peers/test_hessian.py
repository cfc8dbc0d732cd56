"""Exact Hessians, whole, in blocks and by their leading eigenvectors, against torch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from polylaplace import Laplace
from polylaplace._exceptions import NumericalError
from torch import nn

torch.manual_seed(0)
NETWORKS = {
    "dense": (nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)), (12, 4)),
    "convolution": (
        nn.Sequential(nn.Conv2d(1, 2, 3), nn.GELU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(8, 3)),
        (12, 1, 6, 6),
    ),
    "normalised": (nn.Sequential(nn.Linear(4, 5), nn.LayerNorm(5), nn.SiLU(), nn.Linear(5, 3)), (12, 4)),
}
LOSSES = {
    "classification": nn.CrossEntropyLoss(reduction="sum"),
    "multilabel": nn.BCEWithLogitsLoss(reduction="sum"),
    "regression": lambda f, y: 0.5 * (f - y).square().sum(),
    "poisson": nn.PoissonNLLLoss(log_input=True, full=False, reduction="sum"),
}


def targets(likelihood: str, n: int) -> torch.Tensor:
    if likelihood == "classification":
        return torch.randint(3, (n,))
    if likelihood == "regression":
        return torch.randn(n, 3).double()
    return torch.randint(2 if likelihood == "multilabel" else 5, (n, 3)).double()


@pytest.mark.parametrize("likelihood", LOSSES)
@pytest.mark.parametrize("name", NETWORKS)
def test_hessians_are_torchs(name: str, likelihood: str) -> None:
    torch.manual_seed(1)
    model, shape = NETWORKS[name]
    model = model.double().eval()
    x, y = torch.randn(*shape).double(), targets(likelihood, shape[0])
    names = [key for key, _ in model.named_parameters()]
    sizes = [value.numel() for value in model.parameters()]

    def loss(theta: torch.Tensor) -> torch.Tensor:
        parts = [p.view_as(q) for p, q in zip(theta.split(sizes), model.parameters(), strict=True)]
        return LOSSES[likelihood](torch.func.functional_call(model, dict(zip(names, parts, strict=True)), (x,)), y)

    theta = nn.utils.parameters_to_vector(model.parameters()).detach()
    # torch.func.hessian of torch 2.13 is not symmetric for LayerNorm; autograd's is.
    wanted = torch.autograd.functional.hessian(loss, theta).numpy()
    assert np.abs(wanted - wanted.T).max() < 1e-9 * np.abs(wanted).max()
    if name != "normalised":
        np.testing.assert_allclose(torch.func.hessian(loss)(theta).numpy(), wanted, atol=1e-9 * np.abs(wanted).max())

    def fit(structure: str, **options: object) -> Laplace:
        la = Laplace(
            model,
            likelihood,
            subset_of_weights="all",
            hessian_structure=structure,
            curvature="hessian",
            prior_precision=1e5,
            **options,  # type: ignore[arg-type]
        )
        return la.fit(x.numpy(), y.numpy())

    scale = np.abs(wanted).max()
    np.testing.assert_allclose(fit("full").H, wanted, atol=1e-9 * scale)
    block = fit("blockdiag", blocks="tensor").posterior_precision.to_dense() - 1e5 * np.eye(len(theta))
    at = 0
    for size in sizes:
        own = slice(at, at + size)
        np.testing.assert_allclose(block[own, own], wanted[own, own], atol=1e-9 * scale + 1e-9)
        at += size
    eigenvalues, vectors = np.linalg.eigh(wanted)
    order = np.argsort(-np.abs(eigenvalues))
    rank = 2
    if (eigenvalues[order[:rank]] < 0).any():
        with pytest.raises(NumericalError, match="indefinite"):
            fit("lowrank", rank=rank)
        return
    leading = vectors[:, order[:rank]]
    low = fit("lowrank", rank=rank)
    explained = leading @ np.diag(1 / (eigenvalues[order[:rank]] + 1e5) - 1e-5) @ leading.T
    np.testing.assert_allclose(low.posterior_variance, 1e-5 + np.diag(explained), rtol=1e-9)
