"""Spark in local-cluster mode (executors of their own): equality with one machine, and an executor that dies."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyspark
import pytest
from conftest import (
    COUNTS,
    KINDS,
    NAMES,
    check_equal,
    check_same,
    check_weighted,
    data,
    frame,
    once,
    posterior,
)
from polylaplace import DataError, LaplaceWarning, NodeNotFoundError, Progress
from polylaplace.distributed import fit_batches, fit_spark, predict_spark
from pyspark.sql import SparkSession


@contextmanager
def session_of(executors: int, **environment: str) -> Iterator[SparkSession]:
    """A session whose executors are processes of their own, with these variables."""
    os.environ.setdefault("SPARK_HOME", str(Path(pyspark.__file__).parent))
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = (
        SparkSession.builder.master(f"local-cluster[{executors},1,1024]")
        .config("spark.ui.enabled", "false")
        .config("spark.executor.memory", "512m")
        .config("spark.sql.shuffle.partitions", "4")
        .config("spark.executorEnv.PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    )
    for name, value in environment.items():
        builder = builder.config(f"spark.executorEnv.{name}", value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()


@pytest.fixture(scope="module")
def spark() -> Iterator[SparkSession]:
    with session_of(2) as session:
        yield session


def table(spark: SparkSession, likelihood: str, partitions: int = 5) -> Any:
    return spark.createDataFrame(frame(likelihood)).repartition(partitions)


@pytest.mark.parametrize(("likelihood", "subset", "structure"), KINDS)
def test_equals_one_machine(spark: SparkSession, likelihood: str, subset: str, structure: str) -> None:
    told: list[Progress] = []
    rows = table(spark, likelihood)
    la = fit_spark(posterior(likelihood, subset, structure), rows, label="y", chunk_rows=17, progress=told.append)
    check_equal(la, likelihood, subset, structure)
    assert told[-1].merges >= 11
    assert told[-1].network_bytes > 0


def test_a_killed_executor_loses_and_repeats_nothing(spark: SparkSession, tmp_path: Path) -> None:
    mark = str(tmp_path / "killed")

    def kills(batches: Any) -> Any:
        from pyspark import TaskContext

        if TaskContext.get().partitionId() == 2 and once(Path(mark)):
            # The parent of Python's daemon is the executor.
            daemon = os.getppid()
            executor = int(Path(f"/proc/{daemon}/stat").read_text().rpartition(")")[2].split()[1])
            os.kill(executor, signal.SIGKILL)
        yield from batches

    rows = table(spark, "regression").mapInArrow(kills, table(spark, "regression").schema)
    la = fit_spark(posterior("regression"), rows, label="y")
    assert Path(mark).exists()
    check_equal(la, "regression", "last_layer", "kron")


def test_bits_checkpoints_tuning_and_columns(spark: SparkSession, tmp_path: Path) -> None:
    rows = table(spark, "classification", 4).cache()
    folder = tmp_path / "checkpoint"
    fits = [
        fit_spark(posterior("classification"), rows, label="y", deterministic=True, checkpoint=str(folder))
        for _ in range(2)
    ]
    assert len(list(folder.glob("*.partial"))) == 4
    assert fits[0].log_marginal_likelihood() == fits[1].log_marginal_likelihood()
    la = fit_spark(posterior("classification"), rows, label="y", tune="auto")
    x, y = data("classification")
    alone = posterior("classification").fit(x, y).optimize_prior_precision(method="auto")
    assert la.prior_precision == pytest.approx(alone.prior_precision, rel=1e-7)
    answer = predict_spark(la, rows, features=NAMES).toPandas()
    expected = la.predict(answer[NAMES].to_numpy())
    np.testing.assert_allclose(answer["probability_2"], expected.probabilities[:, 2], rtol=1e-10)
    np.testing.assert_array_equal(answer["class"], expected.probabilities.argmax(axis=1))


def test_weights_repeat_rows(spark: SparkSession) -> None:
    rows = spark.createDataFrame(frame("classification").assign(n=COUNTS)).repartition(3)
    check_weighted(fit_spark(posterior("classification"), rows, label="y", sample_weight="n", tune="auto"))


def test_errors_come_as_they_were_thrown(spark: SparkSession) -> None:
    rows = table(spark, "classification", 2).withColumn("y", pyspark.sql.functions.lit(7))
    with pytest.raises(
        DataError, match=r"^In partition \d, rows 0 to \d+: Class labels must be integers 0 to 2"
    ) as refused:
        fit_spark(posterior("classification"), rows, label="y")
    assert refused.value.code == "BAD_LABELS"
    # What is computed later raises what Spark makes of it.
    la = posterior("classification").fit(*data("classification"))
    x, _ = data("classification")
    x[150, 1] = np.nan
    holes = spark.createDataFrame(frame("classification").assign(b=x[:, 1])).coalesce(1)
    with pytest.raises(Exception, match=r"In partition 0, batch 0, rows 0 to 202: x must hold finite numbers"):
        predict_spark(la, holes, label="y").collect()


def test_a_sample_of_rows_is_that_of_one_machine(spark: SparkSession) -> None:
    x, y = data("classification")
    rows = spark.createDataFrame(frame("classification")).coalesce(3)
    fits = []
    for fit, source in (
        (fit_spark, rows),
        (fit_batches, [(x[at : at + 29], y[at : at + 29]) for at in range(0, 203, 29)]),
    ):
        with pytest.warns(LaplaceWarning, match=r"100 of the 203 rows, drawn by the seed"):
            fits.append(fit(posterior("classification"), source, label="y", tune="auto", sample_bytes=4000))
    check_same(*fits, x)


def test_executors_without_node_are_refused_before_the_rows(spark: SparkSession) -> None:
    # One context a process: this test is the last.
    spark.stop()
    with session_of(1, POLYLAPLACE_NODE="/nowhere/node") as session:
        rows = table(session, "classification", 2)
        with pytest.raises(NodeNotFoundError, match=r"On worker .*nowhere"):
            fit_spark(posterior("classification"), rows, label="y")
