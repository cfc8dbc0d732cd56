"""Exported posteriors: the files of `to_onnx`, checked by onnx and run by its reference implementation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator
from sklearn.neural_network import MLPClassifier, MLPRegressor

from polylaplace import Laplace, LaplaceClassifier, LaplaceRegressor, OptionError


def blobs() -> tuple[MLPClassifier, np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 160)
    x = np.array([[0, 0], [1.5, 0], [0, 1.5]])[y] + rng.normal(size=(160, 2))
    words = np.array(["ash", "birch", "cedar"])[y]
    network = MLPClassifier((6,), activation="tanh", solver="lbfgs", max_iter=40, random_state=0)
    return network.fit(x[:90], words[:90]), x, words


def run(model: bytes | Path, x: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """All outputs of a model, which is checked first."""
    proto = onnx.load_from_string(model) if isinstance(model, bytes) else onnx.load(model)
    onnx.checker.check_model(proto, full_check=True)
    onnx.shape_inference.infer_shapes(proto, strict_mode=True, data_prop=True)
    assert {node.domain for node in proto.graph.node} == {""}
    names = [output.name for output in proto.graph.output]
    return dict(zip(names, ReferenceEvaluator(proto).run(None, {proto.graph.input[0].name: x}), strict=True))


def test_a_classifier_as_a_file_gives_its_probabilities(tmp_path: Path) -> None:
    network, x, y = blobs()
    model = LaplaceClassifier(network).fit(x[:90], y[:90])
    path = tmp_path / "trees.onnx"
    assert model.to_onnx(path) is None
    outputs = run(path, x[90:])
    assert list(outputs) == ["mean", "variance", "probabilities", "novelty"]
    np.testing.assert_allclose(outputs["probabilities"], model.predict_proba(x[90:]), atol=1e-9)
    np.testing.assert_allclose(outputs["novelty"], model.novelty(x[90:]))
    metadata = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert json.loads(metadata["polylaplace.labels"]) == ["ash", "birch", "cedar"]
    assert metadata["polylaplace.likelihood"] == "classification"
    assert json.loads(metadata["polylaplace.training"])["rows"] == 90


@pytest.mark.parametrize("structure", ["kron", "diag", "full"])
@pytest.mark.parametrize("subset", ["last_layer", "all"])
def test_intervals_and_variances_of_a_regression(structure: str, subset: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-3, 3, (120, 1))
    y = np.sin(x) + 0.2 * rng.normal(size=(120, 1))
    network = MLPRegressor(
        hidden_layer_sizes=(8,), activation="tanh", solver="lbfgs", max_iter=300, random_state=0
    ).fit(x, y[:, 0])
    la = Laplace(network, "regression", subset_of_weights=subset, hessian_structure=structure, sigma_noise=0.2)
    la.fit(x, y).conformalize(x, y)
    outputs = run(la.to_onnx(outputs=["mean", "covariance", "lower", "upper"], level=0.8, dtype="float64"), x)
    mean, covariance = la(x)
    np.testing.assert_allclose(outputs["mean"], mean, atol=1e-9)
    np.testing.assert_allclose(outputs["covariance"], covariance, rtol=1e-6)
    np.testing.assert_allclose(
        np.hstack([outputs["lower"], outputs["upper"]]), la.predict_interval(x, alpha=0.2), atol=1e-8
    )
    with pytest.raises(OptionError, match="level must be"):
        la.to_onnx(outputs=["lower"], level=2)


def test_draws_are_kept_in_the_file() -> None:
    network, x, y = blobs()
    la = Laplace(network, "classification", subset_of_weights="last_layer", hessian_structure="kron")
    la.fit(x[:90], np.searchsorted(network.classes_, y[:90]))
    model = la.to_onnx(outputs="probabilities", link="mc", samples=50, seed=4, dtype="float64")
    outputs = run(model, x[90:])
    expected = la(x[90:], link_approx="mc", n_samples=50, seed=4)
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=1e-8)


def test_single_precision_and_an_operator_set_by_choice() -> None:
    network, x, y = blobs()
    model = LaplaceClassifier(network).fit(x[:90], y[:90])
    data = model.to_onnx(opset=15, dtype="float32", outputs=["probabilities"])
    assert [entry.version for entry in onnx.load_from_string(data).opset_import] == [15]
    outputs = run(data, x[90:].astype(np.float32))
    assert outputs["probabilities"].dtype == np.float32
    np.testing.assert_allclose(outputs["probabilities"], model.predict_proba(x[90:]), atol=1e-5)


def test_a_model_card_and_a_folder_for_mlflow(tmp_path: Path) -> None:
    network, x, y = blobs()
    model = LaplaceClassifier(network).fit(x[:90], y[:90])
    model.to_onnx(tmp_path / "trees.onnx", card=True, mlflow=True, X=x[90:], y=y[90:])
    card = (tmp_path / "trees.md").read_text()
    assert "| network | temperature scaling | posterior |" in card
    assert "| classes | ash, birch, cedar |" in card
    assert "![Calibration](trees.calibration.svg)" in card
    assert (tmp_path / "trees.calibration.svg").read_text().startswith("<svg")
    folder = tmp_path / "trees.mlflow"
    assert (folder / "model.onnx").read_bytes() == (tmp_path / "trees.onnx").read_bytes()
    assert sorted(path.name for path in folder.iterdir()) == [
        "MLmodel",
        "README.md",
        "conda.yaml",
        "model.onnx",
        "python_env.yaml",
        "requirements.txt",
        "trees.calibration.svg",
    ]


def test_what_is_not_there_is_refused_with_a_way_out(tmp_path: Path) -> None:
    network, x, y = blobs()
    model = LaplaceClassifier(network).fit(x[:90], y[:90])
    with pytest.raises(OptionError, match="conformalize"):
        model.to_onnx(outputs=["sets"])
    with pytest.raises(OptionError, match="13 to 24"):
        model.to_onnx(opset=9)
    with pytest.raises(OptionError, match="path"):
        model.to_onnx(card=True)
    with pytest.raises(OptionError, match="card"):
        model.to_onnx(tmp_path / "m.onnx", X=x, y=y)
    regressor = LaplaceRegressor(MLPRegressor(hidden_layer_sizes=(3,), max_iter=50, random_state=0)).fit(x, x[:, 0])
    with pytest.raises(OptionError, match="regression"):
        regressor.to_onnx(outputs=["probabilities"])
