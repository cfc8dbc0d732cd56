"""skorch's networks inside of scikit-learn's objects: the posterior's point prediction is the object's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from polylaplace import Laplace, LaplaceClassifier
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier, NeuralNetRegressor
from skorch.callbacks import EarlyStopping, EpochScoring, LRScheduler
from torch import nn

pytestmark = pytest.mark.filterwarnings("ignore")
RNG = np.random.default_rng(0)
X = (RNG.normal(size=(60, 4)) * [1.0, 20.0, 0.1, 3.0] + [5.0, 0.0, 20.0, -1.0]).astype(np.float32)
CENTRED = (X - X.mean(axis=0)) / X.std(axis=0)
Y = ((CENTRED[:, 0] + CENTRED[:, 1] > 0).astype(int) + (CENTRED[:, 2] > 1)).astype(np.int64)
TARGET = (100 + 5 * CENTRED[:, [0]] - 3 * CENTRED[:, [3]]).astype(np.float32)


class Net(nn.Module):
    """With a forward of its own; its outputs are logits, or probabilities as skorch's default loss wants them."""

    def __init__(self, outputs: int = 3, softmax: bool = False) -> None:
        super().__init__()
        self.body, self.head, self.softmax = nn.Linear(4, 6), nn.Linear(6, outputs), softmax

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.head(torch.tanh(self.body(x)))
        return torch.softmax(z, -1) if self.softmax else z


def classifier(**more: Any) -> Any:
    return NeuralNetClassifier(Net, criterion=nn.CrossEntropyLoss, max_epochs=3, verbose=0, **more)


CLASSIFIERS = {
    "alone": classifier,
    "with callbacks": lambda: classifier(callbacks=[EarlyStopping(), EpochScoring("accuracy"), LRScheduler()]),
    "probabilities": lambda: NeuralNetClassifier(Net, module__softmax=True, max_epochs=3, verbose=0),
    "pipeline": lambda: make_pipeline(StandardScaler(), classifier()),
    "search": lambda: GridSearchCV(
        make_pipeline(StandardScaler(), classifier()), {"neuralnetclassifier__lr": [0.1, 0.01]}, cv=2
    ),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers(name: str) -> None:
    model = CLASSIFIERS[name]().fit(X, Y)
    la = Laplace(model, "classification", "all", "diag", prior_precision=1e12).fit(X, Y)
    assert np.abs(la(X) - model.predict_proba(X)).max() < 1e-5
    own = LaplaceClassifier(model, prior_precision=1e12, subset_of_weights="all", hessian_structure="diag").fit(X, Y)
    assert np.abs(own.predict_proba(X) - model.predict_proba(X)).max() < 1e-5


def test_regressions() -> None:
    network = NeuralNetRegressor(Net, module__outputs=1, max_epochs=3, verbose=0)
    pipe = make_pipeline(StandardScaler(), network)
    for model in (pipe, TransformedTargetRegressor(pipe, transformer=StandardScaler())):
        model.fit(X, TARGET)
        la = Laplace(model, "regression", "all", "diag", prior_precision=1e12).fit(X, TARGET)
        assert np.allclose(la.predict(X).mean.squeeze(), model.predict(X).squeeze(), rtol=1e-5, atol=1e-4)
