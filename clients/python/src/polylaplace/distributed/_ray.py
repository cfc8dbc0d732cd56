"""Ray Data: an actor pool whose workers keep an engine each."""

from __future__ import annotations

import copy
import functools
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from .._arguments import Count, checked
from .._exceptions import LaplaceError
from .._laplace import Laplace
from .._progress import ProgressOption
from ._driver import SAMPLE_BYTES, Told, fit, predictor, told_as_text
from ._extras import needed
from ._kinds import Seed, Share
from ._tables import Columns, Features, Label, count_of, demand_method
from ._work import FAN_IN, Job, Predict, SampleJob, probe

_KIND = "a ray.data.Dataset"


@checked
def fit_ray(
    la: Laplace,
    dataset: Any,
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
    workers: Count | None = None,
    progress: ProgressOption = None,
) -> Laplace:
    """Fits a posterior to a Ray dataset: `map_batches` by actors, a tree of merges, an AggregateFnV2.

    Args:
        dataset: a ray.data.Dataset with a column for each feature, or one of vectors or tensors.
        workers: actors at most; None: one for each processor of the cluster.
        la, features, label, sample_weight, tune, deterministic, checkpoint and the others: as for `fit_dask`.

    Raises:
        LaplaceError: the posterior of an earlier fit is then untouched.
    """
    return fit(
        la,
        _Ray(dataset, workers),
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
def predict_ray(
    la: Laplace,
    dataset: Any,
    *,
    features: Features = None,
    label: Label = None,
    alpha: Share | None = None,
    prefix: str = "",
    threads: Count | None = 1,
    workers: Count | None = None,
) -> Any:
    """The dataset with the columns of a prediction, lazy as it was; arguments as for `predict_dask`."""
    ray = needed("ray", "ray")
    demand_method(dataset, "iter_batches", _KIND)
    work = predictor(la, features, label, alpha, prefix, threads)
    return dataset.map_batches(
        _Predicts,
        fn_constructor_args=(ray.put(work),),
        batch_format="numpy",
        **_pool(workers),
    )


def _pool(workers: Count | None) -> dict[str, Any]:
    most = workers or max(1, int(needed("ray", "ray").cluster_resources().get("CPU", 1)))
    return {"compute": needed("ray.data", "ray").ActorPoolStrategy(min_size=1, max_size=most), "num_cpus": 1}


class _Predicts:
    """An actor that predicts."""

    def __init__(self, work: Any) -> None:
        self._work: Predict = _value(work)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        table: dict[str, Any] = self._work.table(batch, _named(batch)) if count_of(batch) else batch
        return table


class _Fits:
    """An actor that sums up blocks."""

    def __init__(self, job: Any) -> None:
        self._job: Job = _value(job)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        try:
            job = replace(self._job, part=_named(batch)) if count_of(batch) else self._job
            return _pieces(list(job.leaf([batch] if count_of(batch) else [], None)))
        except LaplaceError as error:
            raise told_as_text(error) from None


class _Merges:
    """A function that merges pieces."""

    def __init__(self, job: Any) -> None:
        self._job = job

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        pieces = [bytes(piece) for piece in batch["piece"]]
        return _pieces([_value(self._job).merge(pieces)] if pieces else [])


def _aggregate(job: Any) -> Any:
    """The pieces of a dataset as one, b"" where there are none: an aggregate function of Ray's."""

    class Merging(needed("ray.data.aggregate", "ray").AggregateFnV2):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__("piece", zero_factory=bytes, on=None, ignore_nulls=False)

        def aggregate_block(self, block: Any) -> bytes:
            column = block["piece"]
            return self._merged(column.to_pylist() if hasattr(column, "to_pylist") else list(column))

        def combine(self, current_accumulator: bytes, new: bytes) -> bytes:
            return self._merged([current_accumulator, new])

        @staticmethod
        def _merged(pieces: list[bytes]) -> bytes:
            some = [bytes(piece) for piece in pieces if piece]
            return _value(job).merge(some) if some else b""

    return Merging()


def _named(batch: dict[str, Any]) -> str:
    """What errors call a block: it has no number, but a first row."""
    first = ", ".join(f"{name} = {_short(column[0])}" for name, column in list(batch.items())[:4])
    return f"the block that begins with {first}".replace("{", "{{").replace("}", "}}")


def _short(value: Any) -> str:
    numbers = np.asarray(value).ravel()
    if numbers.size == 1:
        return str(numbers[0])
    return f"[{', '.join(map(str, numbers[:3]))}{', ...' if numbers.size > 3 else ''}]"


def _value(reference: Any) -> Any:
    ray = needed("ray", "ray")
    return ray.get(reference) if isinstance(reference, ray.ObjectRef) else reference


def _pieces(pieces: list[bytes]) -> dict[str, Any]:
    column = np.empty(len(pieces), dtype=object)
    column[:] = pieces
    return {"piece": column}


def _in_order(dataset: Any) -> Any:
    """The dataset, whose blocks then come in its order and not as they are done."""
    options = copy.copy(dataset.context.execution_options)
    options.preserve_order = True
    dataset.context.execution_options = options
    return dataset


class _Ray:
    """A dataset of Ray. Its blocks have no numbers that last, so equal rows are told apart by how often they came."""

    part = "a block"
    repeats = "count"

    def __init__(self, dataset: Any, workers: Count | None) -> None:
        demand_method(dataset, "iter_batches", _KIND)
        self._dataset = dataset
        self._workers = workers

    def first(self) -> Any:
        batch = next(iter(self._dataset.limit(1).iter_batches(batch_size=1, batch_format="numpy")), None)
        return None if batch is None or count_of(batch) == 0 else batch

    def probe(self, version: str, checkpoint: tuple[str, str] | None) -> None:
        ray = needed("ray", "ray")
        there = needed("ray.util.scheduling_strategies", "ray").NodeAffinitySchedulingStrategy
        asked = ray.remote(num_cpus=0)(probe)
        ray.get(
            [
                asked.options(scheduling_strategy=there(node["NodeID"], soft=False)).remote(version, checkpoint)
                for node in ray.nodes()
                if node["Alive"]
            ]
        )

    def reduce(self, job: Job, told: Told) -> bytes | None:
        shared = needed("ray", "ray").put(job)
        merges = _Merges(shared)
        level = self._leaves(shared)
        for _ in range(2):
            level = level.map_batches(merges, batch_size=FAN_IN, batch_format="numpy")
        if isinstance(job, SampleJob):
            # An aggregate function combines in any order.
            pieces = (bytes(row["piece"]) for row in _in_order(level).iter_rows())
            first = next(pieces, None)
            return first and functools.reduce(lambda one, other: job.merge([one, other]), pieces, first)
        return level.aggregate(_aggregate(shared))["piece"] or None

    def pieces(self, job: Job, told: Told) -> Iterator[bytes]:
        for done, row in enumerate(self._leaves(needed("ray", "ray").put(job)).iter_rows(), 1):
            yield bytes(row["piece"])
            told(done, 0)

    def _leaves(self, shared: Any) -> Any:
        return self._dataset.map_batches(
            _Fits,
            fn_constructor_args=(shared,),
            batch_size=None,
            batch_format="numpy",
            **_pool(self._workers),
        )
