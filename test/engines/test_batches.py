"""Streams of Arrow batches: pyarrow, DuckDB, polars, generators."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
import pytest
from conftest import (
    COUNTS,
    KINDS,
    NAMES,
    ROWS,
    check_equal,
    check_weighted,
    data,
    frame,
    posterior,
)
from polylaplace import DataError, Laplace, OptionError, StateError, UntrustedInputError, merge
from polylaplace._options import TUNE_METHODS
from polylaplace.distributed import fit_batches, predict_batches


@pytest.mark.parametrize(("likelihood", "subset", "structure"), KINDS)
def test_equals_one_machine(likelihood: str, subset: str, structure: str) -> None:
    batches = pa.Table.from_pandas(frame(likelihood)).to_batches(max_chunksize=23)
    la = fit_batches(posterior(likelihood, subset, structure), batches, label="y", chunk_rows=17)
    check_equal(la, likelihood, subset, structure)


def test_everything_that_gives_batches(tmp_path: Path) -> None:
    table = frame("classification")
    arrow = pa.Table.from_pandas(table)
    pa.parquet.write_table(arrow, tmp_path / "rows.parquet", row_group_size=50)
    x, y = data("classification")
    vectors = pa.table({"x": pa.FixedSizeListArray.from_arrays(pa.array(x.ravel()), 4), "y": pa.array(y)})
    for source, columns in (
        (arrow, {}),
        (pa.dataset.dataset(tmp_path / "rows.parquet"), {}),
        (pa.RecordBatchReader.from_batches(arrow.schema, arrow.to_batches()), {}),
        (duckdb.sql(f"select * from '{tmp_path / 'rows.parquet'}'"), {}),
        (polars.from_pandas(table), {}),
        (polars.from_pandas(table).iter_slices(40), {}),
        (polars.scan_parquet(tmp_path / "rows.parquet"), {}),
        ([table.iloc[:100], table.iloc[100:]], {}),
        ([{name: table[name].to_numpy() for name in table}], {}),
        ([(x[:90], y[:90]), (x[90:], y[90:])], {}),
        (vectors, {"features": "x"}),
        (lambda: iter(arrow.to_batches()), {"features": NAMES}),
    ):
        la = fit_batches(posterior("classification"), source, label="y", **columns)
        check_equal(la, "classification", "last_layer", "kron")


def test_columns_are_taken_by_name() -> None:
    table = frame("regression")
    x, _ = data("regression")
    turned = table[["y", "d", "c", "b", "a"]]
    la = fit_batches(posterior("regression"), [table[:100], turned[100:]], label="y")
    check_equal(la, "regression", "last_layer", "kron")
    (answers,) = predict_batches(la, turned, label="y")
    np.testing.assert_array_equal(answers["mean"], la.predict(x).mean[:, 0])
    pairs = [(part.drop(columns="y"), part["y"]) for part in (table[:100], turned[100:])]
    check_equal(fit_batches(posterior("regression"), pairs), "regression", "last_layer", "kron")
    with pytest.raises(DataError, match="columns of 'input' are not those of the training"):
        list(predict_batches(la, table.rename(columns={"a": "A"}), label="y"))
    with pytest.raises(OptionError, match="those of the first batch a, b, c, d"):
        fit_batches(posterior("regression"), [table[:100], table[100:].assign(z=0.0)], label="y")
    sums = [posterior("regression").fit_partial(*pair) for pair in pairs]
    with pytest.raises(StateError, match="Give every part the same columns in the same order"):
        merge(sums)


def test_columns_that_hold_no_numbers_are_named() -> None:
    table = frame("regression")
    for values, error in (
        ("u", "column 'b'. holds text"),
        (pd.Timestamp("2020-01-01"), "column 'b'. holds dates"),
        (np.nan, r"column 1 .'b'."),
    ):
        with pytest.raises(DataError, match=error):
            fit_batches(posterior("regression"), table.assign(b=values), label="y")
    with pytest.raises(OptionError, match="2 columns 'a'"):
        fit_batches(posterior("regression"), pd.concat([table, table[["a"]]], axis=1), label="y")


def test_the_order_of_batches_changes_no_bit() -> None:
    batches = pa.Table.from_pandas(frame("regression")).to_batches(max_chunksize=10)
    fits = [
        fit_batches(posterior("regression"), order, label="y", chunk_rows=10, deterministic=True)
        for order in (batches[:-1], batches[-2::-1], batches[7:-1] + batches[:7])
    ]
    assert len({la.log_marginal_likelihood() for la in fits}) == 1
    x, _ = data("regression")
    assert len({la.predict(x).variance.tobytes() for la in fits}) == 1


def test_a_stream_that_breaks_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    batches = pa.Table.from_pandas(frame("regression")).to_batches(max_chunksize=20)

    def broken() -> Any:
        yield from batches[:6]
        raise OSError("the connection was lost")

    la = posterior("regression")
    with pytest.raises(OSError, match="connection"):
        fit_batches(la, broken(), label="y", chunk_rows=20, checkpoint=str(tmp_path))
    before = {file.name: file.stat().st_mtime_ns for file in tmp_path.glob("*.partial")}
    assert len(before) >= 5
    fit_batches(la, batches, label="y", chunk_rows=20, checkpoint=str(tmp_path))
    check_equal(la, "regression", "last_layer", "kron")
    after = {file.name: file.stat().st_mtime_ns for file in tmp_path.glob("*.partial")}
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize("place", ["", "file", "file/below"])
def test_a_checkpoint_that_is_no_folder_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OptionError, match="checkpoint must be a folder that can be written to"):
        fit_batches(posterior("regression"), [data("regression")], checkpoint=place and str(tmp_path / place))


def test_a_damaged_file_of_a_checkpoint_is_named(tmp_path: Path) -> None:
    x, y = data("regression")
    fit_batches(posterior("regression"), [(x, y)], checkpoint=tmp_path)
    (file,) = tmp_path.glob("*.partial")
    whole = file.read_bytes()
    others = posterior("regression").fit_partial(x[:9], y[:9]).to_bytes()
    for content, words in (
        (b"", "is damaged"),
        (whole[:99], "is damaged"),
        (whole[:-20] + bytes(20), "is damaged"),
        (others, "holds the sums of other rows"),
    ):
        file.write_bytes(content)
        with pytest.raises(UntrustedInputError, match=f"{file.name} {words}.*Remove it"):
            fit_batches(posterior("regression"), [(x, y)], checkpoint=tmp_path)


def test_labels_of_rows_in_another_order_are_refused() -> None:
    table = frame("regression")
    x, y = table[NAMES], table["y"]
    la = posterior("regression")
    for batch in ((x, y[::-1]), (x[::-1], y), (x, y, table["a"].abs()[::-1])):
        with pytest.raises(DataError, match=r"\(their index\) in another order"):
            fit_batches(la, [batch])
    with pytest.raises(DataError, match=r"validation\[1\] .* in another order"):
        fit_batches(la, [(x, y)], tune="validated", validation=(x, y[::-1]))


def test_tuning_reads_twice_and_says_when_it_cannot() -> None:
    batches = pa.Table.from_pandas(frame("classification")).to_batches(max_chunksize=30)
    x, y = data("classification")
    alone = posterior("classification").fit(x, y).optimize_prior_precision(method="auto")
    for source in (batches, lambda: iter(batches)):
        la = fit_batches(posterior("classification"), source, label="y", tune="auto")
        assert la.prior_precision == pytest.approx(alone.prior_precision, rel=1e-8)
    la = posterior("classification")
    with pytest.raises(DataError, match="give a function"):
        fit_batches(la, iter(batches), label="y", tune="auto")
    assert "not fitted" in repr(la)


def test_weights_repeat_rows() -> None:
    table = pa.Table.from_pandas(frame("classification").assign(n=COUNTS))
    x, y = data("classification")
    for source, column in ((table, "n"), ([(x[:99], y[:99], COUNTS[:99]), (x[99:], y[99:], COUNTS[99:])], None)):
        la = posterior("classification")
        fit_batches(la, source, label="y", sample_weight=column, tune="auto", chunk_rows=31)
        check_weighted(la)
    with pytest.raises(OptionError, match="whole number"):
        halves = table.set_column(table.column_names.index("n"), "n", pa.array(COUNTS / 2))
        fit_batches(posterior("classification"), halves, label="y", sample_weight="n", tune="auto")
    sums = fit_batches(posterior("classification"), halves, label="y", sample_weight="n", chunk_rows=50)
    alone = posterior("classification").fit(x, y, sample_weight=COUNTS / 2)
    np.testing.assert_allclose(sums.predict(x).variance, alone.predict(x).variance, rtol=1e-10)
    part = posterior("classification").fit_partial(x[:7], y[:7], sample_weight=np.full(7, 0.5))
    assert pickle.loads(pickle.dumps(part)).n == 3.5


@pytest.mark.parametrize("tune", ["marglik", "validated"])
def test_a_posterior_that_the_rows_choose_is_tuned_as_asked(tune: str) -> None:
    x, y = data("classification")
    model = posterior("classification").model
    held = (x[:50], y[:50]) if tune == "validated" else None
    la = fit_batches(Laplace(model, "classification", "auto", activation="tanh"), [(x, y)], tune=tune, validation=held)
    alone = Laplace(model, "classification", "auto", activation="tanh")
    alone.tuned_fit(x, y, {**alone._fit_options(), "tune": tune}, held)
    assert alone.choice is None or alone.choice.structure == la.choice.structure
    assert la.prior_precision == pytest.approx(alone.prior_precision, rel=1e-8)
    np.testing.assert_allclose(la.predict(x).variance, alone.predict(x).variance, rtol=1e-8)


def test_errors_name_the_rows() -> None:
    table = frame("classification").astype({"y": float})
    table.loc[100, "y"] = np.nan
    with pytest.raises(DataError, match=r"^In the batches, rows 80 to 119: "):
        fit_batches(posterior("classification"), table.iloc[:200], label="y", chunk_rows=40)

    la = posterior("classification").fit(*data("classification"))
    x, _ = data("classification")
    x[100, 0] = np.inf
    with pytest.raises(DataError, match=r"^In batch 2, rows 0 to 39: x must hold finite numbers"):
        list(predict_batches(la, [x[at : at + 40] for at in range(0, 200, 40)]))
    with pytest.raises(DataError, match=r"^In batch 1, rows 0 to 102: x must hold finite numbers"):
        list(predict_batches(la, [{"x": x[:100]}, {"x": x[100:]}], features="x"))


def test_a_driver_that_is_killed_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    script = """
import os, signal, sys
from conftest import data, posterior
from polylaplace.distributed import fit_batches
x, y = data("regression")
def rows():
    for at in range(0, len(x), 20):
        if at == 120:
            os.kill(os.getpid(), signal.SIGKILL)
        yield x[at : at + 20], y[at : at + 20]
fit_batches(posterior("regression"), rows(), chunk_rows=20, checkpoint=sys.argv[1])
"""
    paths = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    killed = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], env={**os.environ, "PYTHONPATH": paths}, timeout=300
    )
    assert killed.returncode == -signal.SIGKILL
    before = {file.name: file.stat().st_mtime_ns for file in tmp_path.glob("*.partial")}
    assert len(before) == 6
    x, y = data("regression")
    batches = [(x[at : at + 20], y[at : at + 20]) for at in range(0, ROWS, 20)]
    check_equal(
        fit_batches(posterior("regression"), batches, chunk_rows=20, checkpoint=str(tmp_path)),
        "regression", "last_layer", "kron",
    )  # fmt: skip
    after = {file.name: file.stat().st_mtime_ns for file in tmp_path.glob("*.partial")}
    assert {name: after[name] for name in before} == before, "what was done is not done again"


def test_predictions_are_columns() -> None:
    table = pa.Table.from_pandas(frame("regression"), preserve_index=False)
    la = fit_batches(posterior("regression"), table, label="y")
    x, _ = data("regression")
    answers = list(predict_batches(la, table.to_batches(max_chunksize=50), label="y", alpha=0.1))
    assert len(answers) == 5
    joined = pa.Table.from_batches(answers)
    np.testing.assert_allclose(joined.column("sd"), np.sqrt(la.predict(x).variance[:, 0]), rtol=1e-10)
    np.testing.assert_allclose(joined.column("lower"), la.predict_interval(x)[:, 0], rtol=1e-10)
    (frame_,) = predict_batches(la, [frame("regression")], features=NAMES, prefix="p_")
    assert list(frame_.columns) == [*NAMES, "y", "p_mean", "p_sd", "p_predictive_sd"]
    with pytest.raises(OptionError, match="no column 'e'"):
        list(predict_batches(la, table, features=["a", "b", "c", "e"]))


def test_what_cannot_be_is_refused_before_the_first_row() -> None:
    def never() -> Any:
        raise AssertionError("rows were read")
        yield

    x, y = data("classification")
    for options, words in (
        ({"tune": "margliik"}, "tune must be one of .*Did you mean 'marglik'"),
        ({"tune": "validated"}, r"give validation=\(X, y\)"),
        ({"tune": "gridsearch"}, r"give validation=\(X, y\)"),
        ({"tune": "grid", "validation": x}, r"validation must be held-out rows \(X, y\)"),
        ({"validation": (x, y)}, "validation goes with a way of tuning"),
        ({"tune_sigma_noise": True}, "tune_sigma_noise goes with a way of tuning"),
        ({"chunk_rows": -1}, "chunk_rows must be a whole number above 0; got -1"),
        ({"chunk_rows": "all"}, "chunk_rows must be a whole number"),
        ({"sample_bytes": 0}, "sample_bytes must be a whole number above 0"),
        ({"threads": 0}, "threads must be a whole number above 0"),
        ({"seed": -1}, "seed must be a whole number from 0"),
        ({"checkpoint": 3}, "checkpoint must be text or a path"),
        ({"deterministic": "yes"}, "deterministic must be True or False"),
    ):
        with pytest.raises(OptionError, match=words):
            fit_batches(posterior("classification"), never(), label="y", **options)


def test_the_words_of_tuning_are_those_of_the_server() -> None:
    x, y = data("classification")
    with pytest.raises(OptionError, match=f"must be one of {', '.join(TUNE_METHODS)}; got"):
        posterior("classification").fit(x, y).optimize_prior_precision(method="nothing")
