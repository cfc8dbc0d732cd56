"""polylaplace.torch sends small batches in one message: the posterior is that of the batches one after another."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import polylaplace.torch as ours
from polylaplace import default_client
from polylaplace.torch import _read_ahead
from polylaplace.torch.curvature import CurvlinopsHessian, EFInterface, GGNInterface

KINDS: list[tuple[str, Any, dict[str, Any]]] = [
    (structure, backend, arguments)
    for structure in ("full", "kron", "diag")
    for backend, arguments in ((GGNInterface, {}), (GGNInterface, {"stochastic": True}), (EFInterface, {}))
]
KINDS += [("full", CurvlinopsHessian, {})]


def batches(sizes: list[int], seed: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    return [
        (torch.randn(n, 4, generator=generator, dtype=torch.float64), torch.randint(3, (n,), generator=generator))
        for n in sizes
    ]


def fitted(loader: Any, structure: str, backend: Any, arguments: dict[str, Any], subset: str = "all") -> Any:
    torch.manual_seed(5)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).double()
    la = ours.Laplace(
        model,
        "classification",
        subset_of_weights=subset,
        hessian_structure=structure,
        backend=backend,
        backend_kwargs=arguments,
    )
    la.fit(loader)
    return la


def dense(H: Any) -> torch.Tensor:
    return H.to_matrix() if hasattr(H, "to_matrix") else H


@pytest.mark.parametrize(("structure", "backend", "arguments"), KINDS)
@pytest.mark.parametrize("sizes", [[7, 7, 7, 3], [1, 12], [9]])
def test_together_as_one_after_another(
    structure: str, backend: Any, arguments: dict[str, Any], sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    loader = batches(sizes, sum(sizes))
    together = fitted(loader, structure, backend, arguments)
    monkeypatch.setattr(_read_ahead, "_AHEAD", 0)
    apart = fitted(loader, structure, backend, arguments)
    assert together.n_data == apart.n_data == sum(sizes)
    torch.testing.assert_close(together.loss, apart.loss, rtol=1e-12, atol=0)
    torch.testing.assert_close(dense(together.H), dense(apart.H), rtol=1e-11, atol=1e-12)


def test_a_small_fit_is_one_message() -> None:
    loader = batches([5, 5, 5], 3)
    fitted(loader, "kron", GGNInterface, {})
    before = default_client().stats()["requests"]
    fitted(loader, "kron", GGNInterface, {})
    assert default_client().stats()["requests"] - before == 2, "the fit, and the question itself"


@pytest.mark.parametrize("structure", ["full", "kron", "diag"])
def test_the_first_prediction_is_one_message_and_that_of_the_prior_given_anew(structure: str) -> None:
    la = fitted(batches([5, 5], 4), structure, GGNInterface, {})
    X = torch.randn(4, 4, dtype=torch.float64)
    before = default_client().stats()["requests"]
    first = la(X)
    assert default_client().stats()["requests"] - before == 2, "the prediction, and the question itself"
    la._predictor._key = None
    torch.testing.assert_close(la(X), first, rtol=1e-13, atol=0)
    la.prior_precision = 3.0
    assert not torch.allclose(la(X), first)
    la.prior_precision = 1.0
    torch.testing.assert_close(la(X), first, rtol=1e-13, atol=0)


@pytest.mark.parametrize("subset", ["all", "last_layer"])
def test_a_module_that_is_trained_further_is_read_again(subset: str) -> None:
    loader = batches([6, 6], 5)
    la = fitted(loader, "kron", GGNInterface, {}, subset)
    with torch.no_grad():
        for value in la.model.parameters():
            value.mul_(0.5)
    la.fit(loader)
    torch.manual_seed(5)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).double()
    with torch.no_grad():
        for value in model.parameters():
            value.mul_(0.5)
    new = ours.Laplace(model, "classification", subset_of_weights=subset, hessian_structure="kron")
    new.fit(loader)
    X = torch.randn(4, 4, dtype=torch.float64)
    torch.testing.assert_close(dense(la.H), dense(new.H), rtol=1e-13, atol=0)
    torch.testing.assert_close(la(X), new(X), rtol=1e-12, atol=0)


def test_a_loader_that_writes_each_batch_where_the_last_one_lay() -> None:
    loader = batches([4, 4, 4], 8)

    class Reused:
        def __iter__(self) -> Any:
            x, y = torch.empty(4, 4, dtype=torch.float64), torch.empty(4, dtype=torch.int64)
            for given, labels in loader:
                x.copy_(given)
                y.copy_(labels)
                yield x, y

    torch.testing.assert_close(fitted(Reused(), "full", GGNInterface, {}).H, fitted(loader, "full", GGNInterface, {}).H)


def test_batches_that_are_no_rows_of_one_table() -> None:
    """Longer sequences in a later batch, and mappings."""
    torch.manual_seed(1)

    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(2, 5), nn.Linear(5, 3)

        def forward(self, batch: Any) -> torch.Tensor:
            x = batch["x"] if isinstance(batch, dict) else batch
            return self.last(torch.tanh(self.first(x)).mean(1))

    model, y = Pooled(), torch.tensor([0, 1, 2])
    la = ours.Laplace(model, "classification", subset_of_weights="last_layer", hessian_structure="kron")
    la.fit([(torch.randn(3, length, 2), y) for length in (4, 6)])
    assert la.n_data == 6
    named = ours.Laplace(model, "classification", subset_of_weights="all", hessian_structure="kron", dict_key_x="x")
    named.fit([{"x": torch.randn(3, 4, 2), "labels": y} for _ in range(3)])
    assert named.n_data == 9
