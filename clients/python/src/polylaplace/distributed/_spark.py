"""Spark: `mapInArrow` over the partitions, then the pieces merged group by group."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from typing import Any

from .._arguments import Count, checked
from .._exceptions import LaplaceError
from .._laplace import Laplace
from .._progress import ProgressOption
from ._driver import SAMPLE_BYTES, Told, fit, predictor, told_as_text
from ._extras import needed
from ._kinds import Seed, Share
from ._tables import Columns, Features, Label, demand_method
from ._work import FAN_IN, Job, Predict, probe

_PIECES = "part long, piece binary"
_KIND = "a data frame of Spark"


@checked
def fit_spark(
    la: Laplace,
    dataframe: Any,
    *,
    features: Features = None,
    label: Label = None,
    sample_weight: str | None = None,
    tune: str | None = None,
    tune_sigma_noise: bool = False,
    validation: tuple[Any, Any] | None = None,
    deterministic: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    chunk_rows: Count | None = None,
    sample_bytes: Count = SAMPLE_BYTES,
    seed: Seed = 0,
    threads: Count | None = 1,
    progress: ProgressOption = None,
) -> Laplace:
    """Fits a posterior to a Spark data frame: `mapInArrow`, then `applyInArrow` by groups of sixteen partitions.

    Args:
        dataframe: with a column for each feature, or one of arrays (of a VectorUDT make one with vector_to_array).
        la, features, label, sample_weight, tune, deterministic, checkpoint and the others: as for `fit_dask`.

    Raises:
        LaplaceError: the posterior of an earlier fit is then untouched.
    """
    return fit(
        la,
        _Spark(dataframe),
        Columns(features, label, sample_weight),
        tune=tune,
        tune_sigma_noise=tune_sigma_noise,
        validation=validation,
        deterministic=deterministic,
        checkpoint=checkpoint,
        chunk_rows=chunk_rows,
        sample_bytes=sample_bytes,
        seed=seed,
        threads=threads,
        progress=progress,
    )


@checked
def predict_spark(
    la: Laplace,
    dataframe: Any,
    *,
    features: Features = None,
    label: Label = None,
    alpha: Share | None = None,
    prefix: str = "",
    threads: Count | None = 1,
) -> Any:
    """The data frame with the columns of a prediction, lazy as it was; arguments as for `predict_dask`."""
    demand_method(dataframe, "mapInArrow", _KIND)
    work = predictor(la, features, label, alpha, prefix, threads)
    first = dataframe.limit(1).toArrow()
    types = needed("pyspark.sql.types", "spark")
    kinds = {"b": types.BooleanType, "i": types.LongType}
    added = [
        types.StructField(name, kinds.get(values.dtype.kind, types.DoubleType)())
        for name, values in work.of(first).items()
    ]
    return dataframe.mapInArrow(_predicts(work), types.StructType([*dataframe.schema.fields, *added]))


def _predicts(work: Predict) -> Any:
    def predicts(batches: Any) -> Any:
        partition = needed("pyspark", "spark").TaskContext.get().partitionId()
        for number, batch in enumerate(batches):
            if batch.num_rows:
                yield work.table(batch, f"{_Spark.part}, batch {number}", partition)

    return predicts


def _fits(job: Job) -> Any:
    def fits(batches: Any) -> Any:
        pa = needed("pyarrow", "spark")
        part = needed("pyspark", "spark").TaskContext.get().partitionId()
        try:
            for piece in job.leaf(batches, part):
                yield pa.RecordBatch.from_pydict({"part": [part], "piece": [piece]})
        except LaplaceError as error:
            raise told_as_text(error) from None

    return fits


def _merges(job: Job, divisor: int) -> Any:
    def merges(table: Any) -> Any:
        pa = needed("pyarrow", "spark")
        pieces = sorted(zip(table.column("part").to_pylist(), table.column("piece").to_pylist(), strict=True))
        return pa.table({"part": [pieces[0][0] // divisor], "piece": [job.merge(piece for _, piece in pieces)]})

    return merges


class _Spark:
    """A data frame of Spark. Its partitions keep their numbers when a task is tried again, or runs twice."""

    repeats = "skip"
    part = "partition {}"

    def __init__(self, dataframe: Any) -> None:
        demand_method(dataframe, "mapInArrow", _KIND)
        self._dataframe = dataframe

    def first(self) -> Any:
        table = self._dataframe.limit(1).toArrow()
        return table if table.num_rows else None

    def probe(self, version: str, checkpoint: tuple[str, str] | None) -> None:
        session = self._dataframe.sparkSession
        tasks = _or(lambda: session.sparkContext.defaultParallelism, 8)

        def probes(batches: Any) -> Any:
            pa = needed("pyarrow", "spark")
            for _ in batches:
                pass
            try:
                yield pa.RecordBatch.from_pydict({"host": [probe(version, checkpoint)]})
            except LaplaceError as error:
                raise told_as_text(error) from None

        session.range(tasks, numPartitions=tasks).mapInArrow(probes, "host string").collect()

    def reduce(self, job: Job, told: Told) -> bytes | None:
        level = self._leaves(job)
        partitions = _or(lambda: int(self._dataframe.rdd.getNumPartitions()), FAN_IN**2)
        for _ in range(math.ceil(math.log(max(2, partitions), FAN_IN))):
            f = needed("pyspark.sql.functions", "spark")
            group = f.floor(f.col("part") / FAN_IN).cast("long")
            level = level.groupBy(group.alias("group")).applyInArrow(_merges(job, FAN_IN), _PIECES)
        pieces = sorted((row["part"], bytes(row["piece"])) for row in level.collect())
        told(partitions, partitions)
        return job.merge(piece for _, piece in pieces) if pieces else None

    def pieces(self, job: Job, told: Told) -> Iterator[bytes]:
        leaves = self._leaves(job).persist()
        try:
            total = leaves.count()
            for done, row in enumerate(leaves.toLocalIterator(), 1):
                yield bytes(row["piece"])
                told(done, total)
        finally:
            leaves.unpersist()

    def _leaves(self, job: Job) -> Any:
        return self._dataframe.mapInArrow(_fits(job), _PIECES)


def _or(ask: Any, otherwise: int) -> int:
    """What the cluster says of itself; Spark Connect says less."""
    try:
        return int(ask())
    except Exception:
        return otherwise
