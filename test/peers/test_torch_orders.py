"""Parameters that the core has in another order than torch: matrices by which a network multiplies from the right."""

from __future__ import annotations

from typing import Any

import polylaplace
import polylaplace.torch as ours
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("double")]

X = torch.randn(20, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
NEW = torch.randn(6, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


class FromTheRight(nn.Module):
    """x @ W + b, as GPT-2's Conv1D has it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, outputs) * 0.4)
        self.bias = nn.Parameter(torch.randn(outputs) * 0.1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.addmm(self.bias, x, self.weight)


class Network(nn.Module):
    """Two hidden layers, the first of them square, so that its shape does not tell which way round it stands."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.first, self.second, self.last = layer(4, 4), layer(4, 5), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.second(self.first(x).tanh()).tanh())


def both() -> tuple[nn.Module, nn.Module, Tensor]:
    """A network, the same with `nn.Linear`, and for each parameter of the first its place in the second."""
    torch.manual_seed(0)
    right, left = Network(FromTheRight), Network(nn.Linear)
    places, start = [], 0
    for (name, of_right), of_left in zip(right.named_parameters(), left.parameters(), strict=True):
        own = torch.arange(start, start + of_left.numel()).view(of_left.shape)
        turned = name in ("first.weight", "second.weight")
        of_left.data = of_right.data.T.contiguous() if turned else of_right.data.clone()
        places.append((own.T if turned else own).flatten())
        start += of_left.numel()
    return right, left, torch.cat(places)


def loader(likelihood: str) -> DataLoader[Any]:
    y = torch.arange(20) % 3 if likelihood == "classification" else X[:, :3] * 2
    return DataLoader(TensorDataset(X, y), batch_size=7)


def dense(H: Any) -> Tensor:
    matrix = H.to_matrix() if hasattr(H, "to_matrix") else H
    return matrix if matrix.ndim == 2 else matrix.diag()


def variances(la: Any) -> Tensor:
    answer = la(NEW)
    return answer[1] if isinstance(answer, tuple) else answer


@pytest.mark.parametrize("structure", ["full", "kron", "diag"])
@pytest.mark.parametrize("likelihood", ["classification", "regression"])
def test_every_quantity_has_torchs_order(likelihood: str, structure: str) -> None:
    right, left, places = both()
    priors = torch.linspace(0.5, 2, len(places))
    first, second = (ours.Laplace(m, likelihood, "all", structure, prior_precision=2.0) for m in (right, left))
    for la in (first, second):
        la.fit(loader(likelihood))
        if structure == "kron":
            la.fit(loader(likelihood), override=False)
    if structure != "kron":
        first.prior_precision, second.prior_precision = priors[places], priors
    for of_right, of_left in (
        (dense(first.H), dense(second.H)[places][:, places]),
        (dense(first.posterior_precision), dense(second.posterior_precision)[places][:, places]),
        (first.mean, second.mean[places]),
        (variances(first), variances(second)),
        (
            first.functional_variance(first.backend.jacobians(NEW)[0]),
            second.functional_variance(second.backend.jacobians(NEW)[0]),
        ),
        (first.log_marginal_likelihood(), second.log_marginal_likelihood()),
    ):
        torch.testing.assert_close(of_right, of_left, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("structure", ["full", "diag"])
def test_indices_of_a_subnetwork_are_torchs(structure: str) -> None:
    right, left, places = both()
    chosen = torch.tensor([30, 3, 7, 22, 9, 1, 12, 60, 41])
    priors = torch.linspace(0.3, 1.5, len(chosen))
    first = ours.Laplace(
        right, "classification", "subnetwork", structure, subnetwork_indices=chosen, prior_precision=priors
    )
    second = ours.Laplace(
        left, "classification", "subnetwork", structure, subnetwork_indices=places[chosen], prior_precision=priors
    )
    for la in (first, second):
        la.fit(loader("classification"))
    torch.testing.assert_close(first.H, second.H)
    torch.testing.assert_close(first(NEW), second(NEW))


def test_a_client_of_arrays_says_which_order_it_reads() -> None:
    right, _, places = both()
    with pytest.warns(polylaplace.LaplaceWarning, match=r"Numbers of single parameters.*first\.weight.*out x in"):
        polylaplace.Laplace(right, "classification", "all", "diag", prior_mean=[0.0] * len(places)).fit(
            X, torch.arange(20) % 3
        )


def test_parameters_may_lie_in_memory_in_another_order() -> None:
    torch.manual_seed(3)
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 3))
    images = torch.randn(9, 2, 4, 4)
    answers = []
    for memory in (torch.contiguous_format, torch.channels_last):
        la = ours.Laplace(network.to(memory_format=memory), "classification", "all", "diag")
        la.fit(DataLoader(TensorDataset(images, torch.arange(9) % 3), batch_size=4))
        answers.append((la.mean, la.H, la(images)))
    torch.testing.assert_close(answers[0], answers[1])
