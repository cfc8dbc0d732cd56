"""torch modules, skorch nets and exported files as models of the Python client: the same outputs as torch computes."""

from __future__ import annotations

import io
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from polylaplace import GraphError, Laplace, LaplaceClassifier, LaplaceRegressor
from torch import nn

torch.manual_seed(0)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 6))
Y = RNG.integers(0, 3, 40)
IMAGES = RNG.normal(size=(20, 1, 8, 8))


def outputs(module: nn.Module, x: Any) -> np.ndarray:
    module.eval()
    parameter = next(module.parameters())
    with torch.no_grad():
        return module(torch.as_tensor(x).to(parameter.dtype)).numpy()


def check(
    module: nn.Module, x: Any, y: Any, *, tolerance: float = 1e-9, subset: str = "last_layer", **options: Any
) -> Laplace:
    """Fits and compares the outputs with torch's."""
    la = Laplace(module, "classification", subset, **options).fit(x, y)
    wanted = outputs(module, x)
    np.testing.assert_allclose(la.predict(x).mean, wanted, rtol=tolerance, atol=tolerance * np.abs(wanted).max())
    return la


SEQUENTIAL = {
    "tanh": lambda: nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)),
    "nested": lambda: nn.Sequential(
        nn.Sequential(nn.Linear(6, 8), nn.ReLU()),
        nn.Sequential(nn.Sequential(nn.Linear(8, 5), nn.GELU())),
        nn.Linear(5, 3),
    ),
    "named": lambda: nn.Sequential(),
    "dropout": lambda: nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.SiLU(), nn.Linear(8, 3, bias=False)),
    "normalised": lambda: nn.Sequential(
        nn.Linear(6, 8), nn.LayerNorm(8), nn.ELU(0.7), nn.BatchNorm1d(8), nn.LeakyReLU(0.2), nn.Linear(8, 3)
    ),
    "softplus": lambda: nn.Sequential(nn.Linear(6, 8), nn.Softplus(beta=2), nn.Linear(8, 3)),
    "one activation in two places": lambda: one_activation(nn.SiLU()),
}


def one_activation(act: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), act, nn.Sequential(nn.Linear(8, 5), act), act, nn.Linear(5, 3))


def sequential(name: str) -> nn.Module:
    module = SEQUENTIAL[name]()
    if name == "named":
        module.add_module("first", nn.Linear(6, 8))
        module.add_module("act", nn.Tanh())
        module.add_module("head", nn.Linear(8, 3))
    if name == "normalised":
        module.train()
        module(torch.as_tensor(X, dtype=torch.float32))
    return module.double()


@pytest.mark.parametrize("name", SEQUENTIAL)
@pytest.mark.parametrize("subset", ["last_layer", "all"])
def test_sequentials_are_read_directly(name: str, subset: str) -> None:
    module = sequential(name)
    la = check(module, X, Y, subset=subset)
    parameters = torch.nn.utils.parameters_to_vector(module.parameters()).detach().numpy()
    np.testing.assert_array_equal(la.mean, parameters[-la.n_params :], "in torch's order")
    assert la.summary["precision"] == "float64"


def test_single_precision_stays_single() -> None:
    la = check(sequential("tanh").float(), X, Y, tolerance=1e-5)
    assert la.summary["precision"] == "float32"


def test_convolutions_are_read_directly() -> None:
    module = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, stride=2),
        nn.Tanh(),
        nn.AvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 3),
    ).double()
    check(module, IMAGES, Y[:20])
    flat = Laplace(module, "classification").fit(torch.as_tensor(IMAGES), torch.as_tensor(Y[:20]))
    np.testing.assert_allclose(flat.predict(IMAGES).mean, outputs(module, IMAGES), rtol=1e-9, atol=1e-9)


def test_no_code_of_a_sequential_is_run() -> None:
    module = sequential("tanh")

    def fail(*_: Any) -> None:
        raise AssertionError("the module's code was run")

    module.forward = fail  # type: ignore[method-assign]
    la = Laplace(module, "classification")
    # An instance with a forward of its own is not known to compute what its class does.
    with pytest.raises(GraphError, match="export"):
        la.fit(X, Y)
    plain = sequential("tanh")
    plain.__call__ = fail  # type: ignore[method-assign]
    Laplace(plain, "classification").fit(X, Y)


class Residual(nn.Module):
    """Has a forward of its own: only torch's export can tell what it computes."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 6)
        self.head = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x + torch.tanh(self.inner(x)))


def test_other_modules_go_through_the_onnx_export() -> None:
    module = Residual().double()
    module.train()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        la = check(module, X, Y, subset="all")
    assert la.n_params == sum(parameter.numel() for parameter in module.parameters())
    single = Residual()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(single, X.astype(np.float32), Y, tolerance=1e-5)
    single.train()
    Laplace(single, "classification").fit(X, Y)
    assert single.training, "the module is left in the mode that it was in"


class Impossible(nn.Module):
    """Cannot be exported."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("there is no way")


def test_a_failed_export_says_what_to_do() -> None:
    with warnings.catch_warnings(), pytest.raises(GraphError, match=r"export.*architecture=(.|\n)*") as caught:
        warnings.simplefilter("ignore")
        Laplace(Impossible(), "classification").fit(X, Y)
    assert "Impossible" in str(caught.value)


def test_files_that_torch_writes(tmp_path: Path) -> None:
    module = sequential("tanh")
    wanted = outputs(module, X)
    torch.save(module.state_dict(), tmp_path / "state.pt")
    layers = [{"type": "Linear", "name": "0"}, {"type": "Tanh"}, {"type": "Linear", "name": "2"}]
    buffer = io.BytesIO()
    torch.save(module.state_dict(), buffer)
    for model in (tmp_path / "state.pt", str(tmp_path / "state.pt"), buffer.getvalue(), module.state_dict()):
        la = Laplace(model, "classification", architecture=layers).fit(X, Y)
        np.testing.assert_allclose(la.predict(X).mean, wanted, rtol=1e-12)
    chain = Laplace(tmp_path / "state.pt", "classification", activation="tanh").fit(X, Y)
    np.testing.assert_allclose(chain.predict(X).mean, wanted, rtol=1e-12)


def test_loaders_and_tensors_are_data() -> None:
    module = sequential("tanh")
    dataset = torch.utils.data.TensorDataset(torch.as_tensor(X), torch.as_tensor(Y))
    loader = torch.utils.data.DataLoader(dataset, batch_size=7)
    la = Laplace(module, "classification").fit(loader)
    whole = Laplace(module, "classification").fit(torch.tensor(X, requires_grad=True), torch.as_tensor(Y))
    assert la.log_marginal_likelihood() == pytest.approx(whole.log_marginal_likelihood(), rel=1e-10)
    la.optimize_prior_precision(method="linearized")
    whole.optimize_prior_precision(method="linearized")
    np.testing.assert_allclose(la.prior_precision, whole.prior_precision, rtol=1e-8)
    assert la(torch.as_tensor(X[:3])).shape == (3, 3)


def test_estimators_around_torch_modules() -> None:
    classifier = LaplaceClassifier(sequential("tanh")).fit(X, np.array(["a", "b", "c"])[Y])
    assert set(classifier.predict(X)) <= {"a", "b", "c"}
    np.testing.assert_allclose(classifier.predict_proba(X).sum(axis=1), 1)
    regressor = LaplaceRegressor(nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1)).double()).fit(X, X[:, 0])
    mean, std = regressor.predict(X, return_std=True)
    assert mean.shape == std.shape == (40,)


def test_skorch_nets() -> None:
    import skorch

    net = skorch.NeuralNetClassifier(
        sequential("tanh").float(), max_epochs=3, lr=0.1, verbose=0, criterion=nn.CrossEntropyLoss, train_split=None
    )
    net.fit(X.astype(np.float32), Y.astype(np.int64))
    la = Laplace(net, "classification").fit(X, Y)
    np.testing.assert_allclose(la.predict(X).mean, outputs(net.module_, X), rtol=1e-4, atol=1e-5)
    estimator = LaplaceClassifier(net).fit(X.astype(np.float32), Y)
    assert estimator.network_ is net, "a fitted net is taken as it is"


def test_importing_the_client_does_not_import_torch() -> None:
    program = "import sys, polylaplace; polylaplace.Laplace; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
