"""Labels that are probabilities of the classes, as in torch's CrossEntropyLoss; draws of singular covariances."""

from __future__ import annotations

from typing import Any

import laplace
import polylaplace.torch as ours
import pytest
import torch
from polylaplace import DataError, OptionError
from polylaplace.torch.curvature import CurvlinopsEF, CurvlinopsHessian
from polylaplace.torch.utils import normal_samples
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("double")]

X = torch.randn(24, 4, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
CLASSES = torch.arange(24) % 3
ONE_HOT = nn.functional.one_hot(CLASSES, 3).double()


def network() -> nn.Module:
    torch.manual_seed(5)
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))


def fitted(make: Any, y: torch.Tensor, subset: str = "all", structure: str = "full", **options: Any) -> Any:
    la = make(network(), "classification", subset, structure, **options)
    la.fit(DataLoader(TensorDataset(X, y), batch_size=7))
    return la


@pytest.mark.parametrize(("subset", "structure"), [("all", "full"), ("all", "kron"), ("last_layer", "diag")])
def test_loss_and_curvature_are_laplace_torchs(subset: str, structure: str) -> None:
    soft = 0.7 * ONE_HOT + 0.1
    own, theirs = (fitted(make, soft, subset, structure) for make in (ours.Laplace, laplace.Laplace))
    torch.testing.assert_close(own.loss, theirs.loss)
    torch.testing.assert_close(own.log_marginal_likelihood(), theirs.log_marginal_likelihood())
    torch.testing.assert_close(own(X), theirs(X))


@pytest.mark.parametrize("backend", [None, CurvlinopsEF])
def test_labels_that_are_sure_are_class_numbers(backend: Any) -> None:
    one, other = (fitted(ours.Laplace, y, backend=backend) for y in (ONE_HOT, CLASSES))
    torch.testing.assert_close(one.H, other.H)
    torch.testing.assert_close(one.loss, other.loss)


def test_what_are_no_probabilities_is_refused() -> None:
    with pytest.raises(DataError, match="sum to 1"):
        fitted(ours.Laplace, 2 * ONE_HOT)
    for backend in (CurvlinopsEF, CurvlinopsHessian):
        with pytest.raises(OptionError, match=r"class numbers[\s\S]*GGN"):
            fitted(ours.Laplace, 0.7 * ONE_HOT + 0.1, backend=backend)


def test_draws_of_outputs_that_do_not_vary_apart() -> None:
    root = torch.tensor([[1.0, 0.0], [0.5, 0.2], [-1.0, 0.3]])
    covariance = torch.stack([root @ root.T, torch.eye(3)])
    draws = normal_samples(torch.zeros(2, 3), covariance, 200_000, torch.Generator().manual_seed(0))
    for row in range(2):
        found = draws[:, row].T @ draws[:, row] / len(draws)
        torch.testing.assert_close(found, covariance[row], rtol=0, atol=0.02)
    with pytest.raises(torch.linalg.LinAlgError):
        normal_samples(torch.zeros(1, 2), torch.tensor([[[1.0, 2.0], [2.0, 1.0]]]), 3)


@pytest.mark.parametrize("joint", [False, True])
def test_no_rows_have_no_answers(joint: bool) -> None:
    la = ours.Laplace(nn.Linear(4, 2), "regression", "all", "full")
    la.fit([(X, X[:, :2])])
    mean, covariance = la(X[:0], joint=joint)
    assert (mean.shape, covariance.shape) == (((0,), (0, 0)) if joint else ((0, 2), (0, 2, 2)))
