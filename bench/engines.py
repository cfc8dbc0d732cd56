"""What an engine adds to a fit, in CPU seconds: one machine, a stream of batches, Dask, Ray and Spark.

    .venv-engines/bin/python bench/engines.py [batches] [dask] [clock] [ray] [spark]

Two workers of Dask are as many times faster than one as the CPU seconds of the one are more than those of the busier of
the two; the clock is not asked, so that the machine may have other work. All processes are counted, the engine's own
too, for the second of two fits: the first starts workers and their servers. Ray starts actors and their servers for
every fit; what those take before they have their first block is counted, and given apart.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from pathlib import Path
from typing import Any

import dask
import dask.array
import numpy as np
from distributed import Client, LocalCluster

from polylaplace import Laplace
from polylaplace.distributed import fit_batches, fit_dask, fit_ray, fit_spark

ROWS, PARTITIONS = 64_000, 32
WIDTHS = [200, 256, 128, 10]
TICK = os.sysconf("SC_CLK_TCK")
#: In the surroundings of all that this process starts, whoever its parent becomes.
MARK = f"POLYLAPLACE_BENCH={os.getpid()}".encode()


def cpu_of(pid: int) -> float:
    """CPU seconds of a process and of all that it has started, ended or not."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = sum(int(fields[at]) for at in (11, 12, 13, 14)) / TICK
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    threads = [
        Path(f"/proc/{pid}/task/{task}/children") for task in os.listdir(f"/proc/{pid}/task") if task != str(pid)
    ]
    children += [child for file in threads for child in file.read_text().split()]
    return own + sum(cpu_of(int(child)) for child in children)


def network() -> dict[str, Any]:
    """The weights of a classifier."""
    rng = np.random.default_rng(0)
    tensors = {}
    for layer, (inputs, outputs) in enumerate(zip(WIDTHS, WIDTHS[1:], strict=False)):
        tensors[f"{2 * layer}.weight"] = rng.normal(size=(outputs, inputs)).astype(np.float32) / np.sqrt(inputs)
        tensors[f"{2 * layer}.bias"] = np.zeros(outputs, np.float32)
    return tensors


def posterior(threads: int | None = 1) -> Laplace:
    """All weights, the Kronecker structure."""
    return Laplace(network(), "classification", "all", "kron", activation="relu", threads=threads)


def on_dask(workers: int, x: Any, y: Any) -> tuple[float, float]:
    """CPU seconds of the busier worker, and of all of them, for the second of two fits: the first starts servers."""
    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        fit_dask(posterior(), x[:1000], y[:1000])
        before = client.run(lambda: cpu_of(os.getpid()))
        fit_dask(posterior(), x, y)
        after = client.run(lambda: cpu_of(os.getpid()))
        spent = [after[worker] - before[worker] for worker in after]
        return max(spent), sum(spent)


def by_the_clock(workers: int) -> float:
    """Seconds that pass for a fit on Dask, the best of three: only on a machine without other work. Workers make rows."""
    rng = dask.array.random.default_rng(1)
    x = rng.normal(size=(2 * ROWS, WIDTHS[0]), chunks=(4000, -1)).astype(np.float32)
    y = rng.integers(0, 10, size=2 * ROWS, chunks=4000)
    with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster):
        fit_dask(posterior(), x[:1000], y[:1000])
        times = []
        for _ in range(3):
            start = time.perf_counter()
            fit_dask(posterior(), x, y)
            times.append(time.perf_counter() - start)
        return min(times)


def processes(root: int, mark: bytes) -> dict[tuple[int, str], float]:
    """CPU seconds by process and its start: of those that `root` has started, or whose surroundings hold the mark."""
    found, parents = {}, {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            marked = mark in Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue
        parents[int(pid)] = int(fields[1])
        found[int(pid)] = (fields[19], (int(fields[11]) + int(fields[12])) / TICK, marked)

    def belongs(pid: int) -> bool:
        return pid == root or pid in found and (found[pid][2] or belongs(parents[pid]))

    return {(pid, start): seconds for pid, (start, seconds, _) in found.items() if belongs(pid) and pid != os.getpid()}


def watch(root: int, mark: bytes, pipe: Any) -> None:
    """Looks on until it is told to end: engines end processes themselves, and nobody inherits what those have taken."""
    before = processes(root, mark)
    last = dict(before)
    pipe.send(None)
    while not pipe.poll(0.1):
        last.update(processes(root, mark))
    last.update(processes(root, mark))
    pipe.send(sum(seconds - before.get(key, 0.0) for key, seconds in last.items()))


def of_all(work: Any) -> float:
    """CPU seconds of this process and of all that it has started, for some work."""
    ours, theirs = multiprocessing.Pipe()
    watcher = multiprocessing.get_context("spawn").Process(target=watch, args=(os.getpid(), MARK, theirs))
    watcher.start()
    ours.recv()
    work()
    ours.send(None)
    seconds: float = ours.recv()
    watcher.join()
    return seconds


def second_of_two(fit: Any, few: Any, rows: Any) -> float:
    """CPU seconds of the second of two fits."""
    fit(posterior(), few)
    return of_all(lambda: fit(posterior(), rows))


def on_ray(workers: int, x: Any, y: Any) -> tuple[float, float]:
    """CPU seconds of all processes of Ray's: of a fit to few rows, which is what it starts with, and of a whole one."""
    import ray

    ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, object_store_memory=500 * 2**20)
    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        few, rows = (
            ray.data.from_numpy([x[at : at + n] for at in range(0, n * parts, n)])
            .zip(ray.data.from_numpy([y[at : at + n] for at in range(0, n * parts, n)]).rename_columns({"data": "y"}))
            .materialize()
            for n, parts in ((500, 2), (ROWS // PARTITIONS, PARTITIONS))
        )

        def fit(la: Laplace, data: Any) -> Laplace:
            return fit_ray(la, data, features="data", label="y", workers=workers)

        fit(posterior(), few)
        return of_all(lambda: fit(posterior(), few)), of_all(lambda: fit(posterior(), rows))
    finally:
        ray.shutdown()


def on_spark(workers: int, x: Any, y: Any) -> float:
    """CPU seconds of all processes of Spark's, the table in its memory."""
    import pyarrow as pa
    import pyspark
    from pyspark.sql import SparkSession

    os.environ.setdefault("SPARK_HOME", str(Path(pyspark.__file__).parent))
    os.environ["PYSPARK_PYTHON"] = sys.executable
    spark = (
        SparkSession.builder.master(f"local[{workers}]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.memory", "3g")
        .config("spark.sql.shuffle.partitions", str(workers))
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("OFF")
    try:
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(x.ravel()), x.shape[1])
        table = pa.table({"x": vectors.cast(pa.list_(pa.float32())), "y": pa.array(y)})
        few, rows = (
            spark.createDataFrame(table.slice(0, n)).repartition(parts).cache()
            for n, parts in ((1000, 2), (ROWS, PARTITIONS))
        )
        rows.count()
        return second_of_two(lambda la, data: fit_spark(la, data, features="x", label="y"), few, rows)
    finally:
        spark.stop()


def main(engines: list[str]) -> None:
    """Prints the table."""
    os.environ["POLYLAPLACE_BENCH"] = str(os.getpid())
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(ROWS, WIDTHS[0])).astype(np.float32), rng.integers(0, 10, ROWS)
    step = ROWS // PARTITIONS
    posterior().fit(x[:1000], y[:1000])
    alone = of_all(lambda: posterior().fit(x, y))
    size = len(posterior().fit_partial(x[:10], y[:10]).to_bytes())
    print(
        f"{ROWS} rows in {PARTITIONS} partitions, {'-'.join(map(str, WIDTHS))}, all weights, kron; partial {size} bytes"
    )
    print(f"one machine            {alone:6.2f} CPU s")

    def told(name: str, spent: float, more: str = "") -> None:
        print(f"{name:22s} {spent:6.2f} CPU s, {spent / alone - 1:+.0%}{more}", flush=True)

    if "batches" in engines:
        parts = [(x[at : at + step], y[at : at + step]) for at in range(0, ROWS, step)]
        told("fit_batches", of_all(lambda: fit_batches(posterior(), parts, chunk_rows=step)))
    if "dask" in engines:
        array, labels = dask.array.from_array(x, chunks=(step, -1)), dask.array.from_array(y, chunks=step)
        one, total = on_dask(1, array, labels)
        told("Dask, one worker", total)
        two, total = on_dask(2, array, labels)
        told("Dask, two workers", total, f"; the busier {two:.2f}: {one / two:.2f} times one")
    if "clock" in engines:
        one, two = by_the_clock(1), by_the_clock(2)
        print(f"Dask by the clock: {one:.2f} s with one worker, {two:.2f} with two: {one / two:.2f} times")
    if "ray" in engines:
        start, total = on_ray(2, x, y)
        told("Ray, two workers", total, f"; {start:.2f} of them for a fit to 1000 rows")
    if "spark" in engines:
        told("Spark, two workers", on_spark(2, x, y))


if __name__ == "__main__":
    main(sys.argv[1:] or ["batches", "dask", "ray", "spark"])
