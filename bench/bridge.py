"""What the pipe between Python and the server costs: start-up, round trips, throughput.

    python bench/bridge.py [--json FILE] [--quick]

Run it with the package installed, or with PYTHONPATH=clients/python/src after `npm run build`. Goals: first answer
within 200 ms; a small predict below 1 ms beyond its computation; 100 MB of input at 500 MB/s or more. What a predict
costs beyond its computation is measured by a call that takes the same way and computes nothing: the log density of rows
of the same size, refused for its shape. The best of many runs is shown beside the median, because other work on the
machine only ever adds.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
from polylaplace import Client, Laplace, LaplaceError


def timed(work: Callable[[], object]) -> float:
    """Seconds that one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def start_up() -> float:
    """Seconds from nothing to the first answer."""
    start = time.perf_counter()
    with Client() as client:
        client.ping()
        return time.perf_counter() - start


def processor_of(code: str) -> float:
    """Seconds of a processor, user and system, that a new interpreter and the server that it starts take."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def beyond_numpy(code: str) -> float:
    """The same beyond an interpreter that imports numpy."""
    return processor_of(f"import numpy\n{code}") - processor_of("import numpy")


def throughput(client: Client, megabytes: int) -> float:
    """MB/s of an array into a compute thread (which refuses it at once: nothing is computed)."""
    data = np.zeros(megabytes * 1_000_000, dtype=np.uint8).data

    def send() -> None:
        try:
            client.call("load", {"data": data})
        except LaplaceError:
            pass

    return megabytes / timed(send)


def small_posterior(client: Client) -> tuple[Laplace, np.ndarray]:
    """A 4-16-3 network with a last-layer posterior."""
    rng = np.random.default_rng(0)
    tensors = {
        "0.weight": rng.normal(size=(16, 4)),
        "0.bias": rng.normal(size=16),
        "2.weight": rng.normal(size=(3, 16)),
        "2.bias": rng.normal(size=3),
    }
    layers = [{"type": "Linear", "name": "0"}, {"type": "Tanh"}, {"type": "Linear", "name": "2"}]
    x = rng.normal(size=(100, 4))
    la = Laplace(tensors, "classification", architecture=layers, client=client).fit(x, rng.integers(0, 3, 100))
    return la, x[:10]


def empty_call(client: Client, posterior: str, x: np.ndarray) -> None:
    """The way of a predict without its work."""
    try:
        client.call("logProb", {"posterior": posterior, "theta": x})
    except LaplaceError:
        pass


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    rounds = 100 if options.quick else 2000
    megabytes = 20 if options.quick else 100
    results: dict[str, float] = {}

    def note(name: str, values: list[float]) -> None:
        better = max if name.endswith("MB/s") else min
        results[f"{name} (median)"], results[f"{name} (best)"] = statistics.median(values), better(values)

    note("first answer, ms", [1e3 * start_up() for _ in range(3 if options.quick else 10)])
    starts = range(3 if options.quick else 9)
    note("import beyond numpy, processor ms", [1e3 * beyond_numpy("import polylaplace") for _ in starts])
    first = "import polylaplace\nwith polylaplace.Client() as client: client.ping()"
    note("start to first answer, processor ms", [1e3 * processor_of(first) for _ in starts])
    with Client() as client:
        client.ping()
        note("ping, ms", [1e3 * client.ping() for _ in range(rounds)])
        throughput(client, megabytes)
        note(
            f"{megabytes} MB of input, MB/s", [throughput(client, megabytes) for _ in range(3 if options.quick else 9)]
        )
        la, x = small_posterior(client)
        la(x)
        handle = la._handle()
        note(
            "predict without its computation, ms",
            [1e3 * timed(lambda: empty_call(client, handle, x)) for _ in range(rounds)],
        )
        note("predict of 10 rows, ms", [1e3 * timed(lambda: la(x)) for _ in range(rounds)])
    for name, value in results.items():
        print(f"{name:46s} {value:10.3f}")
    if options.json:
        with open(options.json, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
