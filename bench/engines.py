"""What an engine adds to a fit, in CPU seconds: one machine, a stream of batches, Dask with one and with two workers.

    .venv-engines/bin/python bench/engines.py

Two workers are as many times faster than one as the CPU seconds of the one are more than those of the busier of the
two; the clock is not asked, so that the machine may have other work.
"""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Any

import dask
import dask.array
import numpy as np
from distributed import Client, LocalCluster

from polylaplace import Laplace, default_client
from polylaplace.distributed import fit_batches, fit_dask

ROWS, PARTITIONS = 64_000, 32
WIDTHS = [200, 256, 128, 10]
TICK = os.sysconf("SC_CLK_TCK")


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


def main() -> None:
    """Prints the table."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(ROWS, WIDTHS[0])).astype(np.float32), rng.integers(0, 10, ROWS)
    step = ROWS // PARTITIONS
    array, labels = dask.array.from_array(x, chunks=(step, -1)), dask.array.from_array(y, chunks=step)
    posterior().fit(x[:1000], y[:1000])
    server = default_client().server_pid
    assert server is not None

    def measured(work: Any) -> float:
        start = cpu_of(server) + sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        work()
        return cpu_of(server) + sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) - start

    alone = measured(lambda: posterior().fit(x, y))
    stream = measured(
        lambda: fit_batches(posterior(), [(x[at : at + step], y[at : at + step]) for at in range(0, ROWS, step)],
                            chunk_rows=step)
    )  # fmt: skip
    one, total_one = on_dask(1, array, labels)
    two, total_two = on_dask(2, array, labels)
    size = len(posterior().fit_partial(x[:10], y[:10]).to_bytes())
    print(
        f"{ROWS} rows in {PARTITIONS} partitions, {'-'.join(map(str, WIDTHS))}, all weights, kron; partial {size} bytes"
    )
    print(f"one machine            {alone:6.2f} CPU s")
    print(f"fit_batches            {stream:6.2f} CPU s, {stream / alone - 1:+.0%}")
    print(f"Dask, one worker       {total_one:6.2f} CPU s, {total_one / alone - 1:+.0%}")
    print(f"Dask, two workers      {total_two:6.2f} CPU s, the busier {two:.2f}: {one / two:.2f} times one")


if __name__ == "__main__":
    main()
