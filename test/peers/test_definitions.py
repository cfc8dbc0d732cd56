"""Random combinations of options beside their definitions, worked out by torch with whole matrices in float64."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, hessian, jacrev
from torch.nn import functional as F

from polylaplace import Laplace, NumericalError

# The networks are not trained, which is told.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("double")]

ACTIVATIONS = (nn.Tanh, nn.Sigmoid, nn.GELU, nn.SiLU, nn.Softplus)
LIKELIHOODS = ("classification", "binary", "multilabel", "regression", "heteroscedastic", "poisson", "reward_modeling")
LOGITS = LIKELIHOODS[:3]
STRUCTURES = {
    "ggn": ("full", "kron", "diag", "blockdiag", "ekfac", "lowrank", "functional"),
    "empirical_fisher": ("full", "kron", "diag", "blockdiag"),
    "hessian": ("full", "blockdiag", "lowrank"),
}
KEEP_ROWS = ("ekfac", "lowrank", "functional")


class Case:
    """A network, rows and options that go together, by a seed."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = np.random.default_rng(seed)
        self.likelihood = self.pick(*LIKELIHOODS)
        self.subset = self.pick("all", "last_layer", "subnetwork")
        curvatures = [each for each in STRUCTURES if (each, self.likelihood) != ("hessian", "heteroscedastic")]
        self.curvature = self.pick(*curvatures)
        parts = ("kron", "ekfac") if self.subset == "subnetwork" else ()
        self.structure = self.pick(*(each for each in STRUCTURES[self.curvature] if each not in parts))
        self.n, self.inputs = int(rng.integers(6, 14)), int(rng.integers(2, 5))
        self.outputs = self.count_outputs()
        self.model = self.network(seed)
        self.theta = torch.cat([value.detach().reshape(-1) for value in self.model.parameters()])
        self.index = self.chosen()
        self.X = torch.tensor(rng.normal(size=(self.n, *self.row_shape())))
        self.X_new = torch.tensor(rng.normal(size=(4, self.inputs)))
        self.y = torch.tensor(self.labels())
        self.options = self.drawn_options()
        self.weights = self.pick(None, rng.integers(0, 4, size=self.n) * 1.0, rng.uniform(0.2, 2, size=self.n))
        if self.weights is not None and self.structure in KEEP_ROWS:
            self.weights = np.ceil(self.weights)

    def pick(self, *values: Any) -> Any:
        return values[int(self.rng.integers(len(values)))]

    def count_outputs(self) -> int:
        several = int(self.rng.integers(2, 5))
        one = {"binary": 1, "reward_modeling": 1, "heteroscedastic": 2 * self.pick(1, 2)}
        return one.get(self.likelihood, several)

    def network(self, seed: int) -> nn.Sequential:
        torch.manual_seed(seed)
        width = int(self.rng.integers(2, 5))
        layers: list[nn.Module] = [nn.Linear(self.inputs, width), self.pick(*ACTIVATIONS)()]
        if self.rng.random() < 0.4:
            layers += [nn.Linear(width, width), self.pick(*ACTIVATIONS)()]
        layers += [nn.Linear(width, self.outputs, bias=bool(self.rng.random() < 0.8))]
        return nn.Sequential(*layers).double()

    def row_shape(self) -> tuple[int, ...]:
        return (2, self.inputs) if self.likelihood == "reward_modeling" else (self.inputs,)

    def labels(self) -> Any:
        n, C, rng = self.n, self.outputs, self.rng
        return {
            "classification": lambda: rng.integers(C, size=n),
            "binary": lambda: rng.integers(2, size=(n, 1)),
            "reward_modeling": lambda: rng.integers(2, size=n),
            "multilabel": lambda: rng.integers(2, size=(n, C)),
            "regression": lambda: rng.normal(size=(n, C)),
            "heteroscedastic": lambda: rng.normal(size=(n, C // 2)),
            "poisson": lambda: rng.poisson(2.0, size=(n, C)),
        }[self.likelihood]()

    def chosen(self) -> Tensor:
        """Places in theta of the weights that are uncertain."""
        if self.subset == "subnetwork":
            return torch.tensor(np.sort(self.rng.choice(len(self.theta), size=7, replace=False)))
        last = sum(value.numel() for value in self.model[-1].parameters())
        return torch.arange(
            len(self.theta) - (last if self.subset == "last_layer" else len(self.theta)), len(self.theta)
        )

    def tensors(self) -> list[tuple[str, Tensor]]:
        """Tensors with uncertain weights, and their places among those."""
        found, offset = [], 0
        for name, value in self.model.named_parameters():
            own = torch.where((self.index >= offset) & (self.index < offset + value.numel()))[0]
            found += [(name, own)] if len(own) else []
            offset += value.numel()
        return found

    def drawn_options(self) -> dict[str, Any]:
        P, rng = len(self.index), self.rng
        by_parameter = () if self.structure in ("kron", "ekfac") else (rng.uniform(0.3, 2, size=P),)
        # Of Poisson's constant, which depends on the counts alone, a temperature takes its part.
        temperature = 1.0 if self.likelihood == "poisson" else self.pick(1.0, 0.7)
        A = rng.normal(size=(self.outputs, self.outputs))
        noises = (0.4, rng.uniform(0.3, 1.5, size=self.outputs), A @ A.T + np.eye(self.outputs))
        options = {
            "prior_precision": self.pick(0.7, rng.uniform(0.3, 2, size=len(self.tensors())), *by_parameter),
            "prior_mean": self.pick(0.0, 0.3, rng.normal(size=P)),
            "temperature": temperature,
            "sigma_noise": self.pick(*noises) if self.likelihood == "regression" else None,
            "label_smoothing": self.pick(None, 0.2) if self.likelihood in LOGITS else None,
            "rank": int(rng.integers(1, 4)) if self.structure == "lowrank" else None,
            "blocks": self.pick("layer", "tensor") if self.structure == "blockdiag" else None,
            "subnetwork_indices": self.index.numpy() if self.subset == "subnetwork" else None,
        }
        return {name: value for name, value in options.items() if value is not None}

    def fitted(self) -> Laplace:
        own = Laplace(
            self.model, self.likelihood, self.subset, self.structure, curvature=self.curvature, **self.options
        )
        weights = {} if self.weights is None else {"sample_weight": self.weights}
        return own.fit(self.X.numpy(), self.y.numpy(), **weights)


class Definition:
    """What the formulas of docs/mathematics.md give for a case."""

    def __init__(self, case: Case) -> None:
        self.case, self.model, self.index = case, case.model, case.index
        self.w = torch.ones(case.n) if case.weights is None else torch.tensor(case.weights)
        self.noise = self.noise_covariance()
        self.one_sigma = np.ndim(case.options.get("sigma_noise", 1.0)) == 0
        self.smoothing = case.options.get("label_smoothing", 0.0)
        self.T = case.options["temperature"]
        rows = range(case.n)
        self.f = torch.stack([self.outputs(case.theta, x) for x in case.X])
        self.J = torch.stack([jacrev(self.outputs)(case.theta, x) for x in case.X])
        self.root = torch.stack([self.between(self.f[i], case.y[i]) for i in rows])
        self.P = self.structured(self.curvature()) / self.T + self.prior().diag()
        self.covariance = torch.linalg.inv(self.P)

    def outputs(self, theta: Tensor, x: Tensor) -> Tensor:
        sizes = [value.numel() for value in self.model.parameters()]
        named = zip(self.model.named_parameters(), theta.split(sizes), strict=True)
        values = {name: part.view_as(value) for (name, value), part in named}
        return functional_call(self.model, values, (x,)).reshape(-1)

    def noise_covariance(self) -> Tensor:
        sigma = np.asarray(self.case.options.get("sigma_noise", 1.0))
        return torch.tensor(sigma if sigma.ndim == 2 else np.eye(self.case.outputs) * sigma**2)

    def loss(self, f: Tensor, y: Tensor) -> Tensor:
        """The negative log likelihood of a row, without constants."""
        likelihood, e = self.case.likelihood, self.smoothing
        if likelihood in ("classification", "reward_modeling"):
            C = len(f)
            return -(((1 - e) * F.one_hot(y.long(), C) + e / C) * f.log_softmax(0)).sum()
        if likelihood in ("binary", "multilabel"):
            return (F.softplus(f) - ((1 - e) * y + e / 2) * f).sum()
        if likelihood == "regression":
            return (f - y) @ torch.linalg.solve(self.noise, f - y) / 2
        if likelihood == "heteroscedastic":
            mean, s = f.chunk(2)
            return ((y - mean) ** 2 * torch.exp(-s) + s).sum() / 2
        return (f.exp() - y * f).sum()

    def between(self, f: Tensor, y: Tensor) -> Tensor:
        """What stands between the Jacobians: Lambda, or the product of the slopes."""
        if self.case.curvature == "empirical_fisher":
            slope = jacrev(self.loss)(f, y)
            # One sigma is no part of the loss whose gradients are squared: H is over sigma^2, as laplace-torch has it.
            return torch.outer(slope, slope) * (self.noise[0, 0] if self.one_sigma else 1)
        if self.case.likelihood == "heteroscedastic":
            s = f.chunk(2)[1]
            return torch.cat([torch.exp(-s), torch.full_like(s, 0.5)]).diag()
        return hessian(self.loss)(f, y)

    def curvature(self) -> Tensor:
        case = self.case
        if case.curvature == "hessian":
            total = torch.zeros(len(case.theta), len(case.theta))
            for w, x, y in zip(self.w, case.X, case.y, strict=True):
                total = total + w * hessian(lambda theta, x=x, y=y: self.loss(self.outputs(theta, x), y))(case.theta)
        else:
            total = torch.einsum("n,ncp,ncd,ndq->pq", self.w, self.J, self.root, self.J)
        return total[self.index][:, self.index]

    def structured(self, H: Tensor) -> Tensor:
        structure = self.case.structure
        if structure in ("full", "functional"):
            return H
        if structure == "diag":
            return H.diagonal().diag()
        if structure == "lowrank":
            values, vectors = torch.linalg.eigh(H)
            first = values.abs().argsort(descending=True)[: self.case.options["rank"]]
            return (vectors[:, first] * values[first]) @ vectors[:, first].T
        if structure == "blockdiag":
            return self.blocks(H)
        return self.in_factors(H)

    def blocks(self, H: Tensor) -> Tensor:
        groups: dict[str, list[Tensor]] = defaultdict(list)
        for name, own in self.case.tensors():
            groups[name.rpartition(".")[0] if self.case.options["blocks"] == "layer" else name].append(own)
        kept = torch.zeros_like(H)
        for own in map(torch.cat, groups.values()):
            kept[own[:, None], own] = H[own[:, None], own]
        return kept

    def in_factors(self, H: Tensor) -> Tensor:
        """Kronecker factors of each tensor, or H's own diagonal in their eigenvectors."""
        result = torch.zeros_like(H)
        for name, own in self.case.tensors():
            layer, _, kind = name.rpartition(".")
            B, A = self.factors(int(layer))
            block = torch.kron(B, A) if kind == "weight" else B
            if self.case.structure == "ekfac":
                vectors = [torch.linalg.eigh(each)[1] for each in ((B, A) if kind == "weight" else (B,))]
                U = torch.kron(*vectors) if kind == "weight" else vectors[0]
                block = U @ (U.T @ H[own[:, None], own] @ U).diagonal().diag() @ U.T
            result[own[:, None], own] = block
        return result

    def factors(self, layer: int) -> tuple[Tensor, Tensor]:
        """B = sum w G' Lambda G with G of the layer's own outputs, and A = sum w a a' / sum w."""
        module = self.model[layer]
        B, A = (
            torch.zeros(module.out_features, module.out_features),
            torch.zeros(module.in_features, module.in_features),
        )
        for w, x, between in zip(self.w, self.case.X, self.root, strict=True):
            a = self.model[:layer](x)
            G = jacrev(lambda z: self.model[layer + 1 :](z).reshape(-1))(module(a))
            # A pair is two positions of the same weights.
            G = G.reshape(len(between), -1, module.out_features)
            B += w * torch.einsum("cto,cd,dtp->op", G, between, G)
            a = a.reshape(-1, module.in_features)
            A += w * a.T @ a / len(a)
        return B, A / self.w.sum()

    def prior(self) -> Tensor:
        given = np.asarray(self.case.options["prior_precision"])
        tensors = self.case.tensors()
        if given.ndim == 1 and len(given) == len(tensors):
            return torch.cat([torch.full((len(own),), value) for value, (_, own) in zip(given, tensors, strict=True)])
        return torch.tensor(np.broadcast_to(given, (len(self.index),)).copy())

    def log_likelihood(self) -> Tensor:
        case, log_2pi = self.case, math.log(2 * math.pi)
        each = [self.loss(f, y) for f, y in zip(self.f, case.y, strict=True)]
        value = -(self.w * torch.stack(each)).sum() / self.T
        if case.likelihood == "regression":
            value -= self.w.sum() * (torch.logdet(self.noise) + case.outputs * log_2pi) / 2
        if case.likelihood == "heteroscedastic":
            value -= self.w.sum() * case.outputs * log_2pi / 4
        if case.likelihood == "poisson":
            value -= (self.w[:, None] * torch.lgamma(case.y + 1.0)).sum()
        return value

    def evidence(self) -> Tensor:
        mean = torch.tensor(np.broadcast_to(self.case.options["prior_mean"], (len(self.index),)).copy())
        scatter = (self.prior() * (self.case.theta[self.index] - mean).square()).sum()
        return self.log_likelihood() - (torch.logdet(self.P) - self.prior().log().sum() + scatter) / 2

    def functional_variance(self, X: Tensor, joint: bool = False) -> Tensor:
        J = torch.stack([self.jacobian(x) for x in X])
        if joint:
            return J.flatten(0, 1) @ self.covariance @ J.flatten(0, 1).T
        return torch.einsum("ncp,pq,ndq->ncd", J, self.covariance, J)

    def jacobian(self, x: Tensor) -> Tensor:
        return jacrev(self.outputs)(self.case.theta, x)[:, self.index]

    def variances(self, x: Tensor) -> Tensor:
        J = self.jacobian(x)
        return torch.einsum("cp,pq,cq->c", J, self.covariance, J)

    def probit(self, x: Tensor) -> Tensor:
        scaled = self.outputs(self.case.theta, x) / (1 + math.pi / 8 * self.variances(x)).sqrt()
        return scaled.softmax(0) if self.case.likelihood == "classification" else scaled.sigmoid()

    def log_density(self, theta: Tensor) -> Tensor:
        distance = theta - self.case.theta[self.index]
        constant = len(theta) * math.log(2 * math.pi)
        return (torch.logdet(self.P) - distance @ self.P @ distance - constant) / 2


def close(actual: Any, expected: Tensor) -> None:
    expected = expected.detach().numpy()
    assert np.shape(actual) == expected.shape
    assert np.abs(actual - expected).max() <= 1e-8 * np.abs(expected).max()


@pytest.mark.parametrize("seed", range(64))
def test_quantities_are_those_of_the_definitions(seed: int) -> None:
    case = Case(seed)
    expected = Definition(case)
    kept = expected.structured(expected.curvature()) if case.structure == "lowrank" else expected.P
    if torch.linalg.eigvalsh(kept).min() < -1e-12:
        with pytest.raises(NumericalError, match="definite"):
            case.fitted().log_marginal_likelihood()
        return
    own = case.fitted()
    close(own.log_likelihood, expected.log_likelihood())
    close(own.log_marginal_likelihood(), expected.evidence())
    close(own.posterior_variance, expected.covariance.diagonal())
    close(own.posterior_covariance, expected.covariance)
    X, rows = case.X_new, case.X_new.numpy()
    close(own.functional_variance(rows), expected.functional_variance(X))
    close(own.functional_variance(rows, joint=True), expected.functional_variance(X, joint=True))
    near = case.theta[case.index] + 0.1 * torch.arange(len(case.index)).cos()
    close(own.log_prob(near.numpy()), expected.log_density(near))
    gradients = own.input_gradients(rows)
    close(gradients["mean"], by_rows(lambda x: expected.outputs(case.theta, x), X))
    close(gradients["variance"], by_rows(expected.variances, X))
    if case.likelihood in LOGITS:
        close(own.predict(rows, link_approx="probit").probabilities, torch.stack([expected.probit(x) for x in X]))
        close(gradients["probabilities"], by_rows(expected.probit, X))


def by_rows(function: Callable[[Tensor], Tensor], X: Tensor) -> Tensor:
    """The derivative of a function of a row at each of the rows."""
    return torch.stack([jacrev(function)(x) for x in X])
