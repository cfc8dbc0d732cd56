"""Keras models as objects: fitted as they are, with the parameters that they have."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy
import pytest
from keras import layers
from polylaplace import Laplace, LaplaceClassifier, LaplaceError


def classifier():
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((5,)), layers.Dense(6, activation="tanh"), layers.Dense(3)])
    random = numpy.random.default_rng(0)
    x = random.standard_normal((60, 5)).astype("float32")
    y = numpy.argmax(x[:, :3] + 0.3 * random.standard_normal((60, 3)), axis=1)
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), optimizer="adam")
    model.fit(x, y, epochs=5, verbose=0)
    return model, x, y


def test_model_object():
    model, x, y = classifier()
    la = Laplace(model, "classification", subset_of_weights="all", hessian_structure="full").fit(x, y)
    assert la.n_params == model.count_params()
    logits = numpy.asarray(keras.ops.convert_to_numpy(model(x)))
    numpy.testing.assert_allclose(la.predict(x).mean, logits, atol=1e-5)


def test_estimator():
    model, x, y = classifier()
    probabilities = LaplaceClassifier(model).fit(x, y).predict_proba(x)
    numpy.testing.assert_allclose(probabilities.sum(1), 1)


def test_frozen_layers_have_no_parameters():
    model, x, y = classifier()
    model.layers[0].trainable = False
    la = Laplace(model, "classification", subset_of_weights="all", hessian_structure="diag").fit(x, y)
    assert la.n_params == 6 * 3 + 3


def test_own_layers_are_refused_by_name():
    class Dense(layers.Layer):
        def call(self, x):
            return 2 * x

    model = keras.Sequential([keras.Input((5,)), Dense(), layers.Dense(3)])
    with pytest.raises(LaplaceError, match="Python code and not a layer of Keras"):
        Laplace(model, "classification").fit(numpy.zeros((4, 5)), numpy.arange(4) % 3)


def test_model_without_weights_is_refused():
    with pytest.raises(LaplaceError, match="no weights yet"):
        Laplace(keras.Sequential([layers.Dense(3)]), "classification").fit(numpy.zeros((4, 5)), numpy.arange(4) % 3)
