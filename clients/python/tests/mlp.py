"""A scikit-learn MLP of one hidden layer in plain numpy, with the Jacobian of all its weights."""

from __future__ import annotations

from typing import Any

import numpy as np


class NumpyMlp:
    """The network y = W2 tanh(W1 x + b1) + b2 as a function of its weights, in PyTorch's order."""

    def __init__(self, network: Any) -> None:
        assert network.activation == "tanh"
        self._shapes = [
            np.shape(tensor)
            for matrix, bias in zip(network.coefs_, network.intercepts_, strict=True)
            for tensor in (matrix.T, bias)
        ]
        self.theta = np.concatenate(
            [
                np.ravel(tensor)
                for matrix, bias in zip(network.coefs_, network.intercepts_, strict=True)
                for tensor in (matrix.T, bias)
            ]
        )

    def outputs(self, theta: Any, x: Any) -> Any:
        """Outputs (n, C), also for complex weights."""
        cuts = np.cumsum([int(np.prod(shape)) for shape in self._shapes])[:-1]
        first, first_bias, last, last_bias = (
            part.reshape(shape) for part, shape in zip(np.split(theta, cuts), self._shapes, strict=True)
        )
        return np.tanh(x @ first.T + first_bias) @ last.T + last_bias

    def jacobian(self, x: Any) -> Any:
        """Derivatives of the outputs by the weights, (n, C, P), by complex steps: exact to rounding."""
        step = 1e-30
        columns = []
        for index in range(len(self.theta)):
            theta = self.theta.astype(complex)
            theta[index] += step * 1j
            columns.append(self.outputs(theta, x).imag / step)
        return np.stack(columns, axis=2)


def softmax(f: Any) -> Any:
    """Probabilities of logits (n, C)."""
    e = np.exp(f - f.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def zero_sum(f: Any, covariance: Any) -> Any:
    """softmax(f / sqrt(1 + pi/8 v)) with the variances v of f_c - mean_c f."""
    outputs = f.shape[1]
    centre = np.eye(outputs) - 1 / outputs
    v = np.einsum("ij,njk,ik->ni", centre, covariance, centre)
    return softmax(f / np.sqrt(1 + np.pi / 8 * v))


def sigmoid(f: Any) -> Any:
    """The probability of a logit."""
    return 1 / (1 + np.exp(-f))
