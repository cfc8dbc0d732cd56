"""Exported posteriors, run by onnxruntime in Python with none of this library's code, against the posterior itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from polylaplace import LaplaceClassifier, LaplaceRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor


def run(model: bytes, x: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {session.get_inputs()[0].name: x}), strict=True))


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-6), ("float32", 1e-4)])
def test_classes_and_a_regression(dtype: str, tolerance: float) -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(120, 3))
    classes = (x @ rng.normal(size=(3, 3))).argmax(1)
    network = MLPClassifier((6,), activation="tanh", solver="lbfgs", max_iter=200, random_state=0).fit(x, classes)
    classifier = LaplaceClassifier(network).fit(x, classes)
    for rows in (1, 120):
        outputs = run(classifier.to_onnx(dtype=dtype), x[:rows].astype(dtype))
        np.testing.assert_allclose(outputs["probabilities"], classifier.predict_proba(x[:rows]), atol=tolerance)
    y = np.sin(x[:, 0]) + 0.1 * rng.normal(size=120)
    means = MLPRegressor(hidden_layer_sizes=(6,), activation="tanh", solver="lbfgs", max_iter=200, random_state=0)
    regressor = LaplaceRegressor(means.fit(x, y)).fit(x, y).conformalize()
    outputs = run(regressor.to_onnx(dtype=dtype, level=0.8), x.astype(dtype))
    interval = regressor.predict_interval(x, alpha=0.2)
    np.testing.assert_allclose(outputs["lower"][:, 0], interval[:, 0], atol=tolerance)
    np.testing.assert_allclose(outputs["upper"][:, 0], interval[:, 1], atol=tolerance)


def test_mlflow_loads_its_folder(tmp_path: Path) -> None:
    import mlflow.pyfunc

    rng = np.random.default_rng(2)
    x = rng.normal(size=(120, 3))
    classes = (x @ rng.normal(size=(3, 3))).argmax(1)
    network = MLPClassifier((6,), activation="tanh", solver="lbfgs", max_iter=200, random_state=0).fit(x, classes)
    classifier = LaplaceClassifier(network).fit(x, classes)
    classifier.to_onnx(tmp_path / "model.onnx", mlflow=True)
    model = mlflow.pyfunc.load_model(str(tmp_path / "model.mlflow"))
    answers = model.predict(x)
    np.testing.assert_allclose(answers["probabilities"], classifier.predict_proba(x), atol=1e-9)
    assert model.metadata.metadata["polylaplace.likelihood"] == "classification"
    outputs = {own.name: (own.type, own.shape) for own in model.metadata.get_output_schema().inputs}
    assert outputs["probabilities"] == (np.dtype("float64"), (-1, 3))
    assert outputs["novelty"] == (np.dtype("float64"), (-1,))
    with pytest.raises(Exception, match="schema"):
        model.predict(x[:, :2])
