"""The hyper-parameters, to be read and set."""

from __future__ import annotations

from typing import Any

from ._options import as_noise, as_number, as_numbers
from ._posterior_state import PosteriorState


class HyperParameters(PosteriorState):
    """Hyper-parameters as attributes. Setting one of a fitted object makes a new posterior of the same data."""

    def _set_prior(self, key: str, value: Any) -> None:
        """Keeps a hyper-parameter, and makes a fitted posterior anew with it."""
        if self._posterior is not None:
            self._adopt(*self._made("withPrior", {"posterior": self._handle(), key: value}), same_fit=True)
        self._prior[key] = value
        self._given.add(key)

    @property
    def prior_precision(self) -> Any:
        """Prior precision: a number, or an array with one for each tensor or parameter.

        Setting it makes a new posterior of the same data.
        """
        return self._prior["priorPrecision"]

    @prior_precision.setter
    def prior_precision(self, value: Any) -> None:
        self._set_prior("priorPrecision", as_numbers(value, "prior_precision"))

    @property
    def prior_mean(self) -> Any:
        """Prior mean: a number, or an array (P,) with one for each parameter."""
        return self._prior["priorMean"]

    @prior_mean.setter
    def prior_mean(self, value: Any) -> None:
        self._set_prior("priorMean", as_numbers(value, "prior_mean"))

    @property
    def sigma_noise(self) -> Any:
        """Standard deviation of the observations: a number, or an array (C,) where the outputs differ.

        Of noises that are correlated it is their covariance (C, C).

        A fitted posterior can be set to one number; one for each output is given before the fit.
        """
        return self._prior["sigmaNoise"]

    @sigma_noise.setter
    def sigma_noise(self, value: Any) -> None:
        self._set_prior("sigmaNoise", as_noise(value, "sigma_noise"))
        self._options.pop("sigmaNoise", None)

    @property
    def temperature(self) -> float:
        """Temperature of the likelihood."""
        return float(self._prior["temperature"])

    @temperature.setter
    def temperature(self, value: Any) -> None:
        self._set_prior("temperature", as_number(value, "temperature"))
