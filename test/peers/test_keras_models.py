"""Keras models as objects: fitted as they are, with the parameters that they have."""

import os
import warnings

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy
import pytest
import torch
from keras import layers
from polylaplace import Laplace, LaplaceClassifier, LaplaceError, LaplaceWarning


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


def fitted(model, x, n_classes=3):
    y = numpy.arange(
        len(x if not isinstance(x, (list, dict)) else next(iter(x.values() if isinstance(x, dict) else x)))
    )
    return Laplace(model, "classification", prior_precision=1.0).fit(x, y % n_classes)


def test_outputs_that_differ_are_refused():
    # torch's backend repeats the border where the others average without it.
    x = numpy.random.default_rng(0).standard_normal((6, 5, 7, 2)).astype("float32")
    average = layers.AveragePooling2D(3, 3, padding="same")
    model = keras.Sequential([keras.Input((5, 7, 2)), average, layers.Flatten(), layers.Dense(3)])
    with pytest.raises(LaplaceError, match="differs from that of the network itself.*KERAS_BACKEND"):
        fitted(model, x)


def test_a_layer_that_computes_otherwise_is_noticed():
    model, x, _ = classifier()
    model.layers[0].activation = lambda values: keras.ops.tanh(2 * values)
    model.layers[0].get_config = lambda: {**layers.Dense(6, activation="tanh").get_config(), "name": "dense"}
    with pytest.raises(LaplaceError, match="differs from that of the network itself"):
        fitted(model, x)


def test_several_inputs_by_place_and_by_name():
    numbers, ids = keras.Input((3,), name="numbers"), keras.Input((2,), dtype="int32", name="ids")
    joined = layers.Concatenate()([numbers, layers.Flatten()(layers.Embedding(5, 2)(ids))])
    model = keras.Model({"n": numbers, "i": ids}, layers.Dense(3, activation="softmax")(joined))
    random = numpy.random.default_rng(1)
    x = {"numbers": random.standard_normal((8, 3)).astype("float32"), "ids": random.integers(0, 5, (8, 2))}
    whole = numpy.asarray(keras.ops.convert_to_numpy(model({"n": x["numbers"], "i": x["ids"]})))
    for given in (x, {"ids": x["ids"], "numbers": x["numbers"]}):
        mean = fitted(model, given).predict(given).mean
        numpy.testing.assert_allclose(numpy.exp(mean) / numpy.exp(mean).sum(1, keepdims=True), whole, atol=1e-5)


def test_half_precision_is_not_compared():
    model = keras.Sequential([keras.Input((5,)), layers.Dense(3, dtype="mixed_bfloat16")])
    fitted(model, numpy.random.default_rng(2).standard_normal((6, 5)).astype("float32"))


RANDOM = numpy.random.default_rng(0)


def numbers(value):
    return numpy.asarray(keras.ops.convert_to_numpy(value))


class Trained(keras.Model):
    """A functional network with a step of training of its own."""

    def train_step(self, data):
        raise NotImplementedError


class Coded(keras.Model):
    """A network of which only its code says what it computes."""

    def __init__(self):
        super().__init__()
        self.last = layers.Dense(3)

    def call(self, rows):
        return self.last(rows)


def test_a_class_of_ones_own_around_layers_is_read_and_one_of_code_is_refused():
    x, y = RANDOM.normal(size=(20, 6)).astype("float32"), numpy.arange(20) % 3
    rows = keras.Input((6,))
    model = Trained(rows, layers.Dense(3)(rows))
    numpy.testing.assert_allclose(
        Laplace(model, "classification").fit(x, y).predict(x).mean, numbers(model(x)), atol=1e-5
    )
    coded = Coded()
    coded(x)
    with pytest.raises(LaplaceError, match=r"Coded computes by Python code.*format=\"onnx\""):
        Laplace(coded, "classification").fit(x, y)


def test_lengths_that_a_model_leaves_open_are_those_of_the_data():
    x, y = RANDOM.normal(size=(12, 5, 4)).astype("float32"), numpy.arange(12) % 3
    model = keras.Sequential(
        [keras.Input((None, 4)), layers.Conv1D(3, 2, padding="causal"), layers.GlobalMaxPooling1D(), layers.Dense(3)]
    )
    numpy.testing.assert_allclose(
        Laplace(model, "classification").fit(x, y).predict(x).mean, numbers(model(x)), atol=1e-5
    )


def test_a_mask_of_one_of_two_joined_values_and_outputs_by_their_names():
    tokens, y = RANDOM.integers(0, 9, (20, 5)), numpy.arange(20) % 3
    given = keras.Input((5,))
    both = [layers.Embedding(9, 4, mask_zero=True)(given), layers.Embedding(9, 3)(given)]
    last = layers.LSTM(4)(layers.Concatenate()(both))
    model = keras.Model(given, [layers.Dense(3, name="kinds")(last), layers.Dense(2, name="others")(last)])
    la = Laplace(model, "classification", output="kinds").fit(tokens, y)
    numpy.testing.assert_allclose(la.predict(tokens).mean, numbers(model(tokens)[0]), atol=1e-5)
    with pytest.raises(LaplaceError, match="kinds, others"):
        Laplace(model, "classification").fit(tokens, y)


def variances(model, x, prior):
    """Functional variances of a full posterior over `model.trainable_weights`, from torch's derivatives."""
    weights = [each.value for each in model.trainable_weights]
    logits = model(x)
    rows = []
    for logit in logits.flatten():
        slopes = torch.autograd.grad(logit, weights, retain_graph=True, allow_unused=True)
        rows.append(torch.cat([numbers_of(slope, weight) for slope, weight in zip(slopes, weights, strict=True)]))
    jacobian = torch.stack(rows).double().reshape(*logits.shape, -1)
    p = logits.detach().double().softmax(-1)
    hessian = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    precision = torch.einsum("ncp,ncd,ndq->pq", jacobian, hessian, jacobian)
    precision += prior * torch.eye(len(precision), dtype=torch.float64)
    return torch.einsum("ncp,pq,ncq->nc", jacobian, precision.inverse(), jacobian).numpy()


def numbers_of(slope, weight):
    return (torch.zeros_like(weight) if slope is None else slope).flatten()


def with_adapter(layer):
    layer.enable_lora(2, lora_alpha=3.0)
    for factor in layer._trainable_variables[-2:]:
        factor.assign(0.4 * RANDOM.normal(size=factor.shape))


def attention(x):
    wide = layers.Dense(6)(x)
    return layers.MultiHeadAttention(2, 3, name="own")(wide, wide)


ADAPTED = {
    "dense": ((4,), layers.Dense, {"units": 5, "activation": "tanh"}),
    "convolution": ((6, 6, 2), layers.Conv2D, {"filters": 4, "kernel_size": 3, "activation": "relu"}),
    "groups": ((6, 4), layers.Conv1D, {"filters": 4, "kernel_size": 3, "groups": 2}),
    "sums": ((5, 4), layers.EinsumDense, {"equation": "abc,cde->abde", "output_shape": (5, 2, 3), "bias_axes": "de"}),
    "table": ((5,), layers.Embedding, {"input_dim": 7, "output_dim": 3}),
}


@pytest.mark.parametrize("kind", [*ADAPTED, "attention", "head"])
def test_adapters_alone_learn_where_keras_has_them(kind):
    keras.utils.set_random_seed(5)
    shape, layer, options = ADAPTED.get(kind, ((5, 4), None, None))
    given = keras.Input(shape, dtype="int32" if kind == "table" else "float32")
    hidden = attention(given) if layer is None else layer(name="own", **options)(given)
    model = keras.Model(given, layers.Dense(3, name="head")(layers.Flatten()(hidden)))
    own = model.get_layer("own")
    for each in [own._query_dense, own._value_dense] if layer is None else [own]:
        with_adapter(each)
    if kind == "head":
        with_adapter(model.get_layer("head"))
    x = RANDOM.integers(0, 7, (9, *shape)) if kind == "table" else RANDOM.normal(size=(9, *shape)).astype("float32")
    la = Laplace(model, "classification", "all", "full", prior_precision=0.7).fit(x, numpy.arange(9) % 3)
    assert [each["size"] for each in la.summary["parameters"]] == [
        int(numpy.prod(each.shape)) for each in model.trainable_weights
    ]
    numpy.testing.assert_allclose(la.predict(x).mean, numbers(model(x)), atol=1e-5)
    numpy.testing.assert_allclose(la.predict(x).variance, variances(model, x, 0.7), rtol=1e-5)
    alone = Laplace(model, "classification", "all", "kron", parameters="*lora_*").fit(x, numpy.arange(9) % 3)
    assert alone.n_params == sum(
        int(numpy.prod(each.shape)) for each in model.trainable_weights if "lora_" in each.path
    )


def test_single_frozen_variables_are_no_parameters():
    keras.utils.set_random_seed(5)
    given = keras.Input((6, 4))
    norm, cell, own = layers.BatchNormalization(), layers.GRU(3), layers.MultiHeadAttention(2, 3)
    hidden = norm(given)
    model = keras.Model(given, layers.Dense(3)(cell(own(hidden, hidden))))
    norm.gamma.trainable = False
    cell.cell.bias.trainable = False
    own._key_dense.trainable = False
    x = RANDOM.normal(size=(9, 6, 4)).astype("float32")
    la = Laplace(model, "classification", "all", "full", prior_precision=0.7).fit(x, numpy.arange(9) % 3)
    assert la.n_params == sum(int(numpy.prod(each.shape)) for each in model.trainable_weights)
    numpy.testing.assert_allclose(la.predict(x).variance, variances(model, x, 0.7), rtol=1e-5)


def test_adapters_in_files_and_half_precision_are_told_and_quantised_layers_refused(tmp_path):
    x, y = RANDOM.normal(size=(20, 6)).astype("float32"), numpy.arange(20) % 3
    model = keras.Sequential([keras.Input((6,)), layers.Dense(5, name="wide"), layers.Dense(3)])
    model.layers[0].enable_lora(2)
    model.save(tmp_path / "adapted.keras")
    with pytest.warns(LaplaceWarning, match="LoRA.*'wide'.*model object"):
        Laplace(tmp_path / "adapted.keras", "classification").fit(x, y)
    mixed = keras.Sequential([keras.Input((6,)), layers.Dense(5, name="short", dtype="mixed_float16"), layers.Dense(3)])
    with pytest.warns(LaplaceWarning, match="half precision.*float32.*: 'short'\\."):
        Laplace(mixed, "classification").fit(x, y)
    whole = keras.Sequential([keras.Input((6,)), layers.Dense(3)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole.quantize("int8")
    with pytest.raises(LaplaceError, match="quantised.*float network"):
        Laplace(whole, "classification").fit(x, y)
