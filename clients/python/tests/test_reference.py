"""Every reference number that the client gives access to, to 1e-6 relative to the largest entry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

from conftest import CASES, REPOSITORY, array, read_case
from polylaplace import KronFactors, Laplace

TOLERANCE = 1e-6

#: The runs that are compared: generalised Gauss-Newton of whole networks and last layers.
STRUCTURES = ("full", "kron", "diag")
SUBSETS = ("last_layer", "all")


def runs() -> Iterator[tuple[str, int, str]]:
    for case in sorted(path.name for path in CASES.iterdir()):
        expected = json.loads((CASES / case / "expected.json").read_text())
        for index, run in enumerate(expected["runs"]):
            plain = run["curvature"] == "ggn" and run.get("kfac_approx") in (None, "expand")
            # Convolutions of whole networks come with a later version of the engine.
            engine = case != "cnn" or run["subset"] == "last_layer"
            if plain and engine and run["structure"] in STRUCTURES and run["subset"] in SUBSETS:
                yield case, index, f"{case}-{run['subset']}-{run['structure']}"


@cache
def fitted(case: str, index: int) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], Laplace]:
    expected, data = read_case(case)
    run = expected["runs"][index]
    la = posterior(case, expected, run["subset"], run["structure"])
    return expected, run, data, la.fit(data["x"], labels(expected, data["y"]))


def posterior(case: str, expected: dict[str, Any], subset: str, structure: str) -> Laplace:
    folder = CASES / case
    if expected["onnx"]["initializers_in_parameter_order"]:
        return Laplace(folder / "model.onnx", expected["likelihood"], subset, structure)
    # torch's exporter has changed the order of the parameters, and with it that of every reference number.
    return Laplace(
        folder / "model.safetensors",
        expected["likelihood"],
        subset,
        structure,
        architecture=folder / "architecture.json",
    )


def labels(expected: dict[str, Any], y: Any) -> Any:
    return np.asarray(y).astype(np.int64) if expected["likelihood"] == "classification" else y


def close(actual: Any, wanted: Any, tolerance: float = TOLERANCE) -> None:
    actual, wanted = np.asarray(actual, dtype=np.float64), np.asarray(wanted, dtype=np.float64)
    assert actual.shape == wanted.shape
    scale = max(float(np.max(np.abs(wanted), initial=0)), 1e-300)
    assert float(np.max(np.abs(actual - wanted), initial=0)) <= tolerance * scale


def prior_of(setting: dict[str, Any]) -> Any:
    value = setting["prior_precision"]
    return array(value) if isinstance(value, dict) else value


RUNS = list(runs())
each_run = pytest.mark.parametrize(("case", "index"), [run[:2] for run in RUNS], ids=[run[2] for run in RUNS])


@each_run
def test_curvature(case: str, index: int) -> None:
    expected, run, _, la = fitted(case, index)
    assert la.n_params == run["n_params"]
    assert la.n_outputs == expected["n_outputs"]
    theta = array(expected["theta"])
    close(la.mean, theta[-la.n_params :] if run["subset"] == "last_layer" else theta)
    if run["structure"] == "kron":
        assert isinstance(la.H, KronFactors)
        for block, wanted in zip(la.H, run["H"]["kron"], strict=True):
            assert block["name"] == wanted["parameter"]
            if "diagonal" in wanted:
                close(block["diagonal"], array(wanted["diagonal"]))
                continue
            close(block["B"], array(wanted["B"]))
            if "A" in wanted:
                close(block["A"], array(wanted["A"]))
    elif "omitted" in run["H"]:
        close(np.diag(la.H), array(run["H"]["diagonal"]))
    else:
        close(la.H, array(run["H"][run["structure"]]))


@each_run
def test_settings(case: str, index: int) -> None:
    _, run, data, la = fitted(case, index)
    for setting in run["settings"]:
        la.prior_mean = setting["prior_mean"]
        la.temperature = setting["temperature"]
        la.sigma_noise = setting["sigma_noise"]
        la.prior_precision = prior_of(setting)
        marglik = setting["marglik"]
        for name in (
            "log_likelihood",
            "log_det_posterior_precision",
            "log_det_prior_precision",
            "log_det_ratio",
            "scatter",
        ):
            close(getattr(la, name), marglik[name], TOLERANCE if marglik[name] else 1e290)
        close(la.log_marginal_likelihood(), marglik["log_marginal_likelihood"])
        if "variance" in setting:
            close(la.posterior_variance, array(setting["variance"]["posterior_variance"]))
        if "log_prob" in setting:
            theta = la.mean + 0.1 * np.cos(np.arange(la.n_params))
            close(la.log_prob(theta), setting["log_prob"]["log_prob_at_mean_plus_0.1cos(i)"])
        predictive(la, data["x_test"], setting.get("predictive", {}))


def predictive(la: Laplace, x: Any, wanted: dict[str, Any]) -> None:
    if "f_var" in wanted:
        close(la.functional_variance(x), array(wanted["f_var"]))
    elif "f_var_diag" in wanted:
        close(la.predict(x).variance, array(wanted["f_var_diag"]))
    for link in ("probit", "bridge", "bridge_norm"):
        if link in wanted:
            close(np.squeeze(la(x, link_approx=link)), np.squeeze(array(wanted[link])))
    if "joint_covariance_first_points" in wanted:
        matrix = array(wanted["joint_covariance_first_points"])
        close(la.functional_variance(x[: matrix.shape[0] // la.n_outputs], joint=True), matrix)


@each_run
def test_outputs(case: str, index: int) -> None:
    expected, _, data, la = fitted(case, index)
    close(la.predict(data["x_test"]).mean, array(expected["f"]["x_test"]))


@each_run
def test_tuning(case: str, index: int) -> None:
    expected, run, data, _ = fitted(case, index)
    if "scalar" not in run["tuned"]:
        pytest.fail("the reference has no tuned value")
    la = posterior(case, expected, run["subset"], run["structure"])
    la.fit(data["x"], labels(expected, data["y"])).optimize_prior_precision()
    wanted = run["tuned"]["scalar"]["optimum"]
    close(la.log_marginal_likelihood(), wanted["log_marginal_likelihood"])
    # The optimum is flat: its place is known to the root of the precision of the value.
    close(la.prior_precision, wanted["delta"], 1e-5)


def linearized() -> list[tuple[str, str]]:
    return [(case, structure) for case, values in LINEARIZED.items() for structure in STRUCTURES if structure in values]


LINEARIZED = json.loads((REPOSITORY / "test" / "fixtures" / "linearized.json").read_text())["values"]


@pytest.mark.parametrize(("case", "structure"), linearized())
def test_linearized(case: str, structure: str) -> None:
    expected, data = read_case(case)
    wanted = LINEARIZED[case][structure]
    la = posterior(case, expected, "last_layer", structure)
    la.fit(data["x"], labels(expected, data["y"])).optimize_prior_precision(method="linearized")
    close(la.prior_precision, wanted["prior_precision"])
    prediction = la.predict(data["x_test"])
    close(prediction.variance, array(wanted["f_var_diag"]))
    close(prediction.probabilities, array(wanted["probit"]))


SINGLE = [path.parent.name for path in sorted(CASES.glob("*/model32.onnx"))]


@pytest.mark.parametrize("case", SINGLE)
def test_networks_of_float32_agree_to_1e_4(case: str) -> None:
    expected, data = read_case(case)
    run = next(run for run in expected["runs"] if run["subset"] == "last_layer" and run["curvature"] == "ggn")
    la = Laplace(CASES / case / "model32.onnx", expected["likelihood"], "last_layer", run["structure"])
    la.fit(data["x"], labels(expected, data["y"]))
    assert la.summary["precision"] == "float32"
    setting = run["settings"][0]
    close(la.log_marginal_likelihood(), setting["marglik"]["log_marginal_likelihood"], 1e-4)
    close(la.predict(data["x_test"]).mean, array(expected["f"]["x_test"]), 1e-4)
