"""Tuning of the prior precision and the noise."""

from __future__ import annotations

from typing import Any, Self

from ._data import Array, flat_labels, joined
from ._exceptions import OptionError
from ._options import as_prior_structure, as_tune_method
from ._posterior_state import PosteriorState


class Tuning(PosteriorState):
    """Hyper-parameters found from data."""

    def optimize_prior_precision(
        self,
        pred_type: str = "glm",
        method: str = "marglik",
        n_steps: int = 100,
        lr: float = 0.1,
        init_prior_prec: Any = 1.0,
        val_loader: Any = None,
        prior_structure: str = "scalar",
        tune_sigma_noise: bool = False,
        *,
        X: Any = None,
        y: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        progress_bar: bool | None = None,
        timeout: float | None = None,
    ) -> Self:
        """Tunes the prior precision (and the noise of regression).

        Args:
            method: 'marglik' (maximises the log marginal likelihood at the network's weights), 'linearized' (the
                evidence of the linear model at its own mode; this library's default elsewhere, and the better choice
                for networks trained without weight decay), or 'gridsearch' (held-out likelihood; needs `val_loader` or
                `X_val`, `y_val`).
            prior_structure: 'scalar', 'layerwise' (one for each tensor) or 'diag' (one for each parameter).
            tune_sigma_noise: tunes sigma_noise too.
            X, y: the training data, which 'linearized' reads once more. Needed only where `fit` was not given arrays or
                a loader that can be read again: after `fit_merged`, `load`, pickling, or a fit to a generator.
            pred_type, n_steps, lr, init_prior_prec: taken for laplace-torch's sake. The optimum does not depend on
                them: it is found to convergence.
        """
        del pred_type, n_steps, lr, init_prior_prec
        options = {
            "tune": as_tune_method(method),
            "priorStructure": as_prior_structure(prior_structure),
        }
        if tune_sigma_noise:
            options["sigmaNoise"] = True  # type: ignore[assignment]
        params: dict[str, Any] = {"posterior": self._handle(), "options": options}
        if options["tune"] == "linearized":
            params.update(self._training_data(X, y))
        if val_loader is not None:
            x_val, labels = joined(val_loader, "validation data")
            params["validation"] = {"x": x_val, "y": flat_labels(labels, self.likelihood)}
        elif X_val is not None:
            params["validation"] = self._data(X_val, y_val, ("X_val", "y_val"))
        progress = self._progress if progress_bar is None else progress_bar
        self._adopt(*self._made("tune", params, timeout=timeout, progress=progress))
        return self

    def _training_data(self, X: Any, y: Any) -> dict[str, Array]:
        """The data of the fit: those given, or those that `fit` was given."""
        training = self._training if X is None else (X, y)
        if training is None:
            raise OptionError(
                "Tuning 'linearized' reads the training data once more, and they are not kept here (a posterior that "
                "was loaded, merged from parts, unpickled, or fitted to a generator). Give them: "
                "optimize_prior_precision(method='linearized', X=X, y=y).",
                "BAD_COMBINATION",
                {"option": "method"},
            )
        return self._data(*training)
