"""Draws of network outputs and predictions, with their covariances and slopes."""

from __future__ import annotations

from typing import Any

from ._data import Array, fresh_seed
from ._posterior_state import PosteriorState


class Sampling(PosteriorState):
    """Draws, and the covariances that belong to them."""

    def predictive_samples(self, X: Any, n_samples: int = 100, *, pred_type: str = "glm", seed: Any = None) -> Array:
        """Draws of predictions (probabilities or means), (n_samples, n, C).

        Args:
            pred_type: 'glm' draws outputs of the linearised network, 'nn' weights, with which the network runs.
            seed: a number, a generator, or None: numpy's global state.
        """
        return self._samples("predictiveSamples", X, n_samples, pred_type, seed)

    def functional_samples(self, X: Any, n_samples: int = 100, *, pred_type: str = "glm", seed: Any = None) -> Array:
        """Draws of network outputs, (n_samples, n, C); arguments as of `predictive_samples`."""
        return self._samples("functionalSamples", X, n_samples, pred_type, seed)

    def _samples(self, method: str, X: Any, n_samples: int, pred_type: str, seed: Any) -> Array:
        """Draws (n_samples, n, C) by a method of the server."""
        params = {"x": self._examples(X), "samples": int(n_samples), "seed": fresh_seed(seed), "predictive": pred_type}
        samples: Array = self._call(method, params, progress=self._progress)["samples"]
        return samples

    def functional_variance(self, X: Any, joint: bool = False) -> Array:
        """Covariance of the outputs J P^-1 J', (n, C, C), or (n C, n C) with `joint`, without observation noise."""
        covariance: Array = self._call("functionalVariance", {"x": self._examples(X), "joint": joint})["covariance"]
        return covariance

    def input_gradients(self, X: Any) -> dict[str, Array | None]:
        """Gradients of `mean`, `variance` and (link probit; None for regression) `probabilities` by each row's input.

        Each is (n, C) and then the shape of an input.

        Raises:
            OptionError: for posteriors that do not answer by the network and their covariance alone.
            GraphError: for networks that cannot be differentiated by their input.
        """
        answer = self._call("inputGradients", {"x": self._examples(X)}, progress=self._progress)
        return {part: answer.get(part) for part in ("mean", "variance", "probabilities")}
