"""Where a torch module stops or replaces derivatives, its posterior has those of torch, or the fit is refused."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from polylaplace import GraphError, Laplace
from torch import Tensor, nn
from torch.func import functional_call, jacrev

PRIOR = 0.7


class Dense(nn.Module):
    """Layers for all of the networks below."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.h = nn.Linear(4, 5), nn.Linear(5, 5), nn.Linear(5, 3)


class Detached(Dense):
    def forward(self, x: Tensor) -> Tensor:
        return self.h(torch.tanh(self.b(torch.tanh(self.a(x)).detach())))


class NoGrad(Dense):
    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            y = torch.tanh(self.a(x))
        return self.h(torch.tanh(self.b(y)))


class StraightThrough(Dense):
    def forward(self, x: Tensor) -> Tensor:
        y = torch.tanh(self.a(x))
        return self.h(torch.tanh(self.b(y + (torch.round(4 * y) / 4 - y).detach())))


class DetachedWeight(Dense):
    """A weight that learns in one of its two uses."""

    def forward(self, x: Tensor) -> Tensor:
        y = torch.tanh(self.a(x))
        return self.h(torch.tanh(self.b(y))) * F.linear(y, self.b.weight.detach()).mean(1, keepdim=True)


class Padded(nn.Module):
    """The row of padding does not learn."""

    def __init__(self, padding: int = 0, **options: bool) -> None:
        super().__init__()
        self.embed, self.h = nn.Embedding(9, 4, padding_idx=padding, **options), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.h(torch.tanh(self.embed(x)).mean(1))


class GroupedQueries(nn.Module):
    """Attention with fewer heads of keys than of queries, and a mask of numbers."""

    def __init__(self, causal: bool) -> None:
        super().__init__()
        self.q, self.kv, self.h, self.causal = nn.Linear(4, 8), nn.Linear(4, 4), nn.Linear(8, 3), causal
        self.register_buffer("mask", -torch.arange(9.0).view(3, 3))

    def forward(self, x: Tensor) -> Tensor:
        rows = x[:, :, None] * torch.arange(1, 5).to(x)
        q = self.q(rows).view(-1, 4, 4, 2).transpose(1, 2)[:, :, :3]
        k, v = self.kv(rows).view(-1, 4, 2, 2).transpose(1, 2)[:, :, :3].split(1, 1)
        mask = None if self.causal else self.mask
        y = F.scaled_dot_product_attention(q, k, v, mask, is_causal=self.causal, enable_gqa=True)
        return self.h(y.transpose(1, 2).flatten(2).mean(1))


class Bag(nn.Module):
    def __init__(self, mode: str, padding: int | None) -> None:
        super().__init__()
        self.embed, self.h = nn.EmbeddingBag(9, 4, mode=mode, padding_idx=padding), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.h(torch.tanh(self.embed(x)))


def plain_norms() -> nn.Module:
    return nn.Sequential(
        nn.Linear(4, 8),
        nn.LayerNorm(8, elementwise_affine=False),
        nn.BatchNorm1d(8, affine=False),
        nn.Tanh(),
        nn.Linear(8, 3),
    )


def root_mean_square_norms() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.RMSNorm(8), nn.Tanh(), nn.RMSNorm(8, 0.1, False), nn.Linear(8, 3))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "detached": Detached,
    "no_grad": NoGrad,
    "straight-through": StraightThrough,
    "weight detached in one use": DetachedWeight,
    "padding": Padded,
    "padding from the end": lambda: Padded(-1),
    "bag of sums": lambda: Bag("sum", None),
    "bag of maxima": lambda: Bag("max", None),
    "bag of means with padding": lambda: Bag("mean", 3),
    "bag of maxima with padding": lambda: Bag("max", -1),
    "norms without scales": plain_norms,
    "root mean square norms": root_mean_square_norms,
    "grouped queries": lambda: GroupedQueries(False),
    "grouped queries, causal": lambda: GroupedQueries(True),
}


def _rows(module: nn.Module) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    if isinstance(module, (Padded, Bag)):
        return torch.randint(0, 9, (6, 5), generator=generator)
    return torch.randn(6, 4, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("subset", ["all", "last_layer"])
def test_variances_are_those_of_torch_func(name: str, subset: str) -> None:
    torch.manual_seed(0)
    module = NETWORKS[name]().double().eval()
    x = _rows(module)
    parameters = {key: value.detach() for key, value in module.named_parameters()}
    f = module(x).detach()
    jacobian = jacrev(lambda values: functional_call(module, values, (x,)))(parameters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        la = Laplace(module, "classification", subset, "full", prior_precision=PRIOR).fit(x.numpy(), [0, 1, 2, 0, 1, 2])
    names = [each["name"] for each in la.summary["parameters"]]
    if subset == "all":
        assert names == list(parameters)
    j = torch.cat([jacobian[each].reshape(*f.shape, -1) for each in names], -1)
    p = f.softmax(-1)
    hessian = torch.diag_embed(p) - p.unsqueeze(-1) * p.unsqueeze(-2)
    precision = torch.einsum("ncp,ncd,ndq->pq", j, hessian, j) + PRIOR * torch.eye(j.shape[-1]).double()
    wanted = torch.einsum("ncp,pq,ncq->nc", j, torch.linalg.inv(precision), j)
    prediction = la.predict(x.numpy())
    torch.testing.assert_close(torch.as_tensor(prediction.mean), f, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(torch.as_tensor(prediction.variance), wanted, rtol=1e-6, atol=1e-9)


class Replaced(torch.autograd.Function):
    """A step with the derivative of another function."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return torch.sign(x) + 0.1 * x

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return 3 * gradient


class Surrogate(Dense):
    def forward(self, x: Tensor) -> Tensor:
        return self.h(torch.tanh(self.b(Replaced.apply(self.a(x)))))


@pytest.mark.parametrize("make", [Surrogate, lambda: Padded(0, scale_grad_by_freq=True)])
def test_a_derivative_that_code_replaces_is_refused(make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    module = make().double()
    x, y = _rows(module).numpy(), [0, 1, 2, 0, 1, 2]
    first = next(name for name, _ in module.named_parameters())
    with pytest.raises(GraphError, match=f"'{first}'") as raised:
        Laplace(module, "classification", "all", "full").fit(x, y)
    assert raised.value.code == "NOT_DIFFERENTIABLE"
    assert "freeze" in str(raised.value)
    others = [f"{first.split('.')[0]}.*"]
    assert Laplace(module, "classification", "all", "full", freeze=others).fit(x, y).n_params > 0
