"""Rows whose label is torch's ignore_index, -100: they weigh nothing, as in CrossEntropyLoss."""

from __future__ import annotations

import warnings
from typing import Any

import polylaplace
import polylaplace.torch as ours
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

pytestmark = pytest.mark.usefixtures("double")

KINDS = (("all", "full"), ("all", "kron"), ("all", "diag"), ("last_layer", "kron"), ("all", "gp"))


def network() -> nn.Module:
    torch.manual_seed(5)
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))


def rows() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Inputs, labels, and which rows count."""
    X, y = torch.randn(24, 4, generator=torch.Generator().manual_seed(7)), torch.arange(24) % 3
    y[::5] = -100
    return X, y, y >= 0


@pytest.mark.parametrize(("subset", "structure"), KINDS)
def test_the_posterior_is_that_of_the_other_rows(subset: str, structure: str) -> None:
    X, y, kept = rows()
    answers = []
    for inputs, labels in ((X, y), (X[kept], y[kept])):
        more = {"n_subset": len(inputs)} if structure == "gp" else {}
        la = ours.Laplace(network(), "classification", subset, structure, **more)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            la.fit(DataLoader(TensorDataset(inputs, labels), batch_size=5))
        assert any("do not count" in str(each.message) for each in said) == (labels is y)
        answers.append((la(X), la.log_marginal_likelihood()))
    torch.testing.assert_close(answers[0], answers[1], rtol=1e-9, atol=1e-9)


@pytest.mark.filterwarnings("ignore")
def test_batches_that_are_mappings_and_batches_without_rows() -> None:
    class OfMappings(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = network()

        def forward(self, data: Any) -> torch.Tensor:
            return self.layers(data["input_ids"])

    X, y, kept = rows()
    la, other = (ours.Laplace(each, "classification", "all", "full") for each in (OfMappings(), network()))
    none = torch.full_like(y, -100)
    la.fit([{"input_ids": X, "labels": y}, {"input_ids": X, "labels": none}])
    other.fit([(X[kept], y[kept])])
    torch.testing.assert_close(la.H, other.H)
    assert la.n_data == int(kept.sum())
    with pytest.raises(polylaplace.DataError, match="no rows"):
        la.fit([{"input_ids": X, "labels": none}])


def test_the_client_of_arrays_says_what_to_do() -> None:
    X, y, _ = rows()
    with pytest.raises(polylaplace.DataError, match="left out of x and y"):
        polylaplace.Laplace(network(), "classification").fit(X, y)
