"""Fits and predictions where the data are: on Dask, Ray and Spark, and over streams of Arrow batches.

A fit is a sum over rows. Every partition is summed where it lies, by an engine that each worker keeps, the sums are
added in a tree, and the posterior is made of them here. docs/distributed.md has a whole script for each engine.

>>> import numpy as np
>>> from polylaplace import Laplace
>>> from polylaplace.distributed import fit_batches, predict_batches
>>> la = Laplace({"0.weight": np.eye(2), "0.bias": np.zeros(2)}, "classification")
>>> X = np.random.default_rng(0).normal(size=(30, 2))
>>> la = fit_batches(la, [(rows, rows.argmax(axis=1)) for rows in (X[:10], X[10:])])  # fit_dask(la, frame, label="y")
>>> [columns["probability_0"].shape for columns in predict_batches(la, [X[:5], X[5:]])]
[(5,), (25,)]

The engines are extras: `pip install polylaplace[dask]`, `[ray]`, `[spark]`, `[arrow]`.
"""

from __future__ import annotations

from ._batches import fit_batches, predict_batches
from ._dask import fit_dask, predict_dask
from ._ray import fit_ray, predict_ray
from ._spark import fit_spark, predict_spark

__all__ = [
    "fit_batches",
    "fit_dask",
    "fit_ray",
    "fit_spark",
    "predict_batches",
    "predict_dask",
    "predict_ray",
    "predict_spark",
]
