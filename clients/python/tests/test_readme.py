"""The README's code runs, block by block, as a reader would run it."""

from __future__ import annotations

import doctest
import importlib
import re
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import CASES, REPOSITORY, read_case

BLOCKS = re.findall(r"```python\n(.*?)```", (REPOSITORY / "clients" / "python" / "README.md").read_text(), flags=re.S)


def test_the_code_of_the_readme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    assert len(BLOCKS) == 6, "from nothing to a picture, what was chosen, held-out rows, one's own network, machines"
    space: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(BLOCKS[0], space)
    inside, gap, far = (np.interp(at, space["grid"][:, 0], space["std"]) for at in (3.0, 0.25, 6.0))
    assert inside < 0.3
    assert gap > inside
    assert far > 2 * inside
    run(BLOCKS[1], space)
    assert (tmp_path / "error-bars.png").stat().st_size > 1000
    run(BLOCKS[2], space)
    assert "Why: " in capsys.readouterr().out
    assert space["unlike"][1] < 0.05
    held_out_rows(space)
    assert capsys.readouterr().out.startswith("200 rows")
    _, data = read_case("tabular-iris")
    shutil.copy(CASES / "tabular-iris" / "model.onnx", tmp_path / "model.onnx")
    space.update(X=data["x"], y=data["y"].astype(int), X_new=data["x_test"])
    run(BLOCKS[4], space)
    assert capsys.readouterr().out.startswith("all ")
    np.testing.assert_array_equal(space["la"](space["X_new"]), space["probabilities"])
    # Merging is for a posterior that is fitted from its network, not for one that was loaded.
    whole = space["Laplace"]("model.onnx", "classification").fit(space["X"], space["y"])
    space["la"] = space["Laplace"]("model.onnx", "classification")
    space["shards"] = [(data["x"][at::3], space["y"][at::3]) for at in range(3)]
    run(BLOCKS[5], space)
    assert space["la"].log_marginal_likelihood() == pytest.approx(whole.log_marginal_likelihood(), rel=1e-10)


def held_out_rows(space: dict[str, Any]) -> None:
    """Runs the block about held-out rows with more rows of the same kind."""
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.uniform(-4, -1, 180), rng.uniform(1.5, 4, 180)])[rng.permutation(360), None]
    y = np.sin(x[:, 0]) + 0.1 * rng.normal(size=360)
    space.update(X_test=x, y_test=y, X_new=x[160:], y_new=y[160:])
    run(BLOCKS[3], space)
    low, high = space["intervals"].T
    assert 0.8 < ((low <= y[160:]) & (y[160:] <= high)).mean() < 0.98
    assert space["quantiles"].shape == (200, 3)


SOURCES = REPOSITORY / "clients" / "python" / "src"
#: Every module whose docstrings hold code.
MODULES = sorted(
    ".".join(file.relative_to(SOURCES).with_suffix("").parts).removesuffix(".__init__")
    for file in SOURCES.rglob("*.py")
    if ">>> " in file.read_text() and "torch" not in file.parts
)


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.filterwarnings("ignore::polylaplace.LaplaceWarning")
def test_the_code_of_docstrings(module: str) -> None:
    examined = importlib.import_module(module)
    assert "+SKIP" not in Path(str(examined.__file__)).read_text()
    outcome = doctest.testmod(examined)
    assert outcome.attempted > 0
    assert outcome.failed == 0


def run(block: str, space: dict[str, Any]) -> None:
    exec(compile(block, "README.md", "exec"), space)
