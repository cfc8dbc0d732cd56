"""Low-rank matrices: the curvature of a linear model's leading directions."""

from __future__ import annotations

import numpy as np

from ._data import Array


class LowRank:
    """The symmetric matrix R' R + diag(delta), with the rows R (rank, P) and delta a number, or one a weight (P,).

    H has delta = 0; P has one a weight where the last layer's prior is in units of a regression's targets. A regression
    of several outputs has such a matrix for each: this is that of the first.
    """

    def __init__(self, rows: Array, delta: float | Array = 0.0) -> None:
        self.rows = np.asarray(rows, dtype=np.float64)
        self.delta = np.asarray(delta, dtype=np.float64) if np.ndim(delta) else float(delta)

    def __repr__(self) -> str:
        return f"LowRank(rank={self.rank}, {self.shape[0]} parameters)"

    @property
    def rank(self) -> int:
        """The number of rows."""
        return len(self.rows)

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the whole matrix."""
        size = self.rows.shape[1]
        return size, size

    def diag(self) -> Array:
        """The diagonal of the whole matrix, (P,)."""
        diagonal: Array = np.einsum("kp,kp->p", self.rows, self.rows) + self.delta
        return diagonal

    def to_dense(self) -> Array:
        """The whole matrix, (P, P)."""
        matrix: Array = self.rows.T @ self.rows
        matrix[np.diag_indices(len(matrix))] += self.delta
        return matrix
