"""Dask: arrays, data frames and bags, on any scheduler."""

from __future__ import annotations

import itertools
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .._arguments import Count, checked
from .._exceptions import DataError, OptionError, ShapeError
from .._laplace import Laplace
from .._progress import ProgressOption
from ._driver import SAMPLE_BYTES, Told, fit, predictor
from ._extras import needed
from ._kinds import Seed, Share
from ._tables import Columns, Features, Label, demand_method, is_arrays
from ._work import FAN_IN, Job, Predict, probe

_KIND = "a dask.array, dask.dataframe or dask.bag"


@checked
def fit_dask(
    la: Laplace,
    data: Any,
    y: Any = None,
    *,
    features: Features = None,
    label: Label = None,
    sample_weight: Any = None,
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
    """Fits a posterior to data of Dask, a partition a task, merged in a tree.

    Args:
        la: the posterior to fit; it is returned.
        data: a dask.dataframe; a dask.array (n, ...) with `y`; a dask.bag of rows (x, y) or (x, y, weight), or of
            dictionaries.
        y: the labels of an array, a dask.array (n,) or (n, C).
        features, label: columns of a table; without features all but the label. A dictionary names those of each input.
        sample_weight: how often each row counts: a column of a table, or beside a dask.array one (n,).
        tune: how the prior is tuned afterwards, as `method` of `optimize_prior_precision`; None: not at all.
        tune_sigma_noise, validation: as there; validation rows (X, y) are at the driver.
        deterministic: the same bits in whatever order partitions come and are numbered: their sums pass through the
            driver one by one.
        checkpoint: a folder that all workers share, where every chunk's sums are kept: a later run goes on from there.
        chunk_rows: rows that are summed at once; None: 65536, or what 64 MiB hold.
        sample_bytes, seed: of the rows that `tune` reads once more.
        threads: of each worker's engine.
        progress: True for a bar, or a function.

    Raises:
        LaplaceError: the posterior of an earlier fit is then untouched.
    """
    beside = _is_array(sample_weight)
    engine = _Dask(data, y, sample_weight if beside else None)
    return fit(
        la,
        engine,
        Columns(features, label, None if beside else sample_weight),
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
def predict_dask(
    la: Laplace,
    data: Any,
    *,
    features: Features = None,
    label: Label = None,
    alpha: Share | None = None,
    prefix: str = "",
    threads: Count | None = 1,
) -> Any:
    """Predictions without collecting: a data frame with more columns, a bag of dictionaries, or arrays by column.

    Args:
        label: a column that is no feature, where `features` are not named.
        alpha: adds intervals that a share alpha of new observations may lie outside; sets of classes after
            `conformalize`.
        prefix: of the names of the new columns.

    Returns:
        Of a data frame a data frame, lazy as it was; of an array a dictionary of arrays (n,).
    """
    _demand_collection(data)
    work = predictor(la, features, label, alpha, prefix, threads)
    if _is_array(data):
        rows = _by_rows(data)
        names = _names_of_array(rows, work)
        columns = rows.map_blocks(
            _array_columns, work, names, dtype=np.float64, drop_axis=list(range(1, rows.ndim)), new_axis=1,
            chunks=(rows.chunks[0], (len(names),)),
        )  # fmt: skip
        return {name: columns[:, i] for i, name in enumerate(names)}
    if hasattr(data, "map_partitions") and hasattr(data, "columns"):
        meta = work.table(data.head(1, npartitions=-1)).iloc[:0]
        return data.map_partitions(_frame_columns, work, meta, meta=meta)
    columns = needed("dask", "dask").delayed(_bag_columns)
    numbered = enumerate(data.to_delayed())
    return needed("dask.bag", "dask").from_delayed([columns(part, work, number) for number, part in numbered])


def _names_of_array(rows: Any, work: Predict) -> list[str]:
    """The columns that rows of an array get, told by the first of them: not all blocks need have some."""
    first = _first_of([(block,) for block in rows.to_delayed().ravel()])
    if first is None:
        raise DataError(
            "There are no rows to predict for, so that it is not known which columns they get.", "EMPTY_DATA"
        )
    return list(work.of_examples(first))


def _frame_columns(frame: Any, work: Predict, meta: Any, partition_info: Any = None) -> Any:
    number = None if partition_info is None else partition_info["number"]
    return work.table(frame, _Dask.part, number) if len(frame) else meta


def _array_columns(rows: Any, work: Predict, names: list[str], block_info: Any = None) -> Any:
    number = block_info[0]["chunk-location"][0] if block_info else None
    columns = work.of_examples(rows, _Dask.part, number) if len(rows) else {name: np.empty(0) for name in names}
    return np.column_stack([np.asarray(column, np.float64) for column in columns.values()])


def _bag_columns(rows: Any, work: Predict, number: int) -> list[dict[str, Any]]:
    listed = list(rows)
    if not listed:
        return []
    bare = hasattr(listed[0], "__array__")
    table = (_stacked(listed),) if bare else _of_records(listed)
    named = (_Dask.part, number)
    columns = work.of_examples(table[0], *named) if isinstance(table, tuple) else work.of(table, *named)
    given = listed if isinstance(listed[0], Mapping) else [{} for _ in listed]
    return [{**row, **{name: column[i].item() for name, column in columns.items()}} for i, row in enumerate(given)]


def _demand_collection(data: Any) -> None:
    """Refuses what is no collection of Dask's: data at hand, and delayed values, whose partitions nobody knows."""
    if not _is_array(data) and type(data).__name__.startswith("Delayed"):
        raise OptionError(
            f"The data must be {_KIND}; got a delayed value. Make a collection of such values, for example by "
            "dask.dataframe.from_delayed or dask.bag.from_delayed.",
            "BAD_OPTION",
            {"option": "data"},
        )
    demand_method(data, "to_delayed", _KIND)


def _is_array(data: Any) -> bool:
    return hasattr(data, "map_blocks") and isinstance(getattr(data, "chunks", None), tuple)


def _by_rows(array: Any) -> Any:
    """The array with chunks along the rows alone."""
    return array if all(n == 1 for n in array.numblocks[1:]) else array.rechunk(dict.fromkeys(range(1, array.ndim), -1))


def _as_divided(array: Any, rows: Any) -> Any:
    """The array in the chunks of the rows that it stands beside."""
    if not math.isnan(array.shape[0] + rows.shape[0]) and array.shape[0] != rows.shape[0]:
        raise ShapeError(
            f"The arrays have {rows.shape[0]} and {array.shape[0]} rows: labels and weights are one a row.",
            "SHAPE_MISMATCH",
        )
    if array.chunks[0] == rows.chunks[0] or array.numblocks[0] == rows.numblocks[0]:
        return _by_rows(array)
    if math.isnan(array.shape[0] + rows.shape[0]):
        raise ShapeError(
            f"The arrays have {rows.numblocks[0]} and {array.numblocks[0]} blocks of rows, and of some of them it is "
            "not known how long they are: array.compute_chunk_sizes() finds it out.",
            "SHAPE_MISMATCH",
        )
    return _by_rows(array.rechunk({0: rows.chunks[0]}))


def _of_records(records: Sequence[Any]) -> Any:
    """Rows of a bag as a table or as arrays (x, y); batches stay what they are."""
    first = records[0]
    if isinstance(first, Mapping):
        for number, row in enumerate(records):
            if missing := [name for name in first if name not in row]:
                raise DataError(
                    f"Row {number} of a bag's partition has no '{missing[0]}', which the first row has.", "BAD_ARRAY"
                )
        return {name: np.asarray([row[name] for row in records]) for name in first}
    if is_arrays(first):
        return tuple(_stacked(part) for part in zip(*records, strict=True))
    raise OptionError(
        "A bag's elements must be rows (x, y) or (x, y, weight), or dictionaries by column; got "
        f"{type(first).__name__}.",
        "BAD_OPTION",
        {"option": "data"},
    )


def _stacked(rows: Sequence[Any]) -> Any:
    """Rows of a bag as one array."""
    shapes = {np.shape(row) for row in rows}
    if len(shapes) > 1:
        raise DataError(f"Rows of a bag's partition have several shapes: {sorted(shapes)[:4]}.", "BAD_ARRAY")
    return np.stack([np.asarray(row) for row in rows])


def _first_of(parts: Sequence[tuple[Any, ...]]) -> Any:
    """The first row of the partitions, cut where it lies: all of a partition may be large. None where there is none."""
    dask = needed("dask", "dask")
    for part in parts:
        (row,) = dask.compute(dask.delayed(_first_row)(*part))
        if row is not None:
            return row
    return None


def _first_row(*blocks: Any) -> Any:
    """The first row of a partition; None of an empty one."""
    if is_arrays(blocks):
        return tuple(block[:1] for block in blocks) if len(blocks[1]) else None
    if hasattr(blocks[0], "iloc"):
        return blocks[0].iloc[:1] if len(blocks[0]) else None
    if hasattr(blocks[0], "__array__"):
        return blocks[0][:1] if len(blocks[0]) else None
    records = list(itertools.islice(blocks[0], 1))
    return _of_records(records) if records else None


def _leaf(job: Job, partition: int, *blocks: Any) -> list[bytes]:
    """The pieces of one partition."""
    if is_arrays(blocks):
        return list(job.leaf([blocks], partition))
    if hasattr(blocks[0], "iloc"):
        return list(job.leaf([blocks[0]], partition))
    records = list(blocks[0])
    return list(job.leaf([_of_records(records)] if records else [], partition))


def _merge(job: Job, pieces: list[list[bytes]]) -> list[bytes]:
    """Pieces as one; those of empty partitions are not there."""
    flat = [piece for part in pieces for piece in part]
    return [job.merge(flat)] if flat else []


class _Dask:
    """Data of Dask on the present scheduler."""

    repeats = "skip"
    part = "partition {}"

    def __init__(self, data: Any, y: Any, weights: Any = None) -> None:
        self._dask = needed("dask", "dask")
        if _is_array(data):
            if not _is_array(y):
                what = "y is missing: the" if y is None else f"y is a {type(y).__name__}; the"
                raise OptionError(
                    f"{what} labels of a dask.array are one too (dask.array.from_array(y)).",
                    "BAD_OPTION",
                    {"option": "y"},
                )
            rows = _by_rows(data)
            beside = [_as_divided(part, rows) for part in (y, weights) if part is not None]
            blocks = [part.to_delayed().ravel() for part in (rows, *beside)]
            self._parts: list[tuple[Any, ...]] = list(zip(*blocks, strict=True))
        else:
            _demand_collection(data)
            if y is not None:
                raise OptionError(
                    "y goes with a dask.array; of a data frame name the column of the labels (label), a bag's "
                    "rows hold them.",
                    "BAD_OPTION",
                    {"option": "y"},
                )
            self._parts = [(part,) for part in data.to_delayed()]

    def first(self) -> Any:
        return _first_of(self._parts)

    def probe(self, version: str, checkpoint: tuple[str, str] | None) -> None:
        client = self._client()
        if client is None:
            probe(version, checkpoint)
        else:
            client.run(probe, version, checkpoint)

    def reduce(self, job: Job, told: Told) -> bytes | None:
        client = self._client()
        shared = self._shared(job)
        leaves = self._leaves(shared)
        futures = None if client is None else client.compute(leaves)
        level = leaves if futures is None else futures
        while len(level) > 1:
            groups = [level[at : at + FAN_IN] for at in range(0, len(level), FAN_IN)]
            if client is None:
                level = [self._dask.delayed(_merge)(shared, group) for group in groups]
            else:
                # Before the partitions that are left, so that few pieces wait in memory and little is left for the end.
                level = [client.submit(_merge, shared, group, pure=False, priority=1) for group in groups]
        if client is None:
            (result,) = self._dask.compute(level[0])
        else:
            for done, _ in enumerate(self._completed(futures or []), 1):
                told(done, len(leaves))
            result = level[0].result()
        return result[0] if result else None

    def pieces(self, job: Job, told: Told) -> Iterator[bytes]:
        leaves = self._leaves(self._shared(job))
        client = self._client()
        if client is None:
            for result in self._dask.compute(*leaves):
                yield from result
            return
        for done, future in enumerate(self._completed(client.compute(leaves)), 1):
            yield from future.result()
            future.release()
            told(done, len(leaves))

    def _leaves(self, shared: Any) -> list[Any]:
        return [self._dask.delayed(_leaf, pure=False)(shared, i, *part) for i, part in enumerate(self._parts)]

    def _shared(self, job: Job) -> Any:
        """The job, sent once. As a task it is made again where the worker that held it dies; scattered it is lost."""
        client = self._client()
        task = self._dask.delayed(job, traverse=False, pure=False)
        return task if client is None else client.compute(task)

    @staticmethod
    def _completed(futures: list[Any]) -> Iterator[Any]:
        """The futures of the partitions as they are done; the first that failed raises, and says which it is."""
        numbers = {future.key: number for number, future in enumerate(futures)}
        for future in needed("distributed", "dask").as_completed(futures):
            if future.status == "error":
                error = future.exception()
                error.add_note(f"polylaplace: in partition {numbers[future.key]} of {len(futures)}")
                raise error.with_traceback(future.traceback())
            yield future

    @staticmethod
    def _client() -> Any:
        distributed = sys.modules.get("distributed")
        try:
            return None if distributed is None else distributed.default_client()
        except ValueError:
            return None
