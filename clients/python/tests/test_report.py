"""Reports and their pictures: the numbers are those of predictions, and each likelihood has its own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier, MLPRegressor

from polylaplace import Figures, LaplaceClassifier, LaplaceRegressor, OptionError

mpl.use("Agg")


@pytest.fixture(scope="module")
def words() -> dict[str, Any]:
    """A classifier of words, with rows that it has not seen."""
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 200)
    x = np.array([[0, 0], [1.5, 0], [0, 1.5]])[y] + rng.normal(size=(200, 2))
    labels = np.array(["<ash>", "birch", "cedar"])[y]
    network = MLPClassifier((8,), activation="tanh", solver="lbfgs", max_iter=25, random_state=0).fit(
        x[:90], labels[:90]
    )
    return {"model": LaplaceClassifier(network).fit(x[:90], labels[:90]), "x": x[90:], "y": labels[90:]}


@pytest.fixture(scope="module")
def waves() -> dict[str, Any]:
    """A regression, with rows that it has not seen."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(160, 1))
    y = np.sin(2 * x[:, 0]) + 0.2 * rng.normal(size=160)
    network = MLPRegressor(hidden_layer_sizes=(8,), activation="tanh", solver="lbfgs", max_iter=60, random_state=0).fit(
        x[:80], y[:80]
    )
    return {"model": LaplaceRegressor(network).fit(x[:80], y[:80]), "x": x[80:], "y": y[80:]}


def test_the_page_is_whole_and_names_classes(words: dict[str, Any], tmp_path: Path) -> None:
    path = words["model"].report(tmp_path / "report.html", words["x"], words["y"], title="Trees")
    page = path.read_text(encoding="utf-8")
    assert "<h1>Trees</h1>" in page
    assert page.count("<svg") >= 6
    assert "&lt;ash&gt;" in page
    assert "<ash>" not in page
    assert not re.search(r"(src|href)=", page), "nothing is loaded"


def test_figures_are_those_of_predictions(words: dict[str, Any]) -> None:
    model, x, y = words["model"], words["x"], words["y"]
    figures = model.figures(x, y)
    assert isinstance(figures, Figures)
    doubt = 1 - model.predict_proba(x).max(axis=1)
    assert [row["doubt"] for row in figures.most_uncertain] == pytest.approx(np.sort(doubt)[::-1][:10])
    assert figures.most_uncertain[0]["row"] == int(doubt.argmax())
    plain = figures.comparison.to_dict()
    assert {**plain, "outliers": None} == model.compare(x, y).to_dict()
    ax = figures.plot_risk_coverage()
    drawn = ax.lines[1].get_ydata()
    assert drawn[-1] == pytest.approx(1 - figures.comparison.posterior["accuracy"])
    given = model.figures(x, y, outliers=x)
    assert given.others_given
    assert given.comparison.outliers is not None
    assert given.comparison.outliers["novelty"]["auroc"] == 0.5


def test_every_picture_is_drawn_on_the_axes_given(words: dict[str, Any], waves: dict[str, Any]) -> None:
    from matplotlib import pyplot

    _, ax = pyplot.subplots()
    of_classes = words["model"].figures(words["x"], words["y"])
    of_numbers = waves["model"].figures(waves["x"], waves["y"])
    for figures in (of_classes, of_numbers):
        for picture in (figures.plot_reliability, figures.plot_certainty, figures.plot_prior):
            assert picture(ax=ax) is ax
    assert of_numbers.plot_residuals(ax) is ax
    assert of_numbers.plot_pit(ax) is ax
    assert of_classes.plot_certainty("novelty", ax) is ax
    with pytest.raises(OptionError, match="plot_residuals is for regression: use plot_reliability"):
        of_classes.plot_residuals()
    with pytest.raises(OptionError, match="plot_risk_coverage is for classes: use plot_residuals"):
        of_numbers.plot_risk_coverage()
    with pytest.raises(OptionError, match="no certainty of 'network'; there is 'posterior', 'novelty'"):
        of_numbers.plot_certainty("network")
    pyplot.close("all")


def test_residuals_are_truth_less_mean(waves: dict[str, Any]) -> None:
    figures = waves["model"].figures(waves["x"], waves["y"])
    assert figures.residuals is not None
    mean, deviation = waves["model"].predict(waves["x"], return_std=True)
    assert figures.residuals["residual"] == pytest.approx(waves["y"] - mean)
    assert figures.residuals["deviation"] == pytest.approx(deviation)


def test_notebooks_show_tables(words: dict[str, Any]) -> None:
    shown = words["model"].compare(words["x"], words["y"])._repr_html_()
    assert "<th>network</th>" in shown
    assert shown.count("<tr>") > 5


def test_outputs_with_a_posterior_each_have_a_report(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(90, 3))
    y = np.stack([x.sum(axis=1), x[:, 0] * x[:, 1]], axis=1) + 0.1 * rng.normal(size=(90, 2))
    network = MLPRegressor(hidden_layer_sizes=(8,), activation="tanh", solver="lbfgs", max_iter=60, random_state=0)
    model = LaplaceRegressor(network.fit(x[:60], y[:60])).fit(x[:60], y[:60])
    page = model.report(tmp_path / "report.html", x[60:], y[60:]).read_text(encoding="utf-8")
    weights = page[page.index(">Weights<") :]
    assert float(re.findall(r"<td[^>]*>([^<]*)</td></tr>", weights)[-1]) > 0
