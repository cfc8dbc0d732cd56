"""51: NaN and infinity in the weights of a torch module, a skorch network and a Keras model are refused by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

os.environ.setdefault("KERAS_BACKEND", "torch")

from polylaplace import Laplace, LaplaceError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 2)).astype(np.float32)
Y = np.arange(20) % 3


def module(bad: float) -> Any:
    network = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.ReLU(), torch.nn.Linear(4, 3))
    with torch.no_grad():
        network[2].bias[1] = bad
    return network


def skorch_network(bad: float) -> Any:
    from skorch import NeuralNetClassifier

    return NeuralNetClassifier(module(bad), criterion=torch.nn.CrossEntropyLoss, max_epochs=0).initialize()


def keras_model(bad: float) -> Any:
    import keras

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4, "relu"), keras.layers.Dense(3, name="head")])
    kernel, bias = model.get_layer("head").get_weights()
    bias[1] = bad
    model.get_layer("head").set_weights([kernel, bias])
    return model


#: By kind of network: what makes it, and the tensor that is named.
KINDS: dict[str, tuple[Callable[[float], Any], str]] = {
    "a torch module": (module, "2.bias"),
    "a skorch network": (skorch_network, "2.bias"),
    "a Keras model": (keras_model, "head"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", KINDS)
def test_51_a_weight_that_is_no_number_is_named(kind: str, bad: float) -> None:
    make, name = KINDS[kind]
    network = make(bad)
    with pytest.raises(LaplaceError) as caught:
        Laplace(network, "classification").fit(X, Y)
    assert caught.value.code in ("NOT_FINITE", "UNTRUSTED_INPUT"), caught.value
    assert name in str(caught.value)
    assert "element 1" in str(caught.value)
