"""Several posteriors that predict as one: a mixture of Laplace approximations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from ._client import Client
from ._data import Array, to_array
from ._exceptions import OptionError
from ._handles import Handle
from ._intervals import Intervals
from ._laplace import Laplace
from ._likelihoods import has_numbers
from ._remote import Remote


class Mixture(Intervals):
    """Posteriors of several networks, or of snapshots of one, that predict as one (Eschenhagen et al. 2021).

    The predictive distribution is sum_k w_k p_k. Of classes and labels its probabilities are the weighted means; its
    aleatoric part is the mean of the members', and the epistemic part what the entropy of the mixture has beyond that.
    Of numbers mean and variance are those of the mixture: the members' disagreement is part of the epistemic variance;
    intervals and quantiles are those of the mixed distribution. `conformalize` calibrates the mixture itself, by rows
    that no member has seen; `compare` scores it beside the networks together. The server holds copies of the members.

    Args:
        members: fitted posteriors of one likelihood and as many outputs.
        weights: one for each, not negative; they are scaled to sum to 1. None: equal ones.

    >>> import numpy as np
    >>> from polylaplace import Laplace
    >>> X = np.random.default_rng(0).normal(size=(30, 2))
    >>> networks = [{"0.weight": scale * np.eye(2), "0.bias": np.zeros(2)} for scale in (1.0, 2.0)]
    >>> members = [Laplace(network, "classification").fit(X, X.argmax(axis=1)) for network in networks]
    >>> Mixture(members)(X).shape
    (30, 2)
    """

    def __init__(self, members: Sequence[Laplace], weights: Any = None) -> None:
        self.members = tuple(members)
        if not self.members:
            raise OptionError("A mixture needs at least one posterior.", "BAD_OPTION", {"option": "members"})
        kinds = {(member.likelihood, member.n_outputs) for member in self.members}
        if len(kinds) > 1:
            found = ", ".join(f"{likelihood} of {outputs} outputs" for likelihood, outputs in sorted(kinds))
            raise OptionError(
                f"The posteriors of a mixture have one likelihood and as many outputs; got {found}.",
                "BAD_COMBINATION",
                {"option": "members"},
            )
        self.likelihood = self.members[0].likelihood
        self.weights = _shares(weights, len(self.members))
        self._calibration: dict[str, Any] | None = None
        self._take_members()

    def __call__(self, X: Any) -> Any:  # type: ignore[override]
        """Probabilities (n, C); of numbers mean and variance of new observations, (n, K) each."""
        answer = self.predict(X, uncertainty=False)
        if not has_numbers(self.likelihood):
            return answer.probabilities
        return answer.mean if answer.predictive_mean is None else answer.predictive_mean, answer.predictive_variance

    def conformalize(
        self,
        X: Any = None,
        y: Any = None,
        *,
        score: str | None = None,
        randomised: bool = False,
        seed: int | None = None,
        timeout: float | None = None,
    ) -> Self:
        """Makes intervals and sets of classes hold with their probability, by held-out rows, which are needed here.

        Args:
            X, y: rows that neither the networks nor the posteriors have seen.
            score, randomised, seed: as of a single posterior.

        Raises:
            OptionError: without rows, or for options that the likelihood does not have.
        """
        if X is None or y is None:
            raise OptionError(
                "A mixture is calibrated by rows that its members have not seen: conformalize(X, y). Training rows "
                "predicted without themselves are of one posterior.",
                "BAD_OPTION",
                {"option": "X" if X is None else "y"},
            )
        given = {"score": score, "randomised": randomised or None, "seed": seed}
        calibration = self._data(X, y) | {key: value for key, value in given.items() if value is not None}
        params = {"mixture": self._handle(), **calibration}
        answer = self._client.call("conformalizeMixture", params, owned=True, timeout=timeout)
        self._calibration = calibration
        self._posterior = Remote(self._client, answer["handle"], self._made_on)
        return self

    def _take_members(self) -> None:
        """Starts from the members as they are now."""
        first = self.members[0]
        self._connect(first._client)
        self._summary, self._label_key = first._summary, first._label_key
        self._posterior = Remote(self._client, None, self._made_on)
        self._present = tuple(member._posterior for member in self.members)

    def _handle(self) -> str:
        """The handle of the mixture of the members' present posteriors."""
        if self._present != tuple(member._posterior for member in self.members):
            self._take_members()
        return super()._handle()

    def _made_on(self, client: Client) -> Handle:
        params = {"members": [member.to_bytes() for member in self.members], "weights": self.weights}
        handle: Handle = client.call("mix", params, owned=True)["handle"]
        if self._calibration is not None:
            params = {"mixture": handle, **self._calibration}
            handle = client.call("conformalizeMixture", params, owned=True)["handle"]
        return handle

    def _call(self, method: str, params: Mapping[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        return self._client.call(method, {"mixture": self._handle(), **(params or {})}, **options)

    def __getstate__(self) -> dict[str, Any]:
        return {"members": self.members, "weights": self.weights, "calibration": self._calibration}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Mixture.__init__(self, state["members"], state["weights"])
        self._calibration = state["calibration"]


def _shares(weights: Any, count: int) -> Array:
    values = np.ones(count) if weights is None else np.asarray(to_array(weights, "weights"), np.float64)
    if values.shape != (count,) or not np.isfinite(values).all() or (values < 0).any() or values.sum() == 0:
        raise OptionError(
            f"The weights of a mixture are one number for each of its {count} posteriors, not negative and not all 0.",
            "BAD_OPTION",
            {"option": "weights"},
        )
    shares: Array = values / values.sum()
    return shares
