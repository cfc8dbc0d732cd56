"""The parameters of a torch module are `module.parameters()`, as they are at every fit."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from polylaplace import GraphError, Laplace
from torch import nn

torch.manual_seed(1)


class Normalised(nn.Module):
    """Batch norms that an exporter would fold, biases of zeros that it would drop, equal tensors that it would merge."""

    def __init__(self) -> None:
        super().__init__()
        self.c1, self.b1 = nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.c2, self.b2 = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.group, self.plain, self.affine = (
            nn.GroupNorm(2, 4),
            nn.InstanceNorm2d(4),
            nn.InstanceNorm2d(4, affine=True),
        )
        self.head = nn.Linear(4, 3)
        nn.init.zeros_(self.c2.bias)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.relu(self.b1(self.c1(x)))
        h = h + torch.relu(self.b2(self.c2(h)))
        return self.head(torch.tanh(self.affine(self.plain(self.group(h)))).square().mean((2, 3)))


class Normed(nn.Module):
    """Weights that are made of other parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.utils.parametrizations.weight_norm(nn.Linear(6, 5))
        self.b = nn.utils.parametrizations.spectral_norm(nn.Linear(5, 5))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.c = nn.utils.weight_norm(nn.Linear(5, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.c(torch.tanh(self.b(torch.tanh(self.a(x)))))


class Tied(nn.Module):
    """One matrix in two places, and a layer that is never used."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.gru = nn.Embedding(7, 5), nn.GRU(5, 5, batch_first=True)
        self.unused, self.out = nn.Linear(3, 3), nn.Linear(5, 7, bias=False)
        self.out.weight = self.embedding.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.gru(self.embedding(x))[0][:, -1])


class Scalars(nn.Module):
    """Parameters of one number, a prompt of zeros, and a constant that is none."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.act, self.b = nn.Linear(6, 5), nn.PReLU(), nn.Linear(5, 3)
        self.scale, self.log_t = nn.Parameter(torch.tensor(1.0)), nn.Parameter(torch.tensor(0.5))
        self.prompt = nn.Parameter(torch.zeros(5))
        self.register_buffer("table", torch.linspace(1, 2, 5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(self.act(self.scale * self.a(x) + self.prompt) * self.table) / self.log_t.exp()


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.out = nn.LSTM(4, 3, batch_first=True, bidirectional=True), nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.lstm(x)[0][:, -1])


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True)
        self.encoder, self.norm, self.out = nn.TransformerEncoder(layer, 1), nn.LayerNorm(8), nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.norm(self.encoder(x).mean(1)))


MODULES: dict[str, tuple[Any, tuple[int, ...]]] = {
    "normalised": (Normalised, (3, 4, 4)),
    "parametrized": (Normed, (6,)),
    "tied": (Tied, (4,)),
    "scalars": (Scalars, (6,)),
    "recurrent": (Recurrent, (3, 4)),
    "attention": (Attention, (4, 8)),
}


def made(name: str) -> tuple[nn.Module, torch.Tensor, np.ndarray]:
    cls, shape = MODULES[name]
    module = cls().double().eval()
    rows = torch.randint(0, 7, (12, *shape)) if name == "tied" else torch.randn(12, *shape, dtype=torch.float64)
    classes = module(rows[:1]).shape[1]
    return module, rows, np.arange(12) % classes


def theta(module: nn.Module) -> np.ndarray:
    return nn.utils.parameters_to_vector(module.parameters()).detach().numpy()


@pytest.mark.parametrize("name", MODULES)
def test_the_parameters_are_those_of_the_module(name: str) -> None:
    module, x, y = made(name)
    la = Laplace(module, "classification", "all", "diag").fit(x, y)
    np.testing.assert_array_equal(la.mean, theta(module))
    names = [parameter["name"] for parameter in la.summary["parameters"]]
    assert names == [name for name, _ in module.named_parameters()]
    with torch.no_grad():
        np.testing.assert_allclose(la.predict(x).mean, module(x).numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["normalised", "parametrized", "tied", "scalars", "attention"])
def test_variances_are_those_of_autograd(name: str) -> None:
    module, x, y = made(name)
    la = Laplace(module, "classification", "all", "full").fit(x, y)
    parameters = list(module.parameters())

    def row(output: torch.Tensor) -> torch.Tensor:
        parts = torch.autograd.grad(output, parameters, retain_graph=True, allow_unused=True)
        return torch.cat(
            [torch.zeros(p.numel()) if g is None else g.reshape(-1) for p, g in zip(parameters, parts, strict=True)]
        )

    f = module(x)
    jacobian = torch.stack([torch.stack([row(output) for output in outputs]) for outputs in f]).double()
    p = torch.softmax(f, -1).detach()
    root = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    hessian = torch.einsum("ncp,ncd,ndq->pq", jacobian, root, jacobian)
    covariance = torch.linalg.inv(hessian + torch.eye(len(hessian)).double())
    wanted = torch.einsum("ncp,pq,ncq->nc", jacobian, covariance, jacobian)
    np.testing.assert_allclose(la.predict(x).variance, wanted.numpy(), rtol=1e-6)


@pytest.mark.parametrize("name", ["normalised", "scalars"])
def test_tensors_are_read_again_at_every_fit(name: str) -> None:
    module, x, y = made(name)
    la = Laplace(module, "classification", "all", "diag")
    for _ in range(3):
        la.fit(x, y)
        np.testing.assert_array_equal(la.mean, theta(module))
        with torch.no_grad():
            for value in module.parameters():
                value.data.mul_(1.1).add_(0.01)
            for value in module.buffers():
                if value.is_floating_point():
                    value.data.mul_(1.2)


def test_a_sequential_is_read_again_too() -> None:
    module = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    x, y = torch.randn(10, 6, dtype=torch.float64), np.arange(10) % 3
    la = Laplace(module, "classification", "all", "diag")
    for _ in range(3):
        la.fit(x, y)
        np.testing.assert_array_equal(la.mean, theta(module))
        module[0].weight.data.add_(0.5)
    module[2].weight = nn.Parameter(module[2].weight.detach() * 2)
    np.testing.assert_array_equal(la.fit(x, y).mean, theta(module))


def test_the_module_is_left_as_it_was() -> None:
    module, x, y = made("normalised")
    module.train()
    module.b1.eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    modes = [part.training for part in module.modules()]
    Laplace(module, "classification").fit(x, y)
    assert [part.training for part in module.modules()] == modes
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_frozen_parameters_take_no_part() -> None:
    for module, x, y in (
        made("scalars"),
        (nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3)).double(), None, None),
    ):
        x = torch.randn(12, 6, dtype=torch.float64) if x is None else x
        first = next(module.children())
        first.requires_grad_(False)
        la = Laplace(module, "classification", "all", "diag").fit(x, np.arange(12) % 3)
        trained = [value for value in module.parameters() if value.requires_grad]
        np.testing.assert_array_equal(la.mean, nn.utils.parameters_to_vector(trained).detach().numpy())
        chosen = Laplace(module, "classification", "all", "diag", parameters="*weight").fit(x, np.arange(12) % 3)
        weights = [value for name, value in module.named_parameters() if name.endswith("weight")]
        np.testing.assert_array_equal(chosen.mean, nn.utils.parameters_to_vector(weights).detach().numpy())


class LowRank(nn.Module):
    """A layer with an adapter of low rank (LoRA)."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.base = layer
        self.lora_A = nn.Parameter(torch.randn(2, layer.in_features) / 3)
        self.lora_B = nn.Parameter(torch.randn(layer.out_features, 2) / 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.base(x) + x @ self.lora_A.T @ self.lora_B.T * 0.5


def test_adapters_alone() -> None:
    module = nn.Sequential(LowRank(nn.Linear(6, 5)), nn.Tanh(), LowRank(nn.Linear(5, 3))).double()
    x, y = torch.randn(12, 6, dtype=torch.float64), np.arange(12) % 3
    adapters = [value for name, value in module.named_parameters() if "lora" in name]
    wanted = nn.utils.parameters_to_vector(adapters).detach().numpy()
    for options in ({"parameters": "*lora_*"}, {"freeze": "*base*"}):
        la = Laplace(module, "classification", "all", "kron", **options).fit(x, y)
        np.testing.assert_array_equal(la.mean, wanted)
    last = Laplace(module, "classification", "last_layer", "full", last_layer_name="0").fit(x, y)
    assert last.n_params < sum(value.numel() for value in module.parameters())


def test_wrapped_modules() -> None:
    module, x, y = made("scalars")
    wanted = Laplace(module, "classification").fit(x, y)(x)
    for wrapped in (torch.compile(module), nn.DataParallel(module)):
        np.testing.assert_array_equal(Laplace(wrapped, "classification").fit(x, y)(x), wanted)
    module.compile()
    np.testing.assert_array_equal(Laplace(module, "classification").fit(x, y)(x), wanted)


class Changing(nn.Module):
    """Computes something else while it is exported."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.a(x) * (2 if torch.jit.is_tracing() else 1)


def test_an_export_with_other_outputs_is_refused() -> None:
    x, y = torch.randn(12, 6), np.arange(12) % 3
    with pytest.raises(GraphError, match="differs from that of the network itself"):
        Laplace(Changing(), "classification").fit(x, y)


def test_a_parametrization_that_cannot_be_exported_is_named_with_a_way_out() -> None:
    class Largest(nn.Module):
        def forward(self, weight: torch.Tensor) -> torch.Tensor:
            return weight / torch.linalg.matrix_norm(weight, 2)

    module = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 3)).eval()
    nn.utils.parametrize.register_parametrization(module[0], "weight", Largest())
    x, y = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32), np.arange(9) % 3
    with pytest.raises(GraphError, match="'0.weight' by Largest.*remove_parametrizations") as error:
        Laplace(module, "classification").fit(x, y)
    advised = str(error.value).split("tensors: ")[1].split(" makes one")[0].split(". ", 1)[1]
    eval(advised, {"torch": torch, "module": module})
    fitted = Laplace(module, "classification", subset_of_weights="all", hessian_structure="full").fit(x, y)
    assert fitted.n_params == sum(each.numel() for each in module.parameters())
