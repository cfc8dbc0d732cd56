"""Anything that iterates over batches: pyarrow datasets, DuckDB, polars, generators; on this machine."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .._arguments import Count, checked
from .._exceptions import DataError
from .._laplace import Laplace
from .._progress import ProgressOption
from ._driver import SAMPLE_BYTES, Told, fit, predictor
from ._kinds import Seed, Share
from ._tables import Columns, Features, Label, as_table, count_of, is_arrays
from ._work import FAN_IN, Job, SampleJob, probe


@checked
def fit_batches(
    la: Laplace,
    batches: Any,
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
    threads: Count | None = None,
    progress: ProgressOption = None,
) -> Laplace:
    """Fits a posterior to batches that come one after another; only one of them is held at a time.

    Args:
        batches: a pyarrow dataset, scanner, table or record-batch reader, a DuckDB relation or result, a data frame of
            pandas or polars, lazy ones too; any iterable of Arrow batches, data frames, dictionaries of arrays, (x, y)
            or (x, y, weights). Where `tune` reads rows once more it must give them twice: give a function that returns
            a new iterator, if it is one.
        la, features, label, sample_weight, tune, deterministic, checkpoint and the others: as for `fit_dask`.

    Raises:
        LaplaceError: the posterior of an earlier fit is then untouched.
    """
    return fit(
        la,
        _Batches(batches),
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
def predict_batches(
    la: Laplace,
    batches: Any,
    *,
    features: Features = None,
    label: Label = None,
    alpha: Share | None = None,
    prefix: str = "",
    threads: Count | None = None,
) -> Iterator[Any]:
    """Each batch with the columns of a prediction, as it comes; arguments as for `predict_dask`.

    Yields:
        Of pandas its data frames, of dictionaries dictionaries, else Arrow; of bare rows (n, ...) a dictionary.
    """
    work = predictor(la, features, label, alpha, prefix, threads)
    for number, batch in enumerate(_iterated(batches)):
        if hasattr(batch, "__array__") and not hasattr(batch, "columns"):
            yield work.of_examples(batch, "batch {}", number)
            continue
        table = as_table(batch)
        if count_of(table):
            yield work.table(table, "batch {}", number)


def _iterated(batches: Any) -> Iterator[Any]:
    """The batches of whatever gives them."""
    if callable(batches) and not hasattr(batches, "schema"):
        batches = batches()
    for method in ("to_batches", "fetch_record_batch", "to_arrow_reader", "collect_batches", "iter_slices"):
        if hasattr(batches, method):
            return iter(getattr(batches, method)())
    if hasattr(batches, "iloc") or isinstance(batches, Mapping):
        return iter([batches])
    if isinstance(batches, Iterable):
        return iter(batches)
    raise DataError(
        f"batches must be an iterable of batches or something that gives Arrow batches; got {type(batches).__name__}.",
        "BAD_ARRAY",
    )


class _Batches:
    """Batches that come one after another. Batches of equal rows are all meant."""

    repeats = "count"
    part = "the batches"

    def __init__(self, batches: Any) -> None:
        self._given = batches
        self._next: Iterator[Any] | None = None

    def first(self) -> Any:
        """The first batch with rows; it is given again with the others."""
        iterator = _iterated(self._given)
        for batch in iterator:
            table = batch if is_arrays(batch) else as_table(batch)
            if len(batch[1]) if is_arrays(batch) else count_of(table):
                self._next = itertools.chain([batch], iterator)
                return table
        return None

    def probe(self, version: str, checkpoint: tuple[str, str] | None) -> None:
        probe(version, checkpoint)

    def reduce(self, job: Job, told: Told) -> bytes | None:
        waiting: list[bytes] = []
        for piece in self.pieces(job, told):
            waiting.append(piece)
            if len(waiting) == FAN_IN:
                waiting = [job.merge(waiting)]
        return job.merge(waiting) if waiting else None

    def pieces(self, job: Job, told: Told) -> Iterator[bytes]:
        batches = self._next if self._next is not None else self._again()
        self._next = None
        # Rows of a sample are known by their place; chunks of sums by what they hold, whatever the order.
        yield from job.leaf(self._watched(batches, told), 0 if isinstance(job, SampleJob) else None)

    def _again(self) -> Iterator[Any]:
        if isinstance(self._given, Iterator) or (again := _iterated(self._given)) is self._given:
            raise DataError(
                "The rows are read once more for this way of tuning, and the iterator is at its end: give a function "
                "that returns a new one, or something that can be read again.",
                "EMPTY_DATA",
            )
        return again

    @staticmethod
    def _watched(batches: Iterator[Any], told: Told) -> Iterator[Any]:
        for done, batch in enumerate(batches, 1):
            yield batch
            told(done, 0)
