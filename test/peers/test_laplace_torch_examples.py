"""What laplace-torch's documentation shows, under polylaplace.torch: each program in our own words, with its own check."""

from __future__ import annotations

from collections import UserDict
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from polylaplace.torch import Laplace, marglik_training
from polylaplace.torch.curvature import BackPackGGN
from polylaplace.torch.utils import (
    LargestMagnitudeSubnetMask,
    ModuleNameSubnetMask,
    get_nll,
)

# Short trainings: that a network could know more of its rows is told.
pytestmark = pytest.mark.filterwarnings("ignore::polylaplace.LaplaceWarning")


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(711)
    torch.set_default_dtype(torch.float32)


def trained(model: nn.Module, loader: Any, loss: Any, epochs: int, lr: float = 1e-2) -> nn.Module:
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    for _ in range(epochs):
        for X, y in loader:
            optimizer.zero_grad()
            loss(model(X), y).backward()
            optimizer.step()
    return model.eval()


def sinusoid() -> tuple[Any, torch.Tensor]:
    X = 8 * torch.rand(150, 1)
    y = torch.sin(X) + 0.3 * torch.randn_like(X)
    return DataLoader(TensorDataset(X, y), batch_size=150), torch.linspace(-5, 13, 50).unsqueeze(-1)


def curve() -> nn.Module:
    return nn.Sequential(nn.Linear(1, 50), nn.Tanh(), nn.Linear(50, 1))


def three_classes(rows: int = 240) -> Any:
    y = torch.arange(rows) % 3
    X = torch.randn(rows, 4) + 1.5 * F.one_hot(y, 4)
    return DataLoader(TensorDataset(X, y), batch_size=60)


def test_regression() -> None:
    loader, X_test = sinusoid()
    model = trained(curve(), loader, nn.MSELoss(), 600)
    la = Laplace(model, "regression", subset_of_weights="all", hessian_structure="full")
    la.fit(loader)
    log_prior, log_sigma = torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)
    optimizer = torch.optim.Adam([log_prior, log_sigma], lr=1e-1)
    for _ in range(300):
        optimizer.zero_grad()
        (-la.log_marginal_likelihood(log_prior.exp(), log_sigma.exp())).backward()
        optimizer.step()
    assert abs(la.sigma_noise.item() - 0.3) < 0.05
    f_mu, f_var = la(X_test)
    std = np.sqrt(f_var.squeeze().detach().numpy() + la.sigma_noise.item() ** 2)
    assert f_mu.shape == (50, 1)
    # Far from the data there is more doubt than among them.
    assert std[0] > 2 * std[25]


def test_training_with_the_evidence() -> None:
    loader, X_test = sinusoid()
    la, model, margliks, losses = marglik_training(
        model=curve(),
        train_loader=loader,
        likelihood="regression",
        hessian_structure="full",
        backend=BackPackGGN,
        n_epochs=25,
        optimizer_kwargs={"lr": 3e-2},
        prior_structure="scalar",
    )
    assert len(losses) == 25
    assert len(margliks) == 250
    assert min(margliks) < margliks[0]
    assert la.sigma_noise.item() < 0.8
    assert la(X_test)[1].shape == (50, 1, 1)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), la.model.parameters(), strict=True))


def test_calibration_by_a_grid() -> None:
    train, held_out = three_classes(), three_classes(90)
    model = trained(nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3)), train, nn.CrossEntropyLoss(), 100)
    la = Laplace(model, "classification", subset_of_weights="all", hessian_structure="diag")
    la.fit(train)
    options = {"method": "gridsearch", "pred_type": "glm", "link_approx": "probit", "val_loader": held_out}
    la.optimize_prior_precision(**options, loss=get_nll, grid_size=9)
    X, y = held_out.dataset.tensors
    network = F.nll_loss(model(X).log_softmax(-1), y)
    assert F.nll_loss(la(X, pred_type="glm", link_approx="probit").log(), y) < network


def test_last_layer_of_a_larger_network() -> None:
    class Images(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(2))
            self.fc = nn.Linear(16, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(self.body(x).flatten(1))

    X, y = torch.randn(40, 1, 8, 8), torch.arange(40) % 3
    loader = DataLoader(TensorDataset(X, y), batch_size=16)
    model = trained(Images(), loader, nn.CrossEntropyLoss(), 3)
    la = Laplace(model, likelihood="classification")
    la.fit(loader)
    la.optimize_prior_precision(method="marglik")
    assert type(la).__name__ == "KronLLLaplace"
    torch.testing.assert_close(la(X).sum(dim=1), torch.ones(40))
    samples = la.predictive_samples(X, pred_type="nn", n_samples=5)
    assert samples.shape == (5, 40, 3)


@pytest.mark.parametrize("structure", ["kron", "diag"])
def test_reward_modelling(structure: str) -> None:
    class Reward(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Linear(3, 20), nn.ReLU(), nn.Linear(20, 1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if len(x.shape) == 3:
                return self.net(x.reshape(-1, x.shape[-1])).reshape(x.shape[0], 2)
            return self.net(x)

    pairs = torch.randn(60, 2, 3)
    choices = pairs.sum(dim=2).argmax(dim=1)
    loader = DataLoader(TensorDataset(pairs, choices), batch_size=20)
    model = trained(Reward(), loader, nn.CrossEntropyLoss(), 60)
    la = Laplace(model, "reward_modeling", subset_of_weights="all", hessian_structure=structure)
    la.fit(loader)
    la.optimize_prior_precision()
    X = torch.randn(5, 3)
    mean, variance = la(X)
    torch.testing.assert_close(mean, model(X))
    assert variance.shape == (5, 1, 1)
    assert (variance > 0).all()
    # By hand: the same posterior's precision and torch's own Jacobians.
    J, _ = la.backend.jacobians(X)
    torch.testing.assert_close(variance, la.functional_variance(J), rtol=1e-3, atol=1e-5)
    mean, variance = la(X, pred_type="nn", link_approx="mc")
    assert mean.shape == variance.shape == (5, 1)


@pytest.mark.parametrize("mask", [LargestMagnitudeSubnetMask, ModuleNameSubnetMask])
def test_subnetworks(mask: Any) -> None:
    train = three_classes(60)
    model = trained(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), train, nn.CrossEntropyLoss(), 20)
    chosen = mask(model, n_params_subnet=12) if mask is LargestMagnitudeSubnetMask else mask(model, module_names=["2"])
    indices = chosen.select()
    for structure in ("full", "diag"):
        la = Laplace(model, "classification", "subnetwork", structure, subnetwork_indices=indices)
        la.fit(train)
        whole = Laplace(model, "classification", "all", structure)
        whole.fit(train)
        expected = whole.H[indices][:, indices] if structure == "full" else whole.H[indices]
        torch.testing.assert_close(la.H, expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(la(train.dataset.tensors[0]).sum(dim=1), torch.ones(60))


def test_gaussian_process() -> None:
    train = three_classes(90)
    model = trained(nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)), train, nn.CrossEntropyLoss(), 40)
    X = torch.randn(7, 4)
    for independent in (False, True):
        la = Laplace(
            model,
            "classification",
            subset_of_weights="all",
            hessian_structure="gp",
            independent_outputs=independent,
            n_subset=30,
            prior_precision=2.0,
        )
        la.fit(train)
        torch.testing.assert_close(la(X).sum(dim=1), torch.ones(7))


class Words(nn.Module):
    """A small language model as Hugging Face's are wrapped: a mapping in, the logits of the last token out."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.mix = nn.Embedding(20, 8), nn.Linear(8, 8)
        self.score = nn.Linear(8, 2, bias=False)

    def forward(self, data: Any) -> torch.Tensor:
        device = next(self.parameters()).device
        ids, mask = data["input_ids"].to(device), data["attention_mask"].to(device)
        hidden = torch.tanh(self.mix(self.embedding(ids)).cumsum(dim=1))
        last = mask.sum(dim=1) - 1
        return self.score(hidden)[torch.arange(ids.shape[0], device=device), last]


def padded(rows: list[Any]) -> UserDict[str, torch.Tensor]:
    length = max(len(row["input_ids"]) for row in rows)
    ids = [F.pad(row["input_ids"], (0, length - len(row["input_ids"]))) for row in rows]
    mask = [F.pad(torch.ones_like(row["input_ids"]), (0, length - len(row["input_ids"]))) for row in rows]
    labels = torch.tensor([row["label"] for row in rows])
    return UserDict({"input_ids": torch.stack(ids), "attention_mask": torch.stack(mask), "labels": labels})


def texts() -> Any:
    rows = [{"input_ids": torch.randint(1, 20, (3 + i % 4,)), "label": i % 2} for i in range(12)]
    return DataLoader(rows, batch_size=5, collate_fn=padded)


def test_batches_of_hugging_face() -> None:
    loader, model = texts(), Words().eval()
    la = Laplace(
        model,
        likelihood="classification",
        subset_of_weights="last_layer",
        hessian_structure="full",
        # Wrong for texts of several lengths, as in the documentation: the token that answers is found.
        feature_reduction="pick_last",
    )
    la.fit(loader)
    la.optimize_prior_precision()
    batch = next(iter(loader))
    assert la(batch).shape == (5, 2)
    # By hand: H is the sum of J' Lambda J, J by automatic differentiation of the whole network.
    total = torch.zeros(16, 16)
    for each in loader:
        J = torch.autograd.functional.jacobian(
            lambda W, each=each: torch.func.functional_call(model, {"score.weight": W}, (each,)), model.score.weight
        ).flatten(2)
        p = model(each).softmax(dim=-1)
        total += torch.einsum("ncp,nck,nkq->pq", J, p.diag_embed() - p[:, :, None] * p[:, None], J)
    torch.testing.assert_close(la.H, total, rtol=1e-4, atol=1e-5)


def test_some_parameters_by_requires_grad() -> None:
    model = Words().eval()
    for parameter in model.parameters():
        parameter.requires_grad = False
    model.score.weight.requires_grad = True
    rows = [{"input_ids": torch.randint(1, 20, (5,)), "label": i % 2} for i in range(12)]
    loader = DataLoader(rows, batch_size=4, collate_fn=padded)
    la = Laplace(model, likelihood="classification", subset_of_weights="all", hessian_structure="diag")
    la.fit(loader)
    la.optimize_prior_precision()
    assert la.n_params == 16
    assert la(next(iter(loader))).shape == (4, 2)


class Masked(Words):
    """A language model that leaves its mask out where no row needs one, unless it is traced, as transformers does."""

    def forward(self, data: Any) -> torch.Tensor:
        mask = data["attention_mask"]
        if not torch.jit.is_tracing() and bool((mask == 1).all()):
            mask = torch.ones_like(mask)
        if mask.shape[1] > float(mask.new_tensor(1.5)):  # A number that no row decides, of which torch warns too.
            data = {"input_ids": data["input_ids"], "attention_mask": mask}
        return super().forward(data)


class PassedOn(nn.Module):
    """A network inside another one that passes on what it gets, as peft's."""

    def __init__(self, base: nn.Module) -> None:
        super().__init__()
        self.base_model = base

    def get_base_model(self) -> nn.Module:
        return self.base_model

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.base_model(*args, **kwargs)


@pytest.mark.parametrize("structure", ["diag", "kron"])
def test_networks_of_transformers_and_peft(structure: str) -> None:
    loader, base = texts(), Masked().eval()
    base.embedding.weight.requires_grad = False
    la = Laplace(PassedOn(base), "classification", subset_of_weights="all", hessian_structure=structure)
    la.fit(loader)
    batch = next(iter(loader))
    assert la.n_params == 8 * 8 + 8 + 2 * 8
    # By torch's own Jacobians, of the same precision.
    J, f = la.backend.jacobians(batch)
    torch.testing.assert_close(f, base(batch))
    mean, variance = la._glm_predictive_distribution(batch)
    torch.testing.assert_close(mean, f)
    torch.testing.assert_close(variance, la.functional_variance(J), rtol=1e-3, atol=1e-5)


def test_low_rank_adapters() -> None:
    class Adapted(nn.Module):
        """A layer that stays as it is, and a product of two small ones that is learnt (LoRA)."""

        def __init__(self, layer: nn.Linear, rank: int) -> None:
            super().__init__()
            self.layer = layer.requires_grad_(False)
            self.lora_A, self.lora_B = (
                nn.Linear(layer.in_features, rank, bias=False),
                nn.Linear(rank, layer.out_features, bias=False),
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x) + 4 * self.lora_B(self.lora_A(x))

    train = three_classes(60)
    model = nn.Sequential(Adapted(nn.Linear(4, 8), 2), nn.Tanh(), nn.Linear(8, 3).requires_grad_(False))
    trained(model, train, nn.CrossEntropyLoss(), 10)
    for structure in ("diag", "kron"):
        la = Laplace(model, likelihood="classification", subset_of_weights="all", hessian_structure=structure)
        la.fit(train)
        assert la.n_params == 4 * 2 + 2 * 8
        torch.testing.assert_close(la(torch.randn(5, 4)).sum(dim=1), torch.ones(5))


def test_surrogate_of_an_optimisation() -> None:
    X = torch.rand(25, 2)
    y = (X - 0.3).square().sum(dim=1, keepdim=True)
    loader = DataLoader(TensorDataset(X, y), batch_size=1024, shuffle=True)
    model = trained(nn.Sequential(nn.Linear(2, 20), nn.Tanh(), nn.Linear(20, 1)), loader, nn.MSELoss(), 100)
    la = Laplace(model, "regression", subset_of_weights="all", hessian_structure="kron", enable_backprop=True)
    la.fit(loader)
    la.optimize_prior_precision(n_steps=50)
    # Several points at once, as BoTorch asks: their joint Gaussian, with some jitter, and the gradient to climb by.
    points = torch.rand(4, 2, requires_grad=True)
    mean, covariance = la(points, joint=True)
    covariance += 1e-4 * torch.eye(4)
    draws = torch.distributions.MultivariateNormal(mean, covariance).rsample((64,))
    improvement = (y.min() - draws).clamp(min=0).amax(dim=1).mean()
    (gradient,) = torch.autograd.grad(improvement, points)
    assert gradient.shape == points.shape
    assert torch.isfinite(gradient).all()
    for kind in ("glm", "nn"):
        draw = la.functional_samples(points, pred_type=kind, n_samples=1).squeeze(0)
        (gradient,) = torch.autograd.grad(draw.sum(), points)
        assert not torch.allclose(gradient, torch.zeros(()))
