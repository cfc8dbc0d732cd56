"""What every measured Python process shares: arguments, repeated runs, and JSON lines for bench/measured-process.mjs.

A process writes {"event": "ready", ...} when everything is imported, {"event": "first", ...} with the first result, and
{"event": "done", ...} with the median times of the runs after that. bench/ours.mjs writes the same lines.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

#: Work that took longer than this once is not repeated (seconds).
LONGEST_REPEATED = 20.0
#: Runs after the first one: at least and at most so many, and no more when this time is over.
LEAST_RUNS, MOST_RUNS, BUDGET = 3, 15, 3.0
#: Results that are compared: the first so many numbers of each kind.
COMPARED = 2000

PHASES = ("fit", "tune", "predict")

#: Seconds of the phases: of the clock, or of this process' processors where the machine has other work.
clock = time.process_time if os.environ.get("BENCH_CLOCK") == "cpu" else time.perf_counter


@dataclass(frozen=True)
class Cell:
    """One workload with a subset and a structure."""

    path: str
    spec: dict[str, Any]
    subset: str
    structure: str
    engine: str
    n: int
    test: int
    quick: bool


def peak_mb() -> float:
    """The largest resident memory of this process so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def read_cell() -> Cell:
    """The cell that the command line names: FOLDER/W2 all/kron [--engine NAME] [--reduced] [--quick]."""
    parser = argparse.ArgumentParser()
    parser.add_argument("path")
    parser.add_argument("cell")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--reduced", action="store_true", help="the sizes at which laplace-torch runs")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    spec = json.loads(pathlib.Path(f"{options.path}.json").read_text())
    limits = spec.get("peer", {}).get(options.cell, {}) if options.reduced else {}
    subset, structure = options.cell.split("/")
    return Cell(
        options.path,
        spec,
        subset,
        structure,
        options.engine,
        limits.get("n", spec["n"]),
        limits.get("test", spec["test"]),
        options.quick,
    )


def say(event: str, **values: Any) -> None:
    """One line for the parent."""
    print(json.dumps({"event": event, **values}), flush=True)


def measure(cell: Cell, once: Callable[[], dict[str, Any]]) -> None:
    """Runs the work once, and then several times."""
    first = once()
    say("first", peak_mb=peak_mb(), n=cell.n, test=cell.test, **first)
    took = sum(first[phase] for phase in PHASES)
    runs = [first]
    if took < LONGEST_REPEATED:
        runs = []
        start = time.perf_counter()
        most, least = (1, 1) if cell.quick else (MOST_RUNS, LEAST_RUNS)
        while len(runs) < least or (len(runs) < most and time.perf_counter() - start < BUDGET):
            runs.append(once())
    say("done", runs=len(runs), peak_mb=peak_mb(), **{phase: median(run[phase] for run in runs) for phase in PHASES})
