"""What type checkers know of predictions: mypy says of a user's program what is wrong with it."""

from __future__ import annotations

import inspect
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from conftest import REPOSITORY
from polylaplace import ClassPrediction, Laplace, ObservationPrediction, Prediction, RegressionPrediction
from polylaplace._laplace import LaplaceOptions

PROGRAM = """
from __future__ import annotations

from typing import Any

from polylaplace import *
from polylaplace import Laplace, LaplaceRegressor, load

X: Any = [[0.0]]
y: Any = [0]
classes = Laplace("model.onnx", "classification", prior_precision=1.0).fit(X, y)
print(classes.predict(X).probabilities.shape, classes(X).shape)
numbers = Laplace("model.onnx", "regression", "all", "kron").fit(X, y)
print(numbers.predict(X).predictive_variance.shape, numbers(X)[1].shape)
counts = Laplace("model.onnx", "poisson").fit(X, y).optimize_prior_precision()
print(counts.predict(X).predictive_mean.shape)
mean, std = LaplaceRegressor("model.onnx").fit(X, y).predict(X, return_std=True)


def any_posterior(la: Laplace, likelihood: str) -> None:
    print(la.predict(X).mean.shape, Laplace("model.onnx", likelihood).predict(X).variance.shape)


any_posterior(numbers, "binary")
any_posterior(load("model.posterior"), "binary")
"""

#: A line of a program, and what mypy says of it.
WRONG = {
    "classes.predict(X).predictive_variance.shape": '"None" has no attribute "shape"',
    "numbers.predict(X).probabilities.shape": '"None" has no attribute "shape"',
    "counts.predict(X).probabilities.shape": '"None" has no attribute "shape"',
    "load('model.posterior').predict(X).probabilities.shape": '"None" of',
    "Laplace('model.onnx', 'regression', prior_precission=1.0)": "prior_precission",
    "wrong: str = LaplaceRegressor('model.onnx').predict(X, return_std=True)": "tuple[",
}


def test_mypy_knows_the_parts_of_each_likelihood(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    (tmp_path / "program.py").write_text(PROGRAM + "".join(f"{line}\n" for line in WRONG))
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "program.py"]
    environment = {**os.environ, "MYPYPATH": str(REPOSITORY / "clients" / "python" / "src")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    first = PROGRAM.count("\n") + 1
    errors = [line.split(":", 2) for line in done.stdout.splitlines() if ": error:" in line]
    assert {int(number) for _, number, _ in errors} == set(range(first, first + len(WRONG))), done.stdout
    for number, expected in enumerate(WRONG.values(), first):
        assert any(int(at) == number and expected in message for _, at, message in errors), done.stdout


def test_the_options_of_the_overloads_are_those_of_the_class() -> None:
    parameters = inspect.signature(Laplace.__init__).parameters.values()
    named = {
        parameter.name: parameter.annotation for parameter in parameters if parameter.kind == parameter.KEYWORD_ONLY
    }
    assert {name: annotation.__forward_arg__ for name, annotation in LaplaceOptions.__annotations__.items()} == named


@pytest.mark.filterwarnings("ignore::polylaplace.TrainingWarning")
def test_predictions_are_of_the_class_of_their_likelihood() -> None:
    x = np.random.default_rng(0).normal(size=(20, 2))
    expected = {
        "classification": (2, ClassPrediction),
        "binary": (1, ClassPrediction),
        "regression": (1, RegressionPrediction),
        "poisson": (1, ObservationPrediction),
    }
    for likelihood, (outputs, kind) in expected.items():
        network = {"0.weight": np.full((outputs, 2), 0.5), "0.bias": np.zeros(outputs)}
        y = np.arange(20) % 2
        prediction = (
            Laplace(network, likelihood).fit(x, y.reshape(-1, 1) if likelihood == "regression" else y).predict(x)
        )
        assert type(prediction) is kind
        assert isinstance(prediction, Prediction)
        assert (prediction.probabilities is None) == (kind is not ClassPrediction)
        assert (prediction.predictive_variance is None) == (kind is ClassPrediction)
        again = pickle.loads(pickle.dumps(prediction))
        np.testing.assert_array_equal(again.mean, prediction.mean)
