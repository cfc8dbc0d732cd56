"""Data and networks from other packages, none of which is imported by ours."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from polylaplace import (
    DataError,
    GraphError,
    Laplace,
    LaplaceClassifier,
    OptionError,
    StateError,
    UntrustedInputError,
    load,
)
from polylaplace._data import batches, fresh_seed, is_array_like, to_array
from polylaplace._examples import to_examples
from polylaplace._models import network_params
from polylaplace._torch_models import torch_layers


class Tensor:
    """What this package uses of a torch tensor."""

    def __init__(self, values: Any, dtype: str = "torch.float32") -> None:
        self.values = np.asarray(values, dtype=np.float32)
        self.dtype = dtype

    def detach(self) -> Tensor:
        return self

    def cpu(self) -> Tensor:
        return self

    def float(self) -> Tensor:
        return Tensor(self.values)

    def numpy(self) -> Any:
        if self.dtype == "torch.bfloat16":
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self.values


class ArrayLike:
    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.arange(3)


def test_arrays_of_every_kind() -> None:
    assert to_array([[1, 2], [3, 4]], "x").dtype == np.int64
    assert to_array([1.5], "x").dtype == np.float64
    assert to_array(np.float16([1.5]), "x").dtype == np.float32
    assert to_array(np.longdouble([1.5]), "x").dtype == np.float64
    assert to_array(np.int16([1]), "x").dtype == np.int32
    assert to_array(np.uint32([1]), "x").dtype == np.int64
    assert to_array(np.uint8([1]), "x").dtype == np.uint8
    assert to_array([True], "x").dtype == bool
    assert to_array(Tensor([1, 2]), "x").dtype == np.float32
    assert to_array(Tensor([1, 2], "torch.bfloat16"), "x").dtype == np.float32
    np.testing.assert_array_equal(to_array(ArrayLike(), "x"), [0, 1, 2])
    np.testing.assert_array_equal(to_array(np.array([1, 2.5], dtype=object), "x"), [1, 2.5])
    np.testing.assert_array_equal(to_array(np.array([1, 2.5], dtype=">f8"), "x"), [1, 2.5])


def test_data_frames() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1, 2], "b": [0.5, 1.5]})
    np.testing.assert_array_equal(to_array(frame, "x"), [[1, 0.5], [2, 1.5]])
    np.testing.assert_array_equal(to_array(frame["a"], "x"), [1, 2])
    nullable = pandas.DataFrame({"a": pandas.array([1, 2], dtype="Int64")})
    np.testing.assert_array_equal(to_array(nullable, "x"), [[1], [2]])
    with pytest.raises(DataError):
        to_array(pandas.DataFrame({"a": ["x", "y"]}), "x")


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (["a", "b"], "holds text"),
        ([1j], "complex"),
        ([[1], [1, 2]], "array of numbers"),
        (np.array(["2020-01-01"], dtype="M8[D]"), "dates"),
        (object(), "got object. Of a DataLoader"),
        ([object()], "not numbers"),
        (["1.5", "2"], r"numbers as text.*astype\(float\)"),
        (np.ma.masked_greater([1.0, 2.0, 3.0], 1.5), r"2 of its entries are masked.*X\.filled"),
    ],
)
def test_what_is_not_an_array_is_a_sentence(value: Any, what: str) -> None:
    with pytest.raises(DataError, match=what):
        to_array(value, "X")


def test_missing_values_and_unnamed_columns_of_data_frames() -> None:
    pandas = pytest.importorskip("pandas")
    nullable = pandas.DataFrame({"a": pandas.array([1, None], dtype="Int64"), "b": ["u", "v"]})
    np.testing.assert_array_equal(to_array(nullable[["a"]], "x"), [[1], [np.nan]])
    with pytest.raises(DataError, match=r"x holds text \('u'\) in column 'b'"):
        to_array(nullable, "x")
    unnamed = pandas.DataFrame(np.arange(6.0).reshape(2, 3))
    assert to_examples(unnamed, "X").arrays[0].columns is None
    assert to_examples(unnamed[[2, 1]], "X").arrays[0].columns == ("2", "1")
    with pytest.raises(DataError, match=r"in the order 2, 0, 1\. Put them .*X\.to_numpy\(\)"):
        to_examples(unnamed[[2, 0, 1]], "X")
    np.testing.assert_array_equal(to_array(np.ma.masked_greater([1.0, 2.0], 3), "x"), [1, 2])


def test_rows_of_pandas_whose_labels_are_in_another_order_are_refused() -> None:
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    x = pandas.DataFrame(rng.normal(size=(40, 3)), columns=["a", "b", "c"])
    y = (x.a > 0).astype(int)
    network = {"0.weight": rng.normal(size=(2, 3)), "0.bias": np.zeros(2)}
    shuffled = y.sample(frac=1, random_state=1)
    weights = pandas.Series(np.ones(40))
    la = Laplace(network, "classification", prior_precision=1.0)
    calls: list[Callable[[], object]] = [
        lambda: la.fit(x, shuffled),
        lambda: la.fit(x, y, sample_weight=weights[::-1]),
        lambda: la.fit([(x, shuffled)]),
        lambda: la.fit_partial(x, shuffled),
        lambda: la.fit(x, y).compare(x, shuffled),
        lambda: la.fit(x, y).conformalize(x, shuffled),
        lambda: la.fit(x, y).optimize_prior_precision(method="grid", X_val=x, y_val=shuffled),
        lambda: LaplaceClassifier(random_state=0).fit(x, shuffled),
    ]
    for call in calls:
        with pytest.raises(DataError, match=r"have the labels of those of .* \(their index\) in another order"):
            call()
    # Row labels of which neither follows the other say nothing; and place decides where the user says so.
    la.fit(x.iloc[shuffled.index[:20]], y[:20])
    la.fit(x, shuffled.to_numpy())
    la.fit(x.loc[shuffled.index], shuffled)
    np.testing.assert_allclose(la.predict(x).probabilities, la.fit(x, y).predict(x).probabilities, rtol=1e-9)


def test_a_batch_that_a_filter_has_emptied_changes_nothing() -> None:
    x, y = np.zeros((2, 3)), np.zeros(2)
    assert len(list(batches([(x, y), (x[:0], y[:0]), ([], [])], "labels"))) == 1
    # One that has lost its labels alone is refused later, by the numbers of rows.
    assert len(list(batches([(x, y[:0])], "labels"))) == 1
    with pytest.raises(DataError, match=r"DataLoader\(dataset, batch_size=256\)"):
        list(batches(_Dataset(), "labels"))  # type: ignore[arg-type]


class _Dataset:
    """As torch's: rows by number, and no iterator."""

    __iter__ = None

    def __getitem__(self, row: int) -> Any:
        return np.zeros(3), 0


def test_batches_and_arrays_are_told_apart() -> None:
    x, y = np.zeros((2, 3)), np.zeros(2)
    assert is_array_like(x)
    assert is_array_like([[1, 2], [3, 4]])
    assert is_array_like(Tensor([1]).numpy())
    assert not is_array_like([(x, y)])
    assert not is_array_like(iter([(x, y)]))
    assert len(list(batches([(x, y), [x, y]], "labels"))) == 2
    (several, labels), mapping = batches([(x, 2 * x, y), {"a": x, "labels": y}], "labels")
    assert [part is whole for part, whole in zip(several, (x, 2 * x), strict=True)] == [True, False]
    assert labels is y
    assert mapping == ({"a": x}, y)
    for wrong in ([(x,)], [{"x": x}], [5]):
        with pytest.raises(DataError, match="Batch 0"):
            list(batches(wrong, "labels"))
    with pytest.raises(DataError, match="iterable"):
        list(batches(5, "labels"))  # type: ignore[arg-type]


def test_seeds() -> None:
    assert fresh_seed(7) == 7
    assert fresh_seed(np.random.default_rng(1)) == fresh_seed(np.random.default_rng(1))
    assert fresh_seed(np.random.RandomState(1)) == fresh_seed(np.random.RandomState(1))
    np.random.seed(3)
    first = fresh_seed(None)
    np.random.seed(3)
    assert fresh_seed(None) == first
    assert fresh_seed(None) != first


def test_models_by_path_bytes_and_tensors(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"abc")
    assert network_params(file, {"input": None}) == {"bytes": b"abc", "hints": {}}
    assert network_params(str(file), {"input": "x"}) == {"bytes": b"abc", "hints": {"input": "x"}}
    assert network_params(memoryview(b"abc"), {}) == {"bytes": b"abc", "hints": {}}
    layers = [{"type": "Linear", "name": "0"}]
    params = network_params({"0.weight": np.ones((1, 1))}, {"architecture": layers})
    assert params is not None
    assert params["layers"] == layers
    with pytest.raises(FileNotFoundError):
        network_params(tmp_path / "missing.onnx", {})
    with pytest.raises(DataError, match="folder"):
        network_params(tmp_path, {})
    with pytest.raises(DataError, match="is not a network"):
        network_params(3, {})


def test_scikit_learn_models() -> None:
    network = pytest.importorskip("sklearn.neural_network")
    x = np.random.default_rng(0).normal(size=(20, 3))
    model = network.MLPRegressor(hidden_layer_sizes=(4,), max_iter=5, activation="logistic")
    with pytest.raises(StateError, match="has not been fitted"):
        network_params(model, {})
    with pytest.warns(UserWarning, match="Maximum iterations"):
        model.fit(x, x[:, 0])
    params = network_params(model, {})
    assert params is not None
    assert params["sklearn"]["activation"] == "logistic"
    assert params["sklearn"]["outActivation"] == "identity"
    assert [matrix.shape for matrix in params["sklearn"]["coefs"]] == [(3, 4), (4, 1)]


def test_skorch_like_models() -> None:
    class Net:
        module_ = b"abc"

        def get_params(self) -> None: ...

    assert network_params(Net(), {}) == {"bytes": b"abc", "hints": {}}


def fake_module(
    class_name: str, children: dict[str, Any] | None = None, module: str = "torch.nn.modules.fake", **attributes: Any
) -> Any:
    """What this package looks at in a torch module. The real ones are tested in test/peers."""
    cls = type(
        class_name,
        (),
        {
            "__module__": module,
            "_modules": dict(children or {}),
            "named_children": lambda self: list(self._modules.items()),
            "named_modules": lambda self: [("", self), *self._modules.items()],
            "state_dict": lambda self: {},
            "named_parameters": lambda self, remove_duplicate=True: [],
        },
    )
    instance = cls()
    instance.__dict__.update(attributes)
    return instance


def test_torch_modules_are_read_without_running_them() -> None:
    inner = fake_module(
        "Sequential", {"0": fake_module("BatchNorm2d", eps=1e-5, running_mean=1), "1": fake_module("ReLU")}
    )
    parts = {
        "0": fake_module("Conv2d", stride=(2, 2), padding=1, dilation=1, groups=1, padding_mode="zeros"),
        "1": inner,
        "2": fake_module("Linear"),
    }
    layers = torch_layers(fake_module("Sequential", parts))
    assert layers is not None
    assert [(layer["type"], layer["name"]) for layer in layers] == [
        ("Conv2d", "0"),
        ("BatchNorm2d", "1.0"),
        ("ReLU", "1.1"),
        ("Linear", "2"),
    ]
    assert layers[0]["stride"] == [2, 2]


def test_torch_modules_with_code_of_their_own_wait_for_an_example() -> None:
    for unknown in (
        fake_module("Sequential", {"0": fake_module("LSTM")}),
        fake_module("Sequential", {"0": fake_module("Linear")}, module="my_code"),
        fake_module("Sequential", {"0": fake_module("Linear", _forward_hooks={1: print})}),
        fake_module("Sequential", {"0": fake_module("BatchNorm1d", running_mean=None)}),
    ):
        assert torch_layers(unknown) is None
        assert network_params(unknown, {}) is None


EXTERNAL = Path(__file__).parents[3] / "test" / "fixtures" / "onnx" / "external"


def test_files_beside_a_model_are_found(tmp_path: Path) -> None:
    x, y = np.random.default_rng(0).normal(size=(12, 3)), np.arange(12) % 2
    wanted = Laplace(EXTERNAL / "model.onnx", "classification").fit(x, y)(x)
    data = (EXTERNAL / "model.onnx").read_bytes()
    weights = (EXTERNAL / "model.onnx.data").read_bytes()
    for external in (EXTERNAL, {"model.onnx.data": weights}):
        la = Laplace(data, "classification", external_data=external).fit(x, y)
        np.testing.assert_array_equal(la(x), wanted)
    with pytest.raises(UntrustedInputError, match="option external_data"):
        Laplace(data, "classification").fit(x, y)
    model = tmp_path / "model.onnx"
    model.write_bytes(data)
    with pytest.raises(UntrustedInputError, match="not in the folder"):
        Laplace(model, "classification")
    (tmp_path / "model.onnx.data").symlink_to(EXTERNAL / "model.onnx.data")
    with pytest.raises(UntrustedInputError, match="symbolic link"):
        Laplace(model, "classification")
    (tmp_path / "model.onnx.data").unlink()
    (tmp_path / "model.onnx.data").write_bytes(weights)
    np.testing.assert_array_equal(LaplaceClassifier(model).fit(x, y).laplace_.n_params, 26)


def test_parameters_and_layers_are_chosen() -> None:
    x, y = np.random.default_rng(0).normal(size=(12, 3)), np.arange(12) % 2

    def names(subset: str = "all", **options: Any) -> list[str]:
        la = Laplace(EXTERNAL / "model.onnx", "classification", subset, "diag", **options).fit(x, y)
        return [parameter["name"] for parameter in la.summary["parameters"]]

    assert names(freeze="l1.*") == ["l2.weight", "l2.bias"]
    assert names(freeze=[0, "l2.bias"]) == ["l1.bias", "l2.weight"]
    assert names(parameters=["l2.weight", "l1.bias"]) == ["l2.weight", "l1.bias"]
    assert names("last_layer", last_layer_name="l1") == ["l1.weight", "l1.bias"]
    with pytest.raises(OptionError, match=r"'l1\.weight'"):
        names(freeze="l1.wieght")
    with pytest.raises(OptionError, match="freeze"):
        names(freeze=[1.5])


def test_a_pipeline_of_a_data_frame_by_the_names_of_its_columns() -> None:
    pandas = pytest.importorskip("pandas")
    folder = Path(__file__).parents[3] / "test" / "fixtures" / "onnx"
    if not folder.exists():
        pytest.skip("the fixtures are in the repository")
    values = json.loads((folder / "columns.json").read_text())
    frame, y = pandas.DataFrame(values["columns"]), np.array(values["y"])
    la = Laplace(folder / "sklearn-columns.onnx", "classification", "all", "diag", prior_precision=1e12)
    la.fit(frame[["kind", "age", "income"]], y)
    for columns in (["age", "income", "kind"], ["income", "kind", "age"]):
        assert np.abs(la(frame[columns]) - values["probabilities"]).max() < 1e-6
    assert np.abs(Laplace.from_bytes(la.to_bytes())(frame) - values["probabilities"]).max() < 1e-6
    for wrong, what in ((frame.rename(columns={"age": "years"}), "no input 'years'"), (frame[["age"]], "is missing")):
        with pytest.raises(DataError, match=what):
            la(wrong)
    with pytest.raises(DataError, match=r"holds text.*Pipeline"):
        la(frame.assign(kind="a"))


def test_a_dictionary_of_several_networks_asks_which() -> None:
    rng = np.random.default_rng(0)
    first, second = ({"0.weight": rng.normal(size=(2, 3)), "0.bias": rng.normal(size=2)} for _ in range(2))
    networks = {"first": first, "second": second}
    X, y = rng.normal(size=(20, 3)), np.arange(20) % 2
    with pytest.raises(GraphError, match=r"'first', 'second'.*model_name"):
        Laplace(networks, "classification").fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        named = Laplace(networks, "classification", model_name="second").fit(X, y)
        alone = Laplace(second, "classification").fit(X, y)
    np.testing.assert_array_equal(named(X), alone(X))


def test_data_for_an_input_that_nothing_reads_are_passed_over(tmp_path: Path) -> None:
    path = Path(__file__).parents[3] / "test" / "fixtures" / "inputs" / "unread-input.onnx"
    if not path.exists():
        pytest.skip("the fixtures are in the repository")
    rng = np.random.default_rng(0)
    x, unread, y = rng.normal(size=(12, 2)), rng.normal(size=(12, 1)), np.arange(12) % 3
    la = Laplace(path, "classification", "last_layer", "full", prior_precision=1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        la.fit([unread, x], y)
    la.save(tmp_path / "posterior")
    expected = la(x)
    for fitted in (la, load(tmp_path / "posterior")):
        for given in ([unread, x], (unread, x), {"unread": unread, "x": x}, {"x": x}, x):
            np.testing.assert_array_equal(fitted(given), expected)
        assert fitted.summary["declaredInputs"] == ["unread", "x"]
        np.testing.assert_array_equal(fitted(list(x[:3])), expected[:3])
    with pytest.raises(DataError, match="did you mean 'unread'"):
        la({"x": x, "unred": unread})


def test_one_of_two_heads_is_named() -> None:
    path = Path(__file__).parents[3] / "test" / "fixtures" / "inputs" / "two-heads.onnx"
    if not path.exists():
        pytest.skip("the fixtures are in the repository")
    x, y = np.random.default_rng(0).normal(size=(12, 3)), np.arange(12) % 3

    def names(
        target: Any = y, likelihood: str = "classification", subset: str = "last_layer", **options: Any
    ) -> list[str]:
        la = Laplace(path, likelihood, subset, "full", prior_precision=1.0, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return [each["name"] for each in la.fit(x, target).summary["parameters"]]

    body = ["body.weight", "body.bias"]
    with pytest.raises(GraphError, match="kind, size"):
        names()
    assert names(output="kind") == ["kind.weight", "kind.bias"]
    assert names(x[:, 0], "regression", output="size") == ["size.weight", "size.bias"]
    assert names(output="kind", last_layer_name="body") == body
    assert names(subset="all", output="kind", parameters="body.*") == body
    assert not set(body) & set(names(subset="all", output="kind", freeze=body))
