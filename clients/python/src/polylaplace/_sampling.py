"""Draws from the posterior, of parameters, network outputs and predictions."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._data import Array, fresh_seed, to_array
from ._posterior_state import PosteriorState


class Sampling(PosteriorState):
    """Draws, and the densities and covariances that belong to them."""

    def predictive_samples(self, X: Any, n_samples: int = 100, *, pred_type: str = "glm", seed: Any = None) -> Array:
        """Draws of predictions (probabilities or means), (n_samples, n, C)."""
        return self._samples("predictiveSamples", X, n_samples, pred_type, seed)

    def functional_samples(self, X: Any, n_samples: int = 100, *, pred_type: str = "glm", seed: Any = None) -> Array:
        """Draws of network outputs, (n_samples, n, C)."""
        return self._samples("functionalSamples", X, n_samples, pred_type, seed)

    def _samples(self, method: str, X: Any, n_samples: int, pred_type: str, seed: Any) -> Array:
        """Draws (n_samples, n, C) by a method of the server."""
        params = {"x": self._examples(X), "samples": int(n_samples), "seed": fresh_seed(seed), "predictive": pred_type}
        samples: Array = self._call(method, params, progress=self._progress)["samples"]
        return samples

    def functional_variance(self, X: Any, joint: bool = False) -> Array:
        """Covariance of the outputs, (n, C, C), or (n C, n C) with `joint`."""
        covariance: Array = self._call("functionalVariance", {"x": self._examples(X), "joint": joint})["covariance"]
        return covariance

    def input_gradients(self, X: Any) -> dict[str, Array | None]:
        """Gradients of `mean`, `variance` and (link probit; None for regression) `probabilities` by each row's input.

        Each is (n, C) and then the shape of an input. For posteriors that answer by the network and their covariance.
        """
        answer = self._call("inputGradients", {"x": self._examples(X)}, progress=self._progress)
        return {part: answer.get(part) for part in ("mean", "variance", "probabilities")}

    def influence(self, X: Any, y: Any, at: Any = None, *, sample_weight: Any = None) -> dict[str, Array | None]:
        """What single training rows do: the linearised network and its posterior without each.

        In closed form for structures 'full', 'blockdiag' and 'functional' (of all rows); 'kron' and 'diag' forget each
        row in turn. Not for posteriors that answer by a linear model ('auto', 'linearized').

        Args:
            X, y: rows of the fit (n, ...) and their labels, as for `fit`.
            at: other rows (m, ...), whose outputs are looked at.
            sample_weight: how often each row counted in the fit, (n,): all of it is left out. None: once.

        Returns:
            `mean` and `variance` (n, C): the outputs of each row by the posterior without it; `loss` (n,): its loss
            there, the leave-one-out score; `change` (m, C, n): by how much the outputs at `at` would change without
            each row, None without `at`.
        """
        params: dict[str, Any] = dict(self._data(X, y))
        if at is not None:
            params["at"] = self._examples(at, "at")
        if sample_weight is not None:
            params["sampleWeight"] = np.asarray(to_array(sample_weight, "sample_weight"), np.float64)
        answer = self._call("influence", params, progress=self._progress)
        return {part: answer.get(part) for part in ("mean", "variance", "loss", "change")}

    def sample(self, n_samples: int = 100, *, seed: Any = None) -> Array:
        """Draws of the parameters, (n_samples, n_params)."""
        samples: Array = self._call("sample", {"samples": int(n_samples), "seed": fresh_seed(seed)})["samples"]
        return samples

    def log_prob(self, theta: Any) -> Any:
        """Log density of parameters (n_params,), or of the rows of (S, n_params)."""
        array = to_array(theta, "theta")
        values = self._call("logProb", {"theta": array})["logProb"]
        return float(values[0]) if array.ndim == 1 else values
