"""A likelihood of the user's own: functions of the network's outputs, called with the rows of a fit."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np

from ._data import Array
from ._exceptions import ShapeError


@runtime_checkable
class OwnLikelihood(Protocol):
    """-log p(y | f) of the user's own, for outputs f (n, C) and targets y as they were given to the fit.

    It is asked at the network's outputs alone, so that predictions are means and variances of the outputs.

    >>> class Cauchy:
    ...     def loss(self, f, y):
    ...         return np.log(np.pi * (1 + (f[:, 0] - y) ** 2))
    ...
    ...     def residual(self, f, y):
    ...         return 2 * (f - y[:, None]) / (1 + (f - y[:, None]) ** 2)
    ...
    ...     def root(self, f, y):  # the Fisher information is 1/2
    ...         return np.full((len(f), 1, 1), np.sqrt(0.5))
    >>> isinstance(Cauchy(), OwnLikelihood)
    True
    """

    def loss(self, f: Array, y: Array) -> Any:
        """-log p(y_n | f_n) of every row, (n,)."""

    def residual(self, f: Array, y: Array) -> Any:
        """Its derivatives with respect to f, (n, C)."""

    def root(self, f: Array, y: Array) -> Any:
        """Columns of a root R of its (positive semi-definite) Hessian, Lambda_n = R_n R_n', (n, C, K)."""


def own_rows(own: OwnLikelihood, f: Array, y: Array) -> Array:
    """What the functions say of every row, (n, 1 + C + C K): loss, derivatives, root.

    Raises:
        ShapeError: when a function gives another shape.
    """
    n, outputs = f.shape
    loss = np.asarray(own.loss(f, y), dtype=np.float64)
    residual = np.asarray(own.residual(f, y), dtype=np.float64)
    root = np.asarray(own.root(f, y), dtype=np.float64)
    for name, values, wanted, fits in (
        ("loss", loss, (n,), loss.size == n),
        ("residual", residual, (n, outputs), residual.size == n * outputs),
        ("root", root, (n, outputs, "K"), root.ndim == 3 and root.shape[:2] == (n, outputs) and root.size > 0),
    ):
        if not fits:
            raise ShapeError(
                f"The likelihood's {name} must have the shape {wanted}; it has {values.shape}.",
                "SHAPE_MISMATCH",
                {"expected": list(wanted), "actual": list(values.shape)},
            )
    return np.hstack([loss.reshape(n, 1), residual.reshape(n, outputs), root.reshape(n, -1)])
