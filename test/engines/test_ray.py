"""Ray Data on this machine: equality with one machine, and an actor that dies."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import ray
from conftest import (
    COUNTS,
    KINDS,
    NAMES,
    ROWS,
    check_equal,
    check_same,
    check_weighted,
    data,
    frame,
    once,
    posterior,
)
from polylaplace import DataError, LaplaceWarning, Progress, StateError
from polylaplace.distributed import fit_batches, fit_ray, predict_ray


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    os.environ["RAY_memory_monitor_refresh_ms"] = "0"
    paths = os.pathsep.join(path for path in sys.path if path)
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=200 * 2**20,
        runtime_env={"env_vars": {"PYTHONPATH": paths}},
    )
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()


def dataset(likelihood: str, blocks: int = 5) -> Any:
    table = frame(likelihood)
    return ray.data.from_pandas([table.iloc[at::blocks] for at in range(blocks)])


@pytest.mark.parametrize(("likelihood", "subset", "structure"), KINDS)
def test_equals_one_machine(likelihood: str, subset: str, structure: str) -> None:
    told: list[Progress] = []
    la = fit_ray(
        posterior(likelihood, subset, structure), dataset(likelihood), label="y", chunk_rows=17, progress=told.append
    )
    check_equal(la, likelihood, subset, structure)
    assert told[-1].merges == 14
    assert told[-1].network_bytes > 0


def test_a_killed_actor_loses_and_repeats_nothing(tmp_path: Path) -> None:
    mark = tmp_path / "killed"

    class Kills:
        def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
            if len(batch["a"]) and batch["a"][0] == first and once(mark):
                os.kill(os.getpid(), signal.SIGKILL)
            return batch

    first = frame("regression")["a"].iloc[2]
    rows = dataset("regression").map_batches(Kills, concurrency=1, batch_size=None)
    la = fit_ray(posterior("regression"), rows, label="y")
    assert mark.exists()
    check_equal(la, "regression", "last_layer", "kron")


def test_bits_checkpoints_tuning_and_columns(tmp_path: Path) -> None:
    rows = dataset("classification", 4)
    folder = tmp_path / "checkpoint"
    fits = [
        fit_ray(posterior("classification"), rows, label="y", deterministic=True, checkpoint=str(folder))
        for _ in range(2)
    ]
    assert len(list(folder.glob("*.partial"))) == 4
    assert fits[0].log_marginal_likelihood() == fits[1].log_marginal_likelihood()
    twice = fit_ray(posterior("classification"), rows.union(rows), label="y", checkpoint=str(folder))
    assert f"fitted to {2 * ROWS} examples" in repr(twice), "rows that are twice in the data count twice"
    la = fit_ray(posterior("classification"), rows, label="y", tune="auto")
    x, y = data("classification")
    alone = posterior("classification").fit(x, y).optimize_prior_precision(method="auto")
    assert la.prior_precision == pytest.approx(alone.prior_precision, rel=1e-7)
    answer = predict_ray(la, rows, features=NAMES).to_pandas()
    expected = la.predict(answer[NAMES].to_numpy())
    np.testing.assert_allclose(answer["probability_2"], expected.probabilities[:, 2], rtol=1e-10)


def test_weights_repeat_rows() -> None:
    rows = ray.data.from_pandas(frame("classification").assign(n=COUNTS))
    check_weighted(fit_ray(posterior("classification"), rows, label="y", sample_weight="n", tune="auto"))


def test_rows_are_read_in_the_order_of_the_data() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(5400, 4))
    y = (x[:, :3] + rng.gumbel(size=(5400, 3))).argmax(axis=1)
    parts = [{"x": x[at : at + 900], "y": y[at : at + 900]} for at in range(0, 5400, 900)]
    rows = ray.data.from_blocks([pa.table({"x": list(part["x"]), "y": part["y"]}) for part in parts])
    # The gate looks at 5,000 rows of them, by their places.
    alone = posterior("classification").fit(x, y).optimize_prior_precision(method="auto")
    la = fit_ray(posterior("classification"), rows, features="x", label="y", tune="auto")
    check_same(la, alone, x)
    fits = []
    for fit, source in (
        (fit_ray, rows),
        (fit_batches, [(x[at : at + 77], y[at : at + 77]) for at in range(0, 5400, 77)]),
    ):
        with pytest.warns(LaplaceWarning, match=r"of the 5400 rows, drawn by the seed"):
            columns = {} if fit is fit_batches else {"features": "x", "label": "y"}
            fits.append(fit(posterior("classification"), source, tune="auto", sample_bytes=40_000, **columns))
    check_same(*fits, x)


def test_tensor_columns_and_errors() -> None:
    x, y = data("classification")
    rows = ray.data.from_items([{"x": x[i], "y": int(y[i])} for i in range(len(x))], override_num_blocks=3)
    check_equal(
        fit_ray(posterior("classification"), rows, features="x", label="y"), "classification", "last_layer", "kron"
    )
    wrong = rows.map(lambda row: {**row, "y": 7})
    # More often than there are processors: what failed gives them back.
    for _ in range(3):
        with pytest.raises(
            DataError, match=r"^In the block that begins with x = \[.*, y = 7, rows 0 to \d+: Class labels"
        ):
            fit_ray(posterior("classification"), wrong, features="x", label="y")
    la = posterior("classification").fit(x, y)
    holes = ray.data.from_items([{"x": np.where(x[i] > 2, np.nan, x[i])} for i in range(len(x))])
    with pytest.raises(Exception, match=r"In the block that begins with x = .*, rows 0 to \d+: x must hold finite"):
        predict_ray(la, holes, features="x").materialize()


def test_a_worker_that_cannot_do_the_work_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polylaplace.distributed._driver.__version__", "0.0.1")
    with pytest.raises(StateError, match=r"^Worker .* has polylaplace .*, and this process 0\.0\.1: install the same"):
        fit_ray(posterior("classification"), dataset("classification"), label="y")
