"""A torch module that gives rewards is fitted to pairs and predicts single rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from polylaplace import Laplace


@pytest.mark.filterwarnings("ignore")
def test_a_torch_module_takes_single_rows() -> None:
    torch.manual_seed(0)
    pairs = torch.randn(30, 2, 3, dtype=torch.float64)
    preferred = pairs.sum(2).argmax(1).numpy()
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)).double()
    la = Laplace(model, "reward_modeling", "all", "kron", prior_precision=2.0).fit(pairs.numpy(), preferred)
    mean, _ = la(pairs[:, 1].numpy())
    np.testing.assert_allclose(mean, model(pairs[:, 1]).detach().numpy(), rtol=1e-6)
