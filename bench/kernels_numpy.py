"""Times the kernels of numpy (and scipy, for triangular solves).

Reads the cases from standard input as JSON; writes seconds, or null, as JSON. Run it with OPENBLAS_NUM_THREADS=1 to
compare one core with one core; bench/kernels.mjs does.
"""

import json
import sys
import time

import numpy

try:
    from scipy.linalg import solve_triangular
except ImportError:
    solve_triangular = None


def work(case):
    """A function that does the case's work once, or None."""
    random = numpy.random.default_rng(0)
    kind, (m, n, k) = case["kernel"], case["shape"]
    dtype = numpy.dtype(case["dtype"])
    if kind == "gemm":
        a = random.standard_normal((k, m) if case["transA"] else (m, k)).astype(dtype)
        b = random.standard_normal((n, k) if case["transB"] else (k, n)).astype(dtype)
        left = a.T if case["transA"] else a
        right = b.T if case["transB"] else b
        return lambda: left @ right
    if kind == "syrk":
        a = random.standard_normal((k, n)).astype(dtype)
        return lambda: a.T @ a  # numpy calls syrk for a matrix times its own transpose
    a = random.standard_normal((n, n))
    a = a @ a.T / n + numpy.eye(n)
    if kind == "cholesky":
        return lambda: numpy.linalg.cholesky(a)
    if kind == "eigen":
        return lambda: numpy.linalg.eigh(a)
    if solve_triangular is None:
        return None
    factor = numpy.linalg.cholesky(a)
    b = random.standard_normal((n, m))
    return lambda: solve_triangular(factor, b, lower=True, check_finite=False)


def seconds(run, budget):
    """The shortest of the runs that fit the budget, after one to warm up."""
    run()
    best, spent = float("inf"), 0.0
    while spent < budget:
        start = time.perf_counter()
        run()
        took = time.perf_counter() - start
        best, spent = min(best, took), spent + took
    return best


request = json.load(sys.stdin)
runs = (work(case) for case in request["cases"])
json.dump([None if run is None else seconds(run, request["budget"]) for run in runs], sys.stdout)
