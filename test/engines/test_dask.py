"""Dask: every kind of data and posterior against one machine, on a LocalCluster of processes whose workers die."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask.array
import dask.bag
import dask.dataframe
import numpy as np
import pytest
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
from distributed import Client, LocalCluster
from polylaplace import (
    DataError,
    Laplace,
    LaplaceWarning,
    NodeNotFoundError,
    OptionError,
    Progress,
    ShapeError,
)
from polylaplace.distributed import fit_batches, fit_dask, fit_ray, fit_spark, predict_dask


@pytest.fixture(scope="module")
def cluster() -> Iterator[Client]:
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as local:
        with Client(local) as client:
            yield client


@pytest.mark.parametrize(("likelihood", "subset", "structure"), KINDS)
def test_equals_one_machine(cluster: Client, likelihood: str, subset: str, structure: str) -> None:
    table = dask.dataframe.from_pandas(frame(likelihood), npartitions=5)
    told: list[Progress] = []
    la = fit_dask(posterior(likelihood, subset, structure), table, label="y", chunk_rows=17, progress=told.append)
    check_equal(la, likelihood, subset, structure)
    assert told[-1].merges == 14, "15 chunks"
    assert told[-1].network_bytes > 0


def test_arrays_and_bags_on_any_scheduler() -> None:
    x, y = data("classification")
    array = dask.array.from_array(x, chunks=(40, 2))
    labels = dask.array.from_array(y, chunks=70)
    with dask.config.set(scheduler="threads"):
        for source in (
            (array, labels),
            (dask.bag.from_sequence(list(zip(x, y, strict=True)), npartitions=3),),
            (dask.bag.from_sequence(frame("classification").to_dict("records"), npartitions=3),),
        ):
            la = fit_dask(posterior("classification"), *source, label="y")
            check_equal(la, "classification", "last_layer", "kron")
    columns = predict_dask(la, array)
    np.testing.assert_allclose(columns["mean_1"].compute(), la.predict(x).mean[:, 1], rtol=1e-10)


def test_a_killed_worker_loses_and_repeats_nothing(cluster: Client, tmp_path: Path) -> None:
    def kills(part: Any, partition_info: Any = None) -> Any:
        if partition_info is not None and partition_info["number"] == 3 and once(tmp_path / "killed"):
            os.kill(os.getpid(), signal.SIGKILL)
        return part

    plain = dask.dataframe.from_pandas(frame("regression"), npartitions=6)
    table = plain.map_partitions(kills, meta=plain._meta)
    for deterministic in (False, True):
        (tmp_path / "killed").unlink(missing_ok=True)
        la = fit_dask(posterior("regression"), table, label="y", deterministic=deterministic)
        assert (tmp_path / "killed").exists()
        check_equal(la, "regression", "last_layer", "kron")


def test_the_order_of_partitions_changes_no_bit(cluster: Client) -> None:
    table = frame("classification")
    parts = [table.iloc[at : at + 40] for at in range(0, len(table), 40)]
    fits = []
    for order in (parts, parts[::-1], [*parts[2:], *parts[:2]]):
        joined = dask.dataframe.concat([dask.dataframe.from_pandas(part, npartitions=1) for part in order])
        fits.append(fit_dask(posterior("classification"), joined, label="y", deterministic=True))
    x, _ = data("classification")
    assert len({la.log_marginal_likelihood() for la in fits}) == 1
    assert len({la.predict(x).variance.tobytes() for la in fits}) == 1
    check_equal(fits[0], "classification", "last_layer", "kron")


def test_a_driver_goes_on_from_a_checkpoint(cluster: Client, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"

    def fails(part: Any, partition_info: Any = None) -> Any:
        if partition_info is not None and partition_info["number"] == 4:
            # Not before another partition is in the checkpoint.
            for _ in range(3000):
                if any(folder.glob("*.partial")):
                    break
                time.sleep(0.02)
            raise ValueError("a broken disk")
        return part

    plain = dask.dataframe.from_pandas(frame("regression"), npartitions=5)
    table = plain.map_partitions(fails, meta=plain._meta)
    la = posterior("regression")
    with pytest.raises(ValueError, match="a broken disk") as broken:
        fit_dask(la, table, label="y", checkpoint=str(folder))
    assert "polylaplace: in partition 4 of 5" in broken.value.__notes__
    assert "not fitted" in repr(la)
    before = {file.name: file.stat().st_mtime_ns for file in folder.glob("*.partial")}
    assert before
    fit_dask(la, plain, label="y", checkpoint=str(folder))
    check_equal(la, "regression", "last_layer", "kron")
    after = {file.name: file.stat().st_mtime_ns for file in folder.glob("*.partial")}
    assert len(after) == 5
    assert {name: after[name] for name in before} == before, "what was done is not done again"
    # Another posterior of the same rows takes nothing of it.
    other = fit_dask(posterior("regression", structure="diag"), plain, label="y", checkpoint=str(folder))
    check_equal(other, "regression", "last_layer", "diag")


@pytest.mark.parametrize("tune", ["marglik", "auto", "linearized", "validated", "gridsearch"])
def test_tuning_is_that_of_one_machine(cluster: Client, tune: str) -> None:
    for likelihood in ("classification", "regression"):
        x, y = data(likelihood)
        held = {} if tune in ("marglik", "auto", "linearized") else {"X_val": x[:50], "y_val": y[:50]}
        table = dask.dataframe.from_pandas(frame(likelihood), npartitions=4)
        noise = likelihood == "regression"
        validation = (held["X_val"], held["y_val"]) if held else None
        la = fit_dask(posterior(likelihood), table, label="y", tune=tune, tune_sigma_noise=noise, validation=validation)
        alone = posterior(likelihood).fit(x, y)
        alone.optimize_prior_precision(method=tune, tune_sigma_noise=noise, **held)
        assert la.prior_precision == pytest.approx(alone.prior_precision, rel=1e-8)
        np.testing.assert_allclose(la.predict(x).variance, alone.predict(x).variance, rtol=1e-8)


def test_the_linear_model_over_all_weights(cluster: Client) -> None:
    x, y = data("regression")
    table = dask.dataframe.from_pandas(frame("regression"), npartitions=4)

    def auto() -> Laplace:
        return Laplace(posterior("regression").model, "regression", "auto", activation="tanh")

    la = fit_dask(auto(), table, label="y")
    alone = auto().fit(x, y)
    assert la.choice == alone.choice
    np.testing.assert_allclose(la.predict(x).variance, alone.predict(x).variance, rtol=1e-8)
    with pytest.warns(LaplaceWarning, match=r"100 of the 203 rows, drawn by the seed"):
        few = fit_dask(auto(), table, label="y", sample_bytes=100 * 40)
    with pytest.warns(LaplaceWarning):
        again = fit_dask(auto(), table.repartition(npartitions=4), label="y", sample_bytes=100 * 40)
    np.testing.assert_array_equal(few.predict(x).variance, again.predict(x).variance)


def test_predictions_are_columns(cluster: Client) -> None:
    table = dask.dataframe.from_pandas(frame("regression"), npartitions=4)
    la = fit_dask(posterior("regression"), table, features=NAMES, label="y")
    x, _ = data("regression")
    answer = predict_dask(la, table.loc[1:], label="y", alpha=0.1, prefix="p_")
    assert list(answer.columns) == [*NAMES, "y", "p_mean", "p_sd", "p_predictive_sd", "p_lower", "p_upper"]
    computed = answer.compute()
    np.testing.assert_allclose(computed["p_sd"], np.sqrt(la.predict(x).variance[1:, 0]), rtol=1e-10)
    np.testing.assert_allclose(computed[["p_lower", "p_upper"]], la.predict_interval(x)[1:], rtol=1e-10)
    with pytest.raises(OptionError, match="prefix"):
        predict_dask(la, table.assign(mean=1.0), features=NAMES)


def test_arrays_whose_chunks_have_unknown_lengths(cluster: Client) -> None:
    x, y = data("classification")
    table = dask.dataframe.from_pandas(frame("classification"), npartitions=4)
    array, labels = table[NAMES].values, table["y"].values
    la = fit_dask(posterior("classification"), array, labels)
    check_equal(la, "classification", "last_layer", "kron")
    np.testing.assert_allclose(predict_dask(la, array)["mean_1"].compute(), la.predict(x).mean[:, 1], rtol=1e-10)
    # Most blocks are empty, the first among them.
    kept = x[:, 0] > np.sort(x[:, 0])[-3]
    few = predict_dask(la, array[array[:, 0] > np.sort(x[:, 0])[-3]])["mean_1"].compute()
    np.testing.assert_allclose(few, la.predict(x[kept]).mean[:, 1], rtol=1e-10)
    with pytest.raises(DataError, match="no rows to predict for"):
        predict_dask(la, array[array[:, 0] > 1e9])
    with pytest.raises(ShapeError, match=r"4 and 2 blocks of rows, .*compute_chunk_sizes\(\)"):
        fit_dask(posterior("classification"), array, dask.array.from_array(y, chunks=150))


def test_bags_of_bare_rows_are_predicted(cluster: Client) -> None:
    x, y = data("regression")
    la = posterior("regression").fit(x, y)
    answers = predict_dask(la, dask.bag.from_sequence(list(x), npartitions=3)).compute()
    np.testing.assert_allclose([row["mean"] for row in answers], la.predict(x).mean[:, 0], rtol=1e-10)
    with pytest.raises(DataError, match=r"several shapes: \[\(2,\), \(4,\)\]"):
        fit_dask(posterior("regression"), dask.bag.from_sequence([(x[0], 0.0), (x[1, :2], 1.0)], npartitions=1))


def test_errors_of_predictions_name_the_partition(cluster: Client) -> None:
    x, y = data("regression")
    la = posterior("regression").fit(x, y)
    x[120, 2] = np.nan
    table = frame("regression").assign(**dict(zip(NAMES, x.T, strict=True)))
    lazy = [
        predict_dask(la, dask.dataframe.from_pandas(table, npartitions=4), label="y"),
        predict_dask(la, dask.array.from_array(x, chunks=(51, 4)))["mean"],
        predict_dask(la, dask.bag.from_sequence(table[NAMES].to_dict("records"), npartitions=4)),
    ]
    for answer in lazy:
        with pytest.raises(DataError, match=r"^In partition 2, rows 0 to \d+: x must hold finite numbers") as refused:
            answer.compute()
        assert refused.value.data["partition"] == 2


def test_what_cannot_be_is_refused_at_the_start(cluster: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    table = dask.dataframe.from_pandas(frame("classification"), npartitions=3)
    with pytest.raises(OptionError, match="did you mean 'y'"):
        fit_dask(posterior("classification"), table, features=NAMES, label="yy")
    with pytest.raises(OptionError, match="label is missing"):
        fit_dask(posterior("classification"), table)
    with pytest.raises(DataError, match="no rows"):
        fit_dask(posterior("classification"), table[table.a > 1e9], label="y")
    with pytest.raises(DataError, match=r"^In partition \d, rows 0 to \d+: Class labels"):
        fit_dask(posterior("classification"), table.assign(y=7), label="y")
    with pytest.raises(OptionError, match="name of a column"):
        fit_dask(posterior("classification"), table, label="y", sample_weight=COUNTS)
    x, y = data("classification")
    with pytest.raises(OptionError, match="y is a ndarray; .*dask.array.from_array"):
        fit_dask(posterior("classification"), dask.array.from_array(x), y)
    with pytest.raises(OptionError, match="name the column of the labels"):
        fit_dask(posterior("classification"), table[NAMES], table["y"])
    with pytest.raises(OptionError, match=r"delayed value.*dask\.dataframe\.from_delayed"):
        fit_dask(posterior("classification"), dask.delayed(frame)("classification"), label="y")
    with pytest.raises(DataError, match="A batch is a Series"):
        fit_dask(posterior("classification"), table["a"], label="y")
    for engine, kind in ((fit_dask, "dask.array"), (fit_ray, "ray.data"), (fit_spark, "Spark")):
        with pytest.raises(OptionError, match=f"must be a .*{kind}.*; got ndarray"):
            engine(posterior("classification"), x)
    with pytest.raises(ShapeError, match="203 and 150 rows"):
        fit_dask(posterior("classification"), dask.array.from_array(x), dask.array.from_array(y[:150]))
    with pytest.raises(DataError, match="Row 7 of .* has no 'b'"):
        rows = frame("classification").to_dict("records")
        del rows[7]["b"]
        fit_dask(posterior("classification"), dask.bag.from_sequence(rows, npartitions=2), label="y")
    with pytest.raises(DataError, match="no rows to predict for"):
        predict_dask(posterior("classification").fit(x, y), table[table.a > 1e9], label="y")
    fitted = fit_dask(
        posterior("classification"), table[(table.a > 0) | (table.y == 0)].map_partitions(_without_second), label="y"
    )
    assert "fitted to" in repr(fitted), "an empty partition is neutral"

    def set_node(path: str | None) -> None:
        from polylaplace import default_client

        os.environ.pop("POLYLAPLACE_NODE", None)
        if path is not None:
            os.environ["POLYLAPLACE_NODE"] = path
        default_client().restart()

    cluster.run(set_node, "/nowhere/node")
    with pytest.raises(NodeNotFoundError, match=r"On worker .*nowhere"):
        fit_dask(posterior("classification"), table, label="y")
    cluster.run(set_node, None)


def _without_second(part: Any, partition_info: Any = None) -> Any:
    return part.iloc[:0] if partition_info is not None and partition_info["number"] == 1 else part


@pytest.mark.parametrize("subset", ["last_layer", "auto"])
def test_a_sample_of_rows_is_that_of_one_machine(cluster: Client, subset: str) -> None:
    x, y = data("classification")
    options: Any = {"tune": "auto"} if subset == "last_layer" else {}
    variances = []
    for parts in (None, 3, 7):
        la = Laplace(posterior("classification").model, "classification", subset, activation="tanh")
        with pytest.warns(LaplaceWarning, match=r"100 of the 203 rows, drawn by the seed"):
            if parts is None:
                batches = [(x[at : at + 29], y[at : at + 29]) for at in range(0, ROWS, 29)]
                fit_batches(la, batches, sample_bytes=4000, chunk_rows=11, **options)
            else:
                table = dask.dataframe.from_pandas(frame("classification"), npartitions=parts)
                fit_dask(la, table, label="y", sample_bytes=4000, **options)
        variances.append(la.predict(x[:20]).variance)
    for other in variances[1:]:
        np.testing.assert_allclose(other, variances[0], rtol=1e-8)


def test_weights_repeat_rows(cluster: Client) -> None:
    table = dask.dataframe.from_pandas(frame("classification").assign(n=COUNTS), npartitions=3)
    check_weighted(fit_dask(posterior("classification"), table, label="y", sample_weight="n", tune="auto"))
    x, y = (dask.array.from_array(part, chunks=50) for part in data("classification"))
    counts = dask.array.from_array(COUNTS, chunks=40)
    check_weighted(fit_dask(posterior("classification"), x, y, sample_weight=counts, tune="auto"))
    rows = [(*row, n) for row, n in zip(zip(*data("classification"), strict=True), COUNTS, strict=True)]
    bag = dask.bag.from_sequence(rows, npartitions=2)
    check_weighted(fit_dask(posterior("classification"), bag, tune="auto"))


def test_sums_of_the_same_rows_twice(cluster: Client) -> None:
    x, _ = data("classification")
    table = frame("classification")
    twice = dask.dataframe.concat([dask.dataframe.from_pandas(table, npartitions=2)] * 2)
    la = fit_dask(posterior("classification"), twice, label="y")
    assert f"fitted to {2 * ROWS} examples" in repr(la), "rows that are twice in the data count twice"
    check_same(la, posterior("classification").fit(*(np.concatenate([part] * 2) for part in data("classification"))), x)
