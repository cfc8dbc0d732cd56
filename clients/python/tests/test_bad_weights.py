"""51: NaN and infinity in weights are refused by the tensor's name and the element, whatever kind of network it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from polylaplace import DataError, Laplace, LaplaceError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 2))
Y = np.arange(20) % 3


def dictionary(bad: float) -> Any:
    return {"0.weight": RNG.normal(size=(3, 2)), "0.bias": np.array([0.0, bad, 0.0])}


def mlp(bad: float) -> Any:
    network = MLPClassifier((4,), max_iter=2, random_state=0).fit(X, Y)
    network.intercepts_[-1][1] = bad
    return network


def pipeline(bad: float) -> Any:
    network = make_pipeline(StandardScaler(), MLPClassifier((4,), max_iter=2, random_state=0)).fit(X, Y)
    network[-1].coefs_[0][1, 2] = bad
    return network


def scaler(bad: float) -> Any:
    network = make_pipeline(StandardScaler(), MLPClassifier((4,), max_iter=2, random_state=0)).fit(X, Y)
    network[0].scale_[1] = bad
    return network


def columns(bad: float) -> Any:
    """The step is two levels within another one."""
    inner = make_pipeline(StandardScaler(), MinMaxScaler())
    outer = ColumnTransformer([("scaled", inner, [1, 0])])
    network = make_pipeline(outer, MLPClassifier((4,), max_iter=2, random_state=0)).fit(X, Y)
    network[0].named_transformers_["scaled"][0].scale_[1] = bad
    return network


#: By kind of network: what makes it, and the tensor that is named.
KINDS: dict[str, tuple[Callable[[float], Any], str, int]] = {
    "a dictionary": (dictionary, "0.bias", 1),
    "a scikit-learn MLP": (mlp, "intercepts", 1),
    "a Pipeline's MLP": (pipeline, "coefs", 6),
    "a Pipeline's scaler": (scaler, "scale_", 1),
    "a ColumnTransformer's Pipeline's scaler": (columns, "scale_", 1),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", KINDS)
def test_51_a_weight_that_is_no_number_is_named(kind: str, bad: float) -> None:
    make, name, element = KINDS[kind]
    network = make(bad)
    with pytest.raises(LaplaceError) as caught:
        Laplace(network, "classification").fit(X, Y)
    assert caught.value.code in ("NOT_FINITE", "UNTRUSTED_INPUT")
    assert name in str(caught.value)
    assert f"element {element}" in str(caught.value)


def test_51_a_scaler_is_a_data_error() -> None:
    with pytest.raises(DataError, match="scale_ of the step StandardScaler holds inf at element 1"):
        Laplace(scaler(np.inf), "classification").fit(X, Y)
