"""Runs one cell of a workload through the Python client: what the pipe to the server costs beside bench/ours.mjs.

    PYTHONPATH=clients/python/src python bench/ours_client.py FOLDER/W2 all/kron [--engine typescript] [--quick]

The lines it writes are those of bench/measure.py. Data of several batches are streamed from the file, as bench/ours.mjs
does.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator

import numpy as np
from measure import COMPARED, measure, peak_mb, read_cell, say
from polylaplace import Client, Laplace
from safetensors import safe_open


def main() -> None:
    """Loads, measures."""
    say("ready", import_mb=peak_mb())
    warnings.simplefilter("ignore")
    cell = read_cell()
    spec = cell.spec
    file = safe_open(f"{cell.path}.safetensors", framework="numpy")
    weights = {name: file.get_tensor(name) for name in file.keys() if name not in ("x", "y", "x_test")}
    x_test = file.get_slice("x_test")[: cell.test]
    depth = len(spec["sizes"]) - 1
    activation = {"tanh": "Tanh", "relu": "ReLU"}[spec["activation"]]
    layers = [layer for i in range(depth) for layer in ({"type": "Linear", "name": str(2 * i)}, {"type": activation})][
        :-1
    ]

    def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        x, y = file.get_slice("x"), file.get_slice("y")
        for start in range(0, cell.n, spec["batch"]):
            rows = slice(start, min(cell.n, start + spec["batch"]))
            yield x[rows], y[rows]

    def once() -> dict:
        t0 = time.perf_counter()
        la = Laplace(
            weights,
            spec["likelihood"],
            cell.subset,
            cell.structure,
            architecture=layers,
            engine=cell.engine,
            client=client,
        )
        la.fit(batches()) if cell.n > spec["batch"] else la.fit(*next(batches()))
        t1 = time.perf_counter()
        la.optimize_prior_precision(method="marglik", prior_structure=spec.get("prior_structure", "scalar"))
        t2 = time.perf_counter()
        tuned = la.log_marginal_likelihood()
        la.prior_precision = 1.0
        t3 = time.perf_counter()
        if spec["likelihood"] == "regression":
            mean, variance = la(x_test, diagonal_output=True)
            results = {"mean": mean, "variance": variance}
        else:
            results = {"probabilities": la(x_test)}
        t4 = time.perf_counter()
        numbers = {name: value.reshape(-1)[:COMPARED].tolist() for name, value in results.items()}
        return {
            "fit": t1 - t0,
            "tune": t2 - t1,
            "predict": t4 - t3,
            "marglik": la.log_marginal_likelihood(),
            "tuned_marglik": tuned,
            "results": numbers,
        }

    with Client() as client:
        measure(cell, once)


if __name__ == "__main__":
    main()
