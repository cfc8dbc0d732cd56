"""Every standard layer of Keras, with its options, computes here what it computes in Keras; or is refused by name."""

import inspect
import json
import os
import pathlib
import subprocess
import sys

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy
import pytest
from keras import layers, ops

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Runner:
    """A Node process that reads one network after the other and runs it."""

    def __init__(self):
        self.process = subprocess.Popen(
            ["node", str(ROOT / "test" / "peers" / "run-keras.mjs")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip

    def __call__(self, path, *inputs):
        request = {"path": str(path), "inputs": [{"shape": x.shape, "data": x.ravel().tolist()} for x in inputs]}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=300)


@pytest.fixture(scope="module")
def run():
    runner = Runner()
    yield runner
    runner.close()


def one(shape, layer, integer=None):
    """A network of one layer."""

    def build():
        x = keras.Input(shape, dtype="int32" if integer else None)
        return keras.Model(x, layer()(x))

    build.integer = integer
    return build


SEQUENCE, IMAGE, VOLUME = (7, 4), (8, 9, 4), (5, 6, 7, 2)
FIRST = {"data_format": "channels_first"}
POINTWISE = {
    "Activation": [dict(activation=name) for name in (
        "relu", "relu6", "leaky_relu", "elu", "celu", "selu", "gelu", "sigmoid", "tanh", "softplus", "softsign", "silu",
        "mish", "exponential", "hard_sigmoid", "hard_silu", "softmax", "log_softmax", "hard_tanh", "hard_shrink",
        "soft_shrink", "tanh_shrink", "log_sigmoid", "sparse_sigmoid", "squareplus", "sparse_plus",
        "sparsemax", "glu", "linear")],
    "ReLU": [dict(), dict(max_value=0.5), dict(negative_slope=0.2, threshold=0.1)],
    "LeakyReLU": [dict(), dict(negative_slope=0.1)],
    "ELU": [dict(), dict(alpha=0.5)],
    "PReLU": [dict(), dict(shared_axes=[1])],
    "Softmax": [dict(), dict(axis=1), dict(axis=[1, 2])],
    "Dense": [dict(units=3), dict(units=3, use_bias=False, activation="tanh")],
    "EinsumDense": [dict(equation="abc,cd->abd", output_shape=(None, 5), bias_axes="d"),
                    dict(equation="...x,xy->...y", output_shape=3, activation="relu"),
                    dict(equation="abc,bcd->ad", output_shape=(6,), bias_axes="d")],
    "BatchNormalization": [dict(), dict(axis=1), dict(scale=False), dict(center=False, epsilon=0.1)],
    "LayerNormalization": [dict(), dict(axis=[1, 2]), dict(scale=False, center=False)],
    "GroupNormalization": [dict(groups=2), dict(groups=-1), dict(groups=1, scale=False), dict(groups=7, axis=1)],
    "RMSNormalization": [dict(), dict(axis=[1, 2])],
    "UnitNormalization": [dict(), dict(axis=1), dict(axis=[1, 2])],
    "Rescaling": [dict(scale=2.0), dict(scale=[1.0, 2.0, 3.0, 4.0], offset=[0.5] * 4)],
    "Normalization": [dict(mean=[1.0, 2.0, 3.0, 4.0], variance=[1.0, 4.0, 9.0, 2.0]),
                      dict(mean=2.0, variance=3.0, axis=None), dict(mean=2.0, variance=3.0, axis=None, invert=True)],
    "Discretization": [dict(bin_boundaries=[-0.5, 0.0, 0.7])],
    "Flatten": [dict(), FIRST],
    "Reshape": [dict(target_shape=(4, 7)), dict(target_shape=(-1, 2))],
    "Permute": [dict(dims=(2, 1))],
    "Identity": [dict()],
    "ActivityRegularization": [dict(l2=0.1)],
    "Dropout": [dict(rate=0.5)], "AlphaDropout": [dict(rate=0.5)], "GaussianDropout": [dict(rate=0.5)],
    "GaussianNoise": [dict(stddev=1.0)], "SpatialDropout1D": [dict(rate=0.5)],
    "Masking": [dict(mask_value=0.0)],
    "SimpleRNN": [dict(units=3), dict(units=3, return_sequences=True, go_backwards=True, use_bias=False)],
    "LSTM": [dict(units=3), dict(units=3, return_sequences=True), dict(units=3, recurrent_activation="hard_sigmoid"),
             dict(units=3, unroll=True, go_backwards=True)],
    "GRU": [dict(units=3), dict(units=3, reset_after=False, return_sequences=True), dict(units=2, use_bias=False)],
}  # fmt: skip
BY_AXES = {
    "Conv": [dict(filters=3, kernel_size=2), dict(filters=4, kernel_size=3, padding="same", strides=2),
             dict(filters=4, kernel_size=2, dilation_rate=2, use_bias=False, activation="relu"),
             dict(filters=4, kernel_size=2, groups=2, **FIRST)],
    "DepthwiseConv": [dict(kernel_size=3, depth_multiplier=2, padding="same"), dict(kernel_size=2, **FIRST)],
    "SeparableConv": [dict(filters=3, kernel_size=3, depth_multiplier=2), dict(filters=3, kernel_size=2, **FIRST)],
    "ConvTranspose": [dict(filters=3, kernel_size=3), dict(filters=3, kernel_size=3, strides=2, padding="same"),
                      dict(filters=2, kernel_size=2, strides=3), dict(filters=2, kernel_size=4, strides=2, **FIRST)],
    "MaxPooling": [dict(), dict(pool_size=3, strides=2, padding="same"), dict(pool_size=2, **FIRST)],
    # With padding="same" below, by JAX' backend: torch's repeats the border.
    "AveragePooling": [dict(pool_size=2), dict(pool_size=3, strides=2), dict(pool_size=2, **FIRST)],
    "GlobalMaxPooling": [dict(), dict(keepdims=True), FIRST],
    "GlobalAveragePooling": [dict(), dict(keepdims=True), FIRST],
    "AdaptiveMaxPooling": [dict(output_size=3)],
    "AdaptiveAveragePooling": [dict(output_size=3), dict(output_size=2, **FIRST)],
    "ZeroPadding": [dict(padding=2)],
    "Cropping": [dict(cropping=1)],
    "UpSampling": [dict(size=2)],
}  # fmt: skip
IMAGES = {
    "UpSampling2D": [dict(size=(2, 3), interpolation="bilinear"), dict(size=2, **FIRST)],
    "ZeroPadding2D": [dict(padding=((1, 2), (0, 3)))],
    "Cropping2D": [dict(cropping=((1, 2), (0, 3)))],
    "Resizing": [dict(height=5, width=12), dict(height=16, width=7, interpolation="nearest")],
    "CenterCrop": [dict(height=5, width=4)],
    "SpatialDropout2D": [dict(rate=0.3)],
    "BatchNormalization": [dict(), dict(axis=1)],
    "GroupNormalization": [dict(groups=2)],
    "LayerNormalization": [dict(axis=[1, 2, 3])],
    "Softmax": [dict(axis=1)],
    **{name: [dict(factor=0.2)] for name in ("RandomContrast", "RandomRotation")},
    "RandomFlip": [dict()],
    "RandomTranslation": [dict(height_factor=0.2, width_factor=0.2)],
    "RandomCrop": [dict(height=8, width=9)],
}
CASES = {}


def add(name, build):
    CASES[f"{name}-{sum(key.startswith(name + '-') for key in CASES)}"] = build


for name, variants in POINTWISE.items():
    for options in variants:
        add(name, one(SEQUENCE, lambda name=name, options=options: getattr(layers, name)(**options)))
for stem, variants in BY_AXES.items():
    for axes, shape in ((1, (10, 4)), (2, IMAGE), (3, VOLUME)):
        name = f"Conv{axes}DTranspose" if stem == "ConvTranspose" else f"{stem}{axes}D"
        for options in variants:
            if hasattr(layers, name):
                turned = (shape[-1], *shape[:-1]) if "data_format" in options else shape
                accepts = inspect.signature(getattr(layers, name).__init__).parameters
                if all(key in accepts for key in options):
                    add(name, one(turned, lambda name=name, options=options: getattr(layers, name)(**options)))
for name, variants in IMAGES.items():
    for options in variants:
        shape = (4, 8, 9) if "data_format" in options else IMAGE
        add(name, one(shape, lambda name=name, options=options: getattr(layers, name)(**options)))
for axes, shape in ((1, (4, 6, 2)), (2, (3, 5, 6, 2)), (3, (2, 4, 4, 4, 2))):
    for options in (
        dict(filters=2, kernel_size=3),
        dict(filters=2, kernel_size=2, padding="same", return_sequences=True),
    ):
        add(
            f"ConvLSTM{axes}D",
            one(shape, lambda axes=axes, options=options: getattr(layers, f"ConvLSTM{axes}D")(**options)),
        )
add("RepeatVector", one((4,), lambda: layers.RepeatVector(3)))
add("Embedding", one((6,), lambda: layers.Embedding(9, 4), integer=9))
add("ReversibleEmbedding", one((6,), lambda: layers.ReversibleEmbedding(9, 4), integer=9))


def projected(**options):
    """Values times the table of their tokens."""

    def build():
        x = keras.Input((6,), dtype="int32")
        table = layers.ReversibleEmbedding(9, 4, **options)
        return keras.Model(x, table(layers.Dense(4)(table(x)), reverse=True))

    build.integer = 9
    return build


for options in (dict(), dict(tie_weights=False), dict(logit_soft_cap=2.0)):
    add("ReversibleEmbedding", projected(**options))
add("CategoryEncoding", one((3,), lambda: layers.CategoryEncoding(5, output_mode="multi_hot"), integer=5))
add("CategoryEncoding", one((1,), lambda: layers.CategoryEncoding(5, output_mode="one_hot"), integer=5))
add("CategoryEncoding", one((3,), lambda: layers.CategoryEncoding(5, output_mode="count"), integer=5))
add("SpectralNormalization", one(SEQUENCE, lambda: layers.SpectralNormalization(layers.Dense(3))))
add("RNN", one(SEQUENCE, lambda: layers.RNN(layers.LSTMCell(3), return_sequences=True)))
add("RNN", one(SEQUENCE, lambda: layers.RNN([layers.LSTMCell(3), layers.GRUCell(4), layers.SimpleRNNCell(2)])))
add(
    "StackedRNNCells",
    one(SEQUENCE, lambda: layers.RNN(layers.StackedRNNCells([layers.GRUCell(3), layers.LSTMCell(2)]))),
)
for mode in ("concat", "sum", "ave", "mul"):
    add(
        "Bidirectional",
        one(SEQUENCE, lambda mode=mode: layers.Bidirectional(layers.LSTM(3, return_sequences=True), merge_mode=mode)),
    )
add("Bidirectional", one(SEQUENCE, lambda: layers.Bidirectional(layers.GRU(3))))
add(
    "Bidirectional",
    one(
        SEQUENCE,
        lambda: layers.Bidirectional(
            layers.LSTM(3), backward_layer=layers.LSTM(3, go_backwards=True, activation="relu")
        ),
    ),
)
add("TimeDistributed", one((3, *IMAGE), lambda: layers.TimeDistributed(layers.Conv2D(2, 3))))
add("TimeDistributed", one(SEQUENCE, lambda: layers.TimeDistributed(layers.Dense(2))))
add("TimeDistributed", one(SEQUENCE, lambda: layers.TimeDistributed(layers.BatchNormalization())))
add(
    "TimeDistributed",
    one(
        SEQUENCE,
        lambda: layers.TimeDistributed(
            keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="relu"), layers.Dense(2)])
        ),
    ),
)


def network(function):
    add(function.__name__, function)
    return function


def pair(layer, second=SEQUENCE):
    def build():
        a, b = keras.Input(SEQUENCE, name="a"), keras.Input(second, name="b")
        return keras.Model([a, b], layer()([a, b]))

    return build


for name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"):
    add(name, pair(getattr(layers, name)))
for name in ("Add", "Multiply"):
    add(name, pair(getattr(layers, name), (1, 4)))
    add(name, pair(getattr(layers, name), (4,)))
add("Concatenate", pair(layers.Concatenate, (7, 2)))
add("Concatenate", pair(lambda: layers.Concatenate(axis=1), (3, 4)))
add("Dot", pair(lambda: layers.Dot(axes=2), (5, 4)))
add("Dot", pair(lambda: layers.Dot(axes=(1, 1), normalize=True), (7, 3)))
add("Dot", pair(lambda: layers.Dot(axes=(2, 1)), (4,)))
add("Attention", pair(layers.Attention, (5, 4)))
add("Attention", pair(lambda: layers.Attention(use_scale=True, score_mode="concat"), (5, 4)))
add("AdditiveAttention", pair(layers.AdditiveAttention, (5, 4)))


@network
def MultiHeadAttention():
    x = keras.Input(SEQUENCE)
    y = layers.MultiHeadAttention(2, 3)(x, x)
    y = layers.MultiHeadAttention(2, 3, value_dim=5, output_shape=6, use_bias=False)(y, x, use_causal_mask=True)
    return keras.Model(x, y)


@network
def MultiHeadAttention_named():
    a, b, c = keras.Input((5, 4)), keras.Input((6, 3)), keras.Input((6, 2))
    return keras.Model([a, b, c], layers.MultiHeadAttention(3, 2, dropout=0.1)(query=a, value=b, key=c))


@network
def GroupQueryAttention():
    x = keras.Input(SEQUENCE)
    return keras.Model(x, layers.GroupQueryAttention(3, 4, 2)(x, x))


@network
def shared_layer_and_nested_networks():
    a, b = keras.Input((5, 3)), keras.Input((6, 3))
    shared = layers.Dense(4)
    m = layers.MultiHeadAttention(2, 3)(shared(a), shared(b))
    inner = keras.Sequential([keras.Input((5, 4)), layers.Dense(4, name="inside"), layers.BatchNormalization()])
    m = inner(inner(m))
    i = keras.Input((5, 4))
    recurrent = keras.Model(i, layers.LSTM(3, return_state=True)(i))
    o, h, c = recurrent(m)
    o = layers.Add()([o, layers.LSTM(3)(m, initial_state=[h, c])])
    return keras.Model([a, b], layers.Concatenate()([layers.Bidirectional(layers.GRU(2))(m), o]))


@network
def sequential_of_networks():
    features = keras.Sequential([keras.Input((8, 9, 1)), layers.Conv2D(3, 3), layers.ReLU(), layers.MaxPooling2D()])
    head = keras.Sequential([layers.Flatten(), layers.Dense(5), layers.Dense(3)])
    return keras.Sequential([keras.Input((8, 9, 1)), features, head, layers.Softmax()])


@network
def inputs_in_another_order():
    a, b = keras.Input((4,), name="first"), keras.Input((4,), name="second")
    return keras.Model([b, a], layers.Subtract()([layers.Dense(3)(a), layers.Dense(3)(b)]))


@network
def functions():
    x = keras.Input(SEQUENCE)
    a = 2 * x + 1
    b = ops.concatenate([x[:, -1, 1:3], ops.mean(x, axis=1)], axis=-1)
    c = ops.einsum("abc,adc->abd", x, ops.exp(1 - a))
    d = ops.softmax(ops.transpose(x, (0, 2, 1)), axis=1)
    e = ops.squeeze(ops.expand_dims(ops.max(ops.relu(x), axis=(1, 2)), 1), 1)
    f = ops.reshape(ops.matmul(c, x), (-1, 28))
    g = ops.flip(ops.convert_to_tensor(x), axis=(1, -1))
    return keras.Model(x, [b, ops.gelu(d), ops.stack([e, e / 3], axis=1), f, g])


def masked(layer, inputs=1):
    """A network over padded tokens."""

    def build():
        x = keras.Input((6,), dtype="int32")
        return keras.Model(x, layer(layers.Embedding(9, 4, mask_zero=True)(x)))

    build.integer = 9
    return build


for name, layer in {
    "LSTM": lambda x: layers.LSTM(3)(x),
    "LSTM sequences": lambda x: layers.LSTM(2)(layers.LSTM(3, return_sequences=True)(x)),
    "GRU": lambda x: layers.GRU(3, return_sequences=True)(x),
    "zero output": lambda x: layers.SimpleRNN(3, return_sequences=True, zero_output_for_mask=True)(x),
    "backwards": lambda x: layers.GRU(3, go_backwards=True)(layers.Dropout(0.1)(layers.Dense(4)(x))),
    "behind attention": lambda x: layers.GlobalAveragePooling1D()(layers.Attention(use_scale=True)([x, x])),
    "bidirectional": lambda x: layers.Bidirectional(layers.LSTM(3))(
        layers.Bidirectional(layers.GRU(3, return_sequences=True))(x)
    ),
    "pooling": lambda x: layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x)),
    "multi-head": lambda x: layers.GlobalAveragePooling1D()(layers.MultiHeadAttention(2, 3)(x, x)),
    "attention": lambda x: layers.Attention()([x, layers.Dense(4)(x)]),
    "additive": lambda x: layers.AdditiveAttention()([layers.Dense(4)(x), x], use_causal_mask=True),
    "convolution drops it": lambda x: layers.LSTM(3)(layers.Conv1D(4, 2)(x)),
    "time distributed": lambda x: layers.GRU(3)(layers.TimeDistributed(layers.Dense(5))(x)),
    "add": lambda x: layers.LSTM(2)(layers.Add()([x, layers.Dense(4)(x)])),
    "concatenate": lambda x: layers.LSTM(2)(layers.Concatenate()([x, layers.Dense(3)(x)])),
    "concatenate in time": lambda x: layers.LSTM(2)(layers.Concatenate(axis=1)([x, layers.Dense(4)(x)])),
    "nested": lambda x: keras.Sequential([keras.Input((6, 4)), layers.Dense(4), layers.LSTM(3)])(x),
    "stacked": lambda x: layers.RNN([layers.GRUCell(3), layers.LSTMCell(2)])(x),
    "initial state": lambda x: layers.LSTM(3, return_sequences=True)(x, initial_state=[x[:, 0, :3], x[:, 1, :3]]),
}.items():
    add(f"mask, {name}", masked(layer))


def attended(attention, options, integer_mask=False):
    """Attention with an explicit mask, an input of its own, beside those of tokens."""

    def build():
        x, mask = keras.Input((6,), dtype="int32"), keras.Input((6, 6), dtype="bool")
        y = layers.Embedding(9, 4, mask_zero="masked" in options)(x)
        key = layers.Embedding(9, 4, mask_zero="key" in options)(x) if "key" in options or "keys" in options else None
        causal = {"use_causal_mask": True} if "causal" in options else {}
        return keras.Model([x, mask], attention()(y, y, key, attention_mask=mask, **causal))

    build.integer = 9
    return build


for options in ("", "causal", "masked", "masked causal", "key", "masked key causal", "keys"):
    for kind, layer in {
        "MultiHeadAttention": lambda: layers.MultiHeadAttention(2, 3),
        "GroupQueryAttention": lambda: layers.GroupQueryAttention(3, 4, 2),
        "MultiHeadAttention, dropout": lambda: layers.MultiHeadAttention(2, 3, dropout=0.2),
    }.items():
        add(f"mask given, {kind} {options}", attended(layer, options.split()))


@network
def Masking_layer():
    x = keras.Input((6, 3))
    return keras.Model(x, layers.LSTM(4)(layers.Masking(0.0)(x)))


def rows(model, random, integer, name):
    for tensor in model.inputs:
        shape = (5, *tensor.shape[1:])
        if tensor.dtype == "bool":
            yield (random.random(shape) < 0.6) | numpy.eye(shape[1], dtype=bool)
        elif integer:
            tokens = random.integers(1, integer, shape)
            if name.startswith("mask"):
                # Padding at the end, at the beginning, in the middle.
                tokens[0, 3:] = tokens[1, :2] = tokens[2, 2] = 0
                tokens[3, [1, 4]] = 0
            yield tokens.astype("int32")
        else:
            x = random.standard_normal(shape).astype("float32")
            if name.startswith("Masking_layer"):
                x[0, 3:] = x[1, :2] = x[2, 2] = 0
            yield x


@pytest.mark.parametrize("extension", ["keras", "h5"])
@pytest.mark.parametrize("name", CASES)
def test_same_outputs(run, tmp_path, name, extension):
    build, random = CASES[name], numpy.random.default_rng(len(name))
    keras.utils.set_random_seed(1)
    model = build()
    for weight in model.weights:
        value = random.standard_normal(weight.shape) * 0.5
        weight.assign(numpy.abs(value) + 0.5 if "variance" in weight.path else value)
    model.save(tmp_path / f"network.{extension}")
    inputs = list(rows(model, random, getattr(build, "integer", None), name))
    want = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    answer = run(tmp_path / f"network.{extension}", *inputs)
    assert "error" not in answer, answer["error"]["stack"]
    want = [numpy.asarray(ops.convert_to_numpy(each)) for each in keras.tree.flatten(want)]
    assert len(want) == len(answer["outputs"])
    for expected, found in zip(want, answer["outputs"], strict=True):
        assert list(expected.shape) == found["shape"]
        numpy.testing.assert_allclose(numpy.reshape(found["data"], expected.shape), expected, rtol=2e-4, atol=2e-5)
    trained = sum(int(numpy.prod(w.shape)) for w in model.trainable_weights)
    assert sum(int(numpy.prod(shape)) for _, shape in answer["parameters"]) == trained


#: Layers that are Python code, read text or sound, or change images whether the network is trained or not.
REFUSED = {
    "FlaxLayer", "JaxLayer", "TorchModuleWrapper", "TFSMLayer", "Lambda", "Hashing", "HashedCrossing", "IntegerLookup",
    "StringLookup", "TextVectorization", "MelSpectrogram", "STFTSpectrogram", "MaxNumBoundingBoxes", "Pipeline",
    "AutoContrast", "ContrastLimitedAdaptiveHistogramEqualization", "Equalization", "Solarization",
}  # fmt: skip
PARTS = {"Layer", "Wrapper", "LSTMCell", "GRUCell", "SimpleRNNCell", "StackedRNNCells"}


def supported():
    text = (ROOT / "docs" / "formats.md").read_text()
    return set(text.split("<!-- keras -->")[1].split("<!-- /keras -->")[0].replace(",", " ").replace("`", " ").split())


def test_every_layer_of_keras_is_read_or_refused():
    classes = {cls.__name__ for cls in vars(layers).values() if isinstance(cls, type) and issubclass(cls, layers.Layer)}
    assert classes - supported() - PARTS - {"GroupedQueryAttention"} == REFUSED


ARGUMENTS = {
    "RandomCrop": (8, 9), "RandomTranslation": (0.2, 0.2), "RandomPosterization": (4,), "RandomZoom": (0.2,),
    **{name: (0.2,) for name in ("RandomBrightness", "RandomContrast", "RandomRotation", "RandomHue", "RandomSaturation",
                                 "RandomSharpness", "RandomColorDegeneration", "GaussianNoise")},
    **{name: (0.5,) for name in ("Dropout", "AlphaDropout", "GaussianDropout", "SpatialDropout2D")},
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(
    name for name in supported() & set(dir(layers)) if name.startswith(("Random", "AugMix", "CutMix", "MixUp", "RandAug"))
))  # fmt: skip
def test_augmentation_changes_nothing_when_predicting(name):
    x = numpy.random.default_rng(0).random((2, 8, 9, 3)).astype("float32")
    layer = getattr(layers, name)(*ARGUMENTS.get(name, ()))
    numpy.testing.assert_array_equal(ops.convert_to_numpy(layer(x, training=False)), x)


#: Writes networks of average pooling with padding "same" by JAX' backend, with rows and what they become.
AVERAGES = """
import itertools, keras, numpy, sys
from keras import layers
for dimensions, pool, strides, last in itertools.product((1, 2, 3), (2, 3), (1, 2, 3), (True, False)):
    extents = (5, 7, 4)[:dimensions]
    name = "channels_last" if last else "channels_first"
    layer = getattr(layers, f"AveragePooling{dimensions}D")(pool, strides, padding="same", data_format=name)
    model = keras.Sequential([keras.Input((*extents, 2) if last else (2, *extents)), layer])
    x = numpy.random.default_rng(0).standard_normal((2, *model.input_shape[1:])).astype("float32")
    stem = f"{sys.argv[1]}/{dimensions}{pool}{strides}{last:d}"
    model.save(stem + ".keras")
    numpy.savez(stem + ".npz", x=x, y=keras.ops.convert_to_numpy(model(x)))
"""


def test_averages_at_borders_are_those_of_jax(run, tmp_path):
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-c", AVERAGES, str(tmp_path)], check=True, env=environment)
    files = sorted(tmp_path.glob("*.keras"))
    assert len(files) == 36
    for path in files:
        arrays = numpy.load(path.with_suffix(".npz"))
        result = run(path, arrays["x"])
        assert "error" not in result, (path.stem, result)
        found = numpy.reshape(result["outputs"][0]["data"], result["outputs"][0]["shape"])
        numpy.testing.assert_allclose(found, arrays["y"], rtol=1e-5, atol=1e-6, err_msg=path.stem)
