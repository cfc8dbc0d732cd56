"""polylaplace.torch where a network, a choice of parameters or the order of calls is not the usual one."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import polylaplace.torch as ours
import pytest
import torch
from polylaplace.torch.curvature import CurvlinopsGGN, CurvlinopsHessian
from polylaplace.torch.utils import (
    LargestVarianceDiagLaplaceSubnetMask,
    LargestVarianceSWAGSubnetMask,
    ModuleNameSubnetMask,
    ParamNameSubnetMask,
)
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("double")]

ROWS = 15


class Scaled(nn.Module):
    """Logits over a temperature that is trained: a parameter without axes."""

    def __init__(self) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.tensor(1.3))
        self.body = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x) / self.temperature


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTM(4, 3, batch_first=True)
        self.head = nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.cell(x[:, None].expand(-1, 3, -1))[0][:, -1])


def dense() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).eval()


def rows() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(ROWS, 4), torch.randint(3, (ROWS,))


def loader() -> DataLoader[Any]:
    return DataLoader(TensorDataset(*rows()), batch_size=6)


def by_autograd(values: torch.Tensor, parameters: list[torch.Tensor]) -> torch.Tensor:
    """The derivatives (n, P) of numbers (n,)."""
    each = [torch.autograd.grad(value, parameters, retain_graph=True) for value in values]
    return torch.stack([torch.cat([part.flatten() for part in parts]) for parts in each])


# Something comes after the last layer of `Scaled`.
@pytest.mark.parametrize(
    ("make", "subset"),
    [(dense, "all"), (Scaled, "all"), (Recurrent, "all"), (dense, "last_layer"), (Recurrent, "last_layer")],
)
def test_jacobians_and_gradients_are_those_of_autograd(make: Any, subset: str) -> None:
    X, y = rows()
    la = ours.Laplace(make().eval(), "classification", subset, "diag")
    la.fit(loader())
    model = la.model.last_layer if subset == "last_layer" else la.model
    parameters, f = list(model.parameters()), la.model(X)
    losses = nn.functional.cross_entropy(f, y, reduction="none")
    gradients, loss = la.backend.gradients(X, y)
    torch.testing.assert_close(gradients, by_autograd(losses, parameters))
    torch.testing.assert_close(loss, losses.sum().detach())
    J, _ = la.backend.jacobians(X)
    torch.testing.assert_close(J.flatten(0, 1), by_autograd(f.flatten(), parameters))
    expected = torch.einsum("ncp,p,nkp->nck", J, la.posterior_variance, J)
    probabilities = (f / torch.sqrt(1 + torch.pi / 8 * expected.diagonal(dim1=1, dim2=2))).softmax(dim=-1)
    torch.testing.assert_close(la(X), probabilities.detach())


@pytest.mark.parametrize("make", [dense, Scaled, Recurrent])
def test_jacobians_of_few_numbers_are_those_of_many(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    X, _ = rows()
    backend = CurvlinopsGGN(make().eval(), "classification")
    J, f = backend.jacobians(X)
    torch.testing.assert_close(f, backend.model(X).detach(), rtol=0, atol=0)
    x = X.clone().requires_grad_()
    (slope,) = torch.autograd.grad(backend.jacobians(x, enable_backprop=True)[0].square().sum(), x)
    monkeypatch.setattr("polylaplace.torch.curvature.curvature._OWN_PARAMETERS", 0)
    torch.testing.assert_close(J, backend.jacobians(X)[0])
    (other,) = torch.autograd.grad(backend.jacobians(x, enable_backprop=True)[0].square().sum(), x)
    torch.testing.assert_close(slope, other)


_FIRST_JACOBIANS = """
import sys, torch
from polylaplace.torch.curvature import CurvlinopsGGN
backend = CurvlinopsGGN(torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Linear(5, 3)), "classification")
x = torch.randn(6, 4)
backend.jacobians(x), backend.gradients(x, torch.zeros(6, dtype=torch.int64))
print("torch._dynamo" in sys.modules)
"""


def test_jacobians_of_a_small_network_load_no_compiler() -> None:
    said = subprocess.run([sys.executable, "-c", _FIRST_JACOBIANS], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"


@pytest.mark.parametrize("structure", ["full", "kron", "diag", "gp"])
def test_a_prediction_before_the_fit_does_no_harm(structure: str) -> None:
    X, _ = rows()
    data, network = loader(), dense()
    options = {"n_subset": ROWS} if structure == "gp" else {}
    first, second = (ours.Laplace(network, "classification", "last_layer", structure, **options) for _ in range(2))
    with pytest.raises((AttributeError, RuntimeError)):
        first(X)
    first.model(X)
    for name in ("scatter", "prior_precision_diag", "log_det_ratio"):
        with pytest.raises((AttributeError, RuntimeError), match="not known yet|not been fitted"):
            getattr(first, name)
    for la in (first, second):
        la.fit(data)
    torch.testing.assert_close(first(X), second(X))
    torch.testing.assert_close(first.log_marginal_likelihood(), second.log_marginal_likelihood())


@pytest.mark.parametrize("structure", ["full", "diag"])
def test_a_subnetwork_in_any_order(structure: str) -> None:
    X, y = rows()
    data, network = loader(), dense()
    given = torch.tensor([17, 3, 40, 8, 0, 29])
    prior = torch.tensor([0.1, 5.0, 1.0, 0.4, 2.0, 0.7])
    order = given.argsort()
    la, sorted_one = (
        ours.Laplace(
            network, "classification", "subnetwork", structure, subnetwork_indices=indices, prior_precision=precision
        )
        for indices, precision in ((given, prior), (given[order], prior[order]))
    )
    for each in (la, sorted_one):
        each.fit(data)
    turned = la.H[order] if structure == "diag" else la.H[order][:, order]
    torch.testing.assert_close(turned, sorted_one.H)
    torch.testing.assert_close(la(X), sorted_one(X))
    torch.testing.assert_close(la.log_marginal_likelihood(), sorted_one.log_marginal_likelihood())
    J, _ = la.backend.jacobians(X)
    torch.testing.assert_close(
        la.functional_variance(J), sorted_one.functional_variance(sorted_one.backend.jacobians(X)[0])
    )
    by_batches = la.backend.full(X, y)[1]
    torch.testing.assert_close(by_batches, sorted_one.backend.full(X, y)[1][order.argsort()][:, order.argsort()])


def test_masks_count_what_is_trained() -> None:
    network = dense()
    for parameter in network[0].parameters():
        parameter.requires_grad_(False)
    data = loader()
    # Of 25 frozen and 18 trained parameters the last ones are 0 to 17.
    for mask in (ParamNameSubnetMask(network, ["2.bias"]), ModuleNameSubnetMask(network, ["2"])):
        indices = mask.select(data)
        assert indices.tolist() == list(range(18))[-len(indices) :]
    diagonal = ours.Laplace(network, "classification", "all", "diag")
    for mask in (
        LargestVarianceDiagLaplaceSubnetMask(network, 6, diagonal),
        LargestVarianceSWAGSubnetMask(network, 6, swag_n_snapshots=3),
    ):
        indices = mask.select(data)
        la = ours.Laplace(network, "classification", "subnetwork", "full", subnetwork_indices=indices)
        la.fit(data)
        assert la.H.shape == (6, 6)
    with pytest.raises(ValueError, match=r"'0\.weight' is not trained"):
        ParamNameSubnetMask(network, ["0.weight", "2.bias"]).select(data)


def test_errors_are_those_of_laplace_torch_too() -> None:
    X, _ = rows()
    data, network = loader(), dense()
    with pytest.raises(NotImplementedError, match="as a whole matrix alone"):
        ours.Laplace(network, "classification", "all", "diag", backend=CurvlinopsHessian).fit(data)
    la = ours.Laplace(network, "classification", "all", "full", backend=CurvlinopsHessian, prior_precision=1e-9)
    la.fit(data)
    for call in (lambda: la.posterior_scale, lambda: la(X), la.log_marginal_likelihood):
        with pytest.raises(torch.linalg.LinAlgError, match="not positive definite"):
            call()
    process = ours.Laplace(network, "classification", "all", "gp", n_subset=ROWS)
    with pytest.raises(NotImplementedError, match="functional_samples"):
        process.sample(2)


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("damping", [False, True])
def test_convolutions_in_groups(groups: int, damping: bool) -> None:
    network = nn.Sequential(nn.Conv2d(4, 8, 3, groups=groups), nn.SiLU(), nn.Flatten(), nn.Linear(32, 3)).eval()
    X, y = torch.randn(ROWS, 4, 4, 4), torch.randint(3, (ROWS,))
    data = DataLoader(TensorDataset(X, y), batch_size=6)
    prior = torch.tensor([0.3, 1.0, 2.0, 0.7])
    la = ours.KronLaplace(network, "classification", damping=damping, prior_precision=prior)
    la.fit(data)
    precision, expanded = la.posterior_precision, la.prior_precision_diag
    P = precision.to_matrix()
    if not damping:
        torch.testing.assert_close(P, la.H_facs.to_matrix() + expanded.diag())
    torch.testing.assert_close(precision.logdet(), torch.logdet(P))
    torch.testing.assert_close(precision.diag(-1), P.inverse().diagonal())
    torch.testing.assert_close(la.H_facs.diag(), la.H_facs.to_matrix().diagonal())
    W = torch.randn(2, 3, len(P))
    torch.testing.assert_close(precision.bmm(W), W @ P.inverse())
    torch.testing.assert_close(la.H_facs.bmm(W), W @ la.H_facs.to_matrix())
    J, f = la.backend.jacobians(X[:4])
    covariances = J @ P.inverse() @ J.transpose(1, 2)
    torch.testing.assert_close(la.functional_variance(J), covariances)
    probabilities = (f / torch.sqrt(1 + torch.pi / 8 * covariances.diagonal(dim1=1, dim2=2))).softmax(dim=-1)
    torch.testing.assert_close(la(X[:4]), probabilities)
    theta = la.mean + 0.1
    torch.testing.assert_close(la.square_norm(theta), (theta - la.mean) @ P @ (theta - la.mean))
    twice = ours.KronLaplace(network, "classification", damping=damping, prior_precision=prior)
    twice.load_state_dict(la.state_dict())
    twice.fit(data, override=False)
    torch.testing.assert_close(twice.H_facs.to_matrix(), 2 * la.H_facs.to_matrix())


@pytest.mark.parametrize("link", ["bridge", "bridge_norm"])
def test_the_bridge_gives_probabilities_or_refuses(link: str) -> None:
    X, _ = rows()
    network = dense()
    with torch.no_grad():
        network[2].bias.copy_(torch.tensor([900.0, 0.0, -900.0]))
    la = ours.Laplace(network, "classification", "all", "full")
    la.fit(loader())
    torch.testing.assert_close(la(X, link_approx=link).sum(dim=1), torch.ones(len(X)))
    one = ours.Laplace(network, "classification", "subnetwork", "full", subnetwork_indices=torch.tensor([41]))
    one.fit(loader())
    with pytest.raises(ArithmeticError, match="all vary"):
        one(X, link_approx=link)


@pytest.mark.parametrize("structure", ["full", "kron", "diag"])
def test_a_network_that_changes_after_the_fit_is_not_the_fitted_one(structure: str) -> None:
    X, _ = rows()
    la = ours.Laplace(dense(), "regression", "all", structure, sigma_noise=0.7)
    la.fit(DataLoader(TensorDataset(X, torch.randn(ROWS, 3)), batch_size=6))
    before = la(X)
    kept = [parameter.detach().clone() for parameter in la.model.parameters()]
    # By way of .data, which counts no version.
    la.model[0].weight.data.mul_(2)
    mean, covariance = la(X)
    J, f = la.backend.jacobians(X)
    torch.testing.assert_close(mean, f)
    torch.testing.assert_close(covariance, la.functional_variance(J))
    torch.testing.assert_close(la(X, joint=True)[1], la.functional_covariance(J))
    assert not torch.allclose(covariance, before[1])
    for parameter, value in zip(la.model.parameters(), kept, strict=True):
        parameter.data.copy_(value)
    for part, expected in zip(la(X), before, strict=True):
        torch.testing.assert_close(part, expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("structure", ["full", "kron", "diag"])
@pytest.mark.parametrize("subset", ["all", "last_layer"])
def test_networks_of_half_precision(dtype: Any, structure: str, subset: str) -> None:
    X, y = rows()
    network = dense()
    found = []
    for precision in (dtype, torch.float64):
        la = ours.Laplace(network.to(precision), "classification", subset, structure)
        la.fit(DataLoader(TensorDataset(X.to(dtype).to(precision), y), batch_size=6))
        assert torch.isfinite(la.sample(3)).all()
        found.append([each.double() for each in (la(X.to(dtype).to(precision)), la.log_marginal_likelihood())])
    for half, whole in zip(*found, strict=True):
        torch.testing.assert_close(half, whole, rtol=0.03, atol=0.03)
