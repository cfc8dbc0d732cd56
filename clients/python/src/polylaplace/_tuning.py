"""Tuning of the prior precision and the noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from ._data import is_array_like
from ._exceptions import LaplaceError, OptionError, PriorWarning, StateError
from ._models import size_of
from ._options import as_numbers, as_prior_structure, as_tune_method
from ._posterior_state import PosteriorState
from ._warnings import is_ignored, warn_user
from ._weights import repeated

#: Methods that go over the training data once more.
_READ_TRAINING_DATA = ("auto", "validated", "linearized")
#: 'marglik' is compared with 'auto' where network and data together are no larger, and for no longer than this.
_CHEAP_BYTES = 2**18
_CHEAP_SECONDS = 1.0
#: Factor between two prior precisions from which on the user is told.
_FAR = 3.0


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
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        progress_bar: bool | None = None,
        timeout: float | None = None,
    ) -> Self:
        """Tunes the prior precision (and the noise of regression).

        Args:
            method: 'marglik' (maximises the log marginal likelihood at the network's weights; laplace-torch's way, and
                too sure of itself for networks trained without weight decay), 'auto' (what the training rows say
                without held-out ones: the better choice, and this library's default elsewhere), 'validated' (held-out
                rows: prior, mean and link together), 'linearized' (the evidence of the linear model at its own mode),
                or 'gridsearch' (held-out likelihood). 'validated' and 'gridsearch' need `val_loader` or `X_val`,
                `y_val`. Where the data are at hand and small, 'marglik' is compared with 'auto' once, and a
                `PriorWarning` says where they differ by more than a factor of 3 (not where it is ignored: it takes
                more time than 'marglik').
            prior_structure: 'scalar', 'layerwise' (one for each tensor) or 'diag' (one for each parameter).
            tune_sigma_noise: tunes sigma_noise too.
            X, y: the training data, which 'auto', 'validated' and 'linearized' read once more. Needed only where `fit`
                was not given arrays or a loader that can be read again: after `fit_merged`, `load`, pickling, or a fit
                to a generator.
            sample_weight: how often each row of X counts, in whole numbers; of a fit's own data those of the fit.
            pred_type, n_steps, lr, init_prior_prec: taken for laplace-torch's sake. The optimum does not depend on
                them: it is found to convergence.

        Raises:
            OptionError: for ways and structures that do not go together, or that lack their rows; for several numbers
                as `init_prior_prec` of one prior precision.
            StateError: before `fit`, or where the training data are needed and not at hand.
        """
        del pred_type, n_steps, lr
        if np.ndim(as_numbers(init_prior_prec, "init_prior_prec")) > 0 and prior_structure == "scalar":
            # Of laplace-torch a vector says that there is a prior for each of its entries.
            raise OptionError(
                "init_prior_prec has several numbers, and prior_structure='scalar' has one: give 'layerwise' for one "
                "of each tensor, or 'diag' for one of each parameter.",
                "BAD_COMBINATION",
                {"option": "init_prior_prec"},
            )
        options = {
            "tune": as_tune_method(method),
            "priorStructure": as_prior_structure(prior_structure),
        }
        if tune_sigma_noise:
            options["sigmaNoise"] = True  # type: ignore[assignment]
        params: dict[str, Any] = {"posterior": self._handle(), "options": options}
        if options["tune"] in _READ_TRAINING_DATA:
            params.update(self._training_data(X, y, sample_weight, str(options["tune"])))
        params.update(self._validation(val_loader, X_val, y_val))
        progress = self._progress if progress_bar is None else progress_bar
        try:
            self._adopt(*self._made("tune", params, timeout=timeout, progress=progress), same_fit=True)
        except StateError as refused:
            # The server says which way of tuning needs the fit again.
            if refused.code != "DIGEST_MISMATCH" or "tune" not in refused.data:
                raise
            self._fitted_again(params, refused, timeout=timeout, progress=progress)
        if options["tune"] == "marglik" and options["priorStructure"] == "scalar":
            self._compare_with_auto(options, self._training if X is None else (X, y, sample_weight))
        return self

    def _validation(self, val_loader: Any, X_val: Any, y_val: Any) -> dict[str, Any]:
        if val_loader is not None:
            return {"validation": self._joined(val_loader, "validation data")}
        return {} if X_val is None else {"validation": self._data(X_val, y_val, ("X_val", "y_val"))}

    def _fitted_again(self, params: Mapping[str, Any], refused: StateError, **how: Any) -> None:
        """The fit with another prior, where the posterior is that at the mode of its own: the mode moves with it."""
        options = dict(params["options"])
        if options["tune"] not in ("auto", "validated"):
            raise StateError(
                f"{refused.message.partition(' Fit again')[0]} Tune by method='auto' or 'validated', which fit it "
                "again, or fit another hessian_structure.",
                refused.code,
                refused.data,
            ) from None
        found = ("priorPrecision", "sigmaNoise") if options.pop("sigmaNoise", False) else ("priorPrecision",)
        given = {key: value for key, value in self._fit_options().items() if key not in found}
        data = {key: params[key] for key in ("x", "y", "validation") if key in params}
        fit = {**self._network_for(data["x"], data["y"].nbytes), "options": {**given, **options}, **data}
        self._adopt(*self._made("fit", fit, **how))

    def _compare_with_auto(self, options: dict[str, Any], training: tuple[Any, Any, Any] | None) -> None:
        """Warns once where 'marglik' and 'auto' differ much, if that can be known in no time."""
        if self._compared or training is None or not all(is_array_like(part) for part in training[:2]):
            return
        if is_ignored(PriorWarning):
            return
        try:
            data = self._repeated(*training)
        except OptionError:
            # Weights that are no whole numbers.
            return
        if size_of(data) + size_of(self._network_params or {}) > _CHEAP_BYTES:
            return
        self._compared = True
        params = {"posterior": self._handle(), "options": {**options, "tune": "auto"}, **data}
        try:
            _, summary = self._made("tune", params, timeout=_CHEAP_SECONDS)
        except LaplaceError:
            # Some posteriors have no such way of tuning, and some data take longer: nothing is known then.
            return
        found, better = float(np.mean(self._prior["priorPrecision"])), float(np.mean(summary["priorPrecision"]))
        factor = max(found / better, better / found)
        if factor > _FAR:
            warn_user(
                f"The prior precision that 'marglik' finds is {found:.3g}; the training rows themselves say "
                f"{better:.3g}, a factor of {factor:.3g}. 'marglik' takes the network's weights for the best ones "
                "under the prior, and makes predictions worse where they are not (networks trained without weight "
                "decay): "
                'prefer optimize_prior_precision(method="auto").',
                PriorWarning,
            )

    def _training_data(self, X: Any, y: Any, weight: Any, method: str) -> dict[str, Any]:
        """The data of the fit: those given, or those that `fit` was given."""
        training = self._training if X is None else (X, y, weight)
        if training is None:
            raise OptionError(
                f"Tuning '{method}' reads the training data once more, and they are not kept here (a posterior that "
                "was loaded, merged from parts, unpickled, or fitted to a generator). Give them: "
                f"optimize_prior_precision(method='{method}', X=X, y=y).",
                "BAD_COMBINATION",
                {"option": "method"},
            )
        return self._repeated(*training)

    def _repeated(self, X: Any, y: Any, weight: Any) -> dict[str, Any]:
        """The data, every row as often as its weight says."""
        data = self._data(X, y)
        data["x"], data["y"] = repeated(data["x"], data["y"], weight)
        return data
