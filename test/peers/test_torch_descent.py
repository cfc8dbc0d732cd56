"""Steps along gradients are those of torch.optim, to the last bit, and load none of it."""

from __future__ import annotations

import subprocess
import sys
from copy import deepcopy

import pytest
import torch
from polylaplace.torch._descent import Momentum, maximised
from polylaplace.torch.utils.swag import fit_diagonal_swag_var
from torch import Tensor, nn
from torch.nn import functional as F


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_adam_is_torchs(dtype: torch.dtype) -> None:
    centre = torch.tensor([0.3, -2.0, 5.0], dtype=dtype)

    def value(at: Tensor) -> Tensor:
        return -((at - centre).square() * at.exp()).sum()

    start = torch.tensor([0.1, 0.2, 0.3], dtype=dtype)
    expected = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([expected], lr=0.1)
    for _ in range(50):
        optimizer.zero_grad()
        (-value(expected)).backward()
        optimizer.step()
    assert torch.equal(maximised(value, start, 0.1, range(50)), expected)


def test_momentum_is_torchs() -> None:
    network = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
    network[0].bias.requires_grad_(False)
    peer = deepcopy(network)
    X, y = torch.randn(10, 4), torch.randint(3, (10,))
    optimizer = torch.optim.SGD(peer.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    descent = Momentum(network.parameters(), 0.1, 0.9, 0.01)
    for _ in range(20):
        optimizer.zero_grad()
        F.cross_entropy(peer(X), y).backward()
        optimizer.step()
        descent.step(F.cross_entropy(network(X), y))
    for ours, theirs in zip(network.parameters(), peer.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_momentum_and_decay_are_not_negative() -> None:
    for name in ("momentum", "weight_decay"):
        with pytest.raises(ValueError, match=f"{name} must not be negative"):
            fit_diagonal_swag_var(nn.Linear(2, 2), [], F.cross_entropy, **{name: -0.1})  # type: ignore[arg-type]


_USE = """
import sys, torch, warnings
from torch.utils.data import DataLoader, TensorDataset
from polylaplace.torch import Laplace
from polylaplace.torch.utils import LargestVarianceSWAGSubnetMask
warnings.simplefilter("ignore")
model = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3))
loader = DataLoader(TensorDataset(torch.randn(9, 4), torch.randint(3, (9,))), batch_size=5)
la = Laplace(model, "classification", "all", "kron")
la.fit(loader)
la.optimize_prior_precision(method="marglik", n_steps=3)
for words in ({}, {"pred_type": "nn", "link_approx": "mc"}):
    la(torch.randn(2, 4), **words)
LargestVarianceSWAGSubnetMask(model, 5, "classification", swag_n_snapshots=2).select(loader)
print("torch._dynamo" in sys.modules)
"""


def test_a_fit_its_tuning_and_predictions_load_no_compiler() -> None:
    said = subprocess.run([sys.executable, "-c", _USE], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"
