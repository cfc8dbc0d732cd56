"""58: every argument of every public function refuses what is of another kind, by a typed error that is short.

The public surface is read from the package, so that a new function or argument is covered by itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import polylaplace
from argument_audit import NATIVE, OF_SKLEARN, failures, methods, required, with_signature_of
from polylaplace import Client, Laplace, LaplaceClassifier, LaplaceError, LaplaceRegressor, Mixture, merge

RNG = np.random.default_rng(0)
NETWORK = {"0.weight": RNG.normal(size=(3, 2)), "0.bias": RNG.normal(size=3)}
X = RNG.normal(size=(30, 2))
Y = np.arange(30) % 3
TARGETS = RNG.normal(size=(30, 3))


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Words that are tried as paths make files."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def fitted() -> Laplace:
    return Laplace(NETWORK, "classification", "all", "full", prior_precision=1.0).fit(X, Y)


def test_the_constructor_of_laplace() -> None:
    def fit(**given: Any) -> None:
        Laplace(**given).fit(X, Y)

    call = with_signature_of(Laplace, fit)
    assert list(failures("Laplace", call, {"model": NETWORK, "likelihood": "classification"}, NATIVE)) == []


@pytest.mark.parametrize("name", [name for name in methods(Laplace) if name != "from_bytes"] + ["__call__"])
def test_methods_of_laplace(name: str, fitted: Laplace, tmp_path: Path) -> None:
    known = {
        "X": X,
        "y": Y,
        "rows": 10,
        "theta": np.zeros(9),
        "path": tmp_path / "file",
        "names": ["a", "b", "c"],
        "options": {"likelihood": "classification"},
        "likelihood": "classification",
        "class_weight": None,
    }
    if name == "fit_merged":
        known["partial"] = fitted.fit_partial(X, Y)
    if name == "optimize_prior_precision":
        del known["X"], known["y"]

    def call(**given: Any) -> Any:
        # Of one that is fitted anew where the method changes it.
        keeps = name not in ("use_likelihood", "use_class_weight", "name_classes")
        la = fitted if keeps else Laplace(NETWORK, "classification", prior_precision=1.0).fit(X, Y)
        return getattr(la, name)(**given)

    method = getattr(fitted, name)
    call = with_signature_of(method, call)
    assert list(failures(name, call, required(method, known), NATIVE)) == []


def test_functions_and_other_classes(fitted: Laplace, tmp_path: Path) -> None:
    blob, part = fitted.to_bytes(), fitted.fit_partial(X, Y)

    def connected(**given: Any) -> None:
        with Client(**given) as client:
            client.ping()

    client = polylaplace.default_client()
    calls: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
        "load": (polylaplace.load, {"path": blob}),
        "from_bytes": (Laplace.from_bytes, {"data": blob}),
        "merge": (merge, {"partials": [part]}),
        "doctor": (polylaplace.doctor, {"file": (tmp_path / "said").open("w")}),
        "default_client": (polylaplace.default_client, {}),
        "Mixture": (Mixture, {"members": [fitted]}),
        "Mixture.predict": (Mixture([fitted]).predict, {"X": X}),
        "Partial.from_bytes": (polylaplace.Partial.from_bytes, {"data": part.to_bytes()}),
        "Client": (with_signature_of(Client, connected), {}),
        "Client.call": (client.call, {"method": "ping"}),
    }
    found = [line for name, (call, given) in calls.items() for line in failures(name, call, given, NATIVE)]
    assert found == []
    others = {"Laplace", "LaplaceClassifier", "LaplaceRegressor", "Partial"}
    exported = {name for name in polylaplace.__all__ if callable(getattr(polylaplace, name))}
    # Errors, what answers consist of, and the pattern for likelihoods of one's own.
    values = {"Choice", "Comparison", "Figures", "Forecast", "KronFactors", "BlockDiagonal", "LeaveOneOutScore"}
    values |= {"LowRank", "Prediction", "Progress", "OwnLikelihood"}
    values |= {name for name in exported if dataclasses.is_dataclass(getattr(polylaplace, name))}
    errors = {name for name in exported if name.endswith(("Error", "Warning"))}
    assert exported - set(calls) - others - values - errors == set()


@pytest.mark.parametrize(("cls", "labels"), [(LaplaceClassifier, Y), (LaplaceRegressor, TARGETS)])
def test_estimators(cls: Any, labels: Any, tmp_path: Path) -> None:
    def fit_one(**given: Any) -> None:
        cls(**given).fit(X, labels)

    found = list(failures(cls.__name__, with_signature_of(cls, fit_one), {"model": NETWORK}, NATIVE))
    estimator = cls(NETWORK, subset_of_weights="last_layer", hessian_structure="full").fit(X, labels)
    known = {"X": X, "y": labels, "path": tmp_path / "file"}
    for name in methods(cls):
        if name.startswith(("set_", "get_")) or name in ("fit", "score"):
            continue
        method = getattr(estimator, name)
        given = {} if name == "to_onnx" else required(method, known)
        found += list(failures(f"{cls.__name__}.{name}", method, given, OF_SKLEARN))
    found += list(failures(f"{cls.__name__}.fit", cls(NETWORK).fit, {"X": X, "y": labels}, OF_SKLEARN))
    # A seed of scikit-learn's own kind is checked by it.
    assert [line for line in found if "random_state" not in line] == []


@pytest.mark.parametrize("name", [*methods(Laplace), "__init__", "__call__"])
def test_a_misspelt_argument_is_refused(name: str, fitted: Laplace) -> None:
    method = Laplace if name == "__init__" else getattr(fitted, name)
    with pytest.raises(TypeError, match="sample_wieght"):
        method(sample_wieght=1)


SUBNETWORKS = [
    {"count": 2, "by": "magnitude", "sed": 1},
    {"conut": 2},
    {"count": -1, "by": "magnitude"},
    {"count": "2", "by": "magnitude"},
    {"count": 2.5, "by": "magnitude"},
    {"count": float("nan"), "by": "random"},
    {"count": 2, "by": 5},
    {"count": 2, "by": "size"},
    {"count": 2},
    {"count": 2, "by": "random", "seed": "x"},
    {"count": 2, "by": "random", "seed": -1},
    {},
    [],
    [0.5],
    [-1],
    [99],
    ["nope"],
    np.ones(9, bool),
    object(),
    5j,
]


@pytest.mark.parametrize("choice", SUBNETWORKS, ids=str)
def test_a_subnetwork_is_refused(choice: Any) -> None:
    def fit() -> None:
        Laplace(NETWORK, "classification", "subnetwork", subnetwork_indices=choice).fit(X, Y)

    with pytest.raises(LaplaceError) as caught:
        fit()
    assert caught.value.code != "INTERNAL"
