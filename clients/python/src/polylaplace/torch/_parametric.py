# mypy: disable-error-code="import-not-found"
"""Gaussians over the weights."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from math import log, pi
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from .._exceptions import DataError, LaplaceWarning, OptionError, ShapeError
from ._base import BaseLaplace
from ._draws import drawn
from ._kinds import Count, Inputs, as_batch, as_vector, counted_rows, demand_finite
from ._levels import user_level
from ._predictor import Predictor
from .curvature import CurvatureInterface
from .utils.enums import Likelihood, LinkApprox, PredType

_GLM_OR_NN = (PredType.GLM, PredType.NN)

#: Entries of a state dict that are attributes of the same name.
_STATE = (
    "mean",
    "H",
    "loss",
    "prior_mean",
    "prior_precision",
    "sigma_noise",
    "n_data",
    "n_outputs",
    "likelihood",
    "temperature",
    "enable_backprop",
)


class ParametricLaplace(BaseLaplace):
    """A Gaussian over the weights, by the structure of its subclass. Its arguments are those of `BaseLaplace`.

    What a user sets or loads (`H`, `mean`, the prior) holds: every quantity is worked out of these tensors by torch,
    and can be differentiated. The core sums the curvature and, as long as it has the same posterior, predicts.
    """

    #: The method of a backend that sums the curvature.
    _structure = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._predictor: Predictor | None = None
        super().__init__(*args, **kwargs)
        #: The curvature of the training data, without prior; zeros before a fit.
        self.H: Any = None
        #: The mean: the network's weights; before a fit the prior's.
        self.mean: Any = None
        if self.n_params is not None:
            self._init_H()
            self.mean = self.prior_mean

    def _init_H(self) -> None:
        raise NotImplementedError

    def _check_H_init(self) -> None:
        """Raises an AttributeError where there is no curvature yet."""
        if self.H is None:
            raise AttributeError("The posterior has not been fitted yet: call fit first.")

    # --- fitting ---

    def fit(self, train_loader: DataLoader, override: bool = True, progress_bar: bool = False) -> None:
        """Fits the posterior to the batches of a loader: tuples (x, y), or mappings.

        Args:
            override: False adds the data to those of earlier fits.

        Raises:
            ShapeError: when targets do not have the outputs' number of axes.
        """
        self.model.eval()
        first = next(iter(train_loader), None)
        if first is None:
            raise DataError("There are no batches to fit to.", "EMPTY_DATA")
        out = self._outputs_of(first)
        self._check_batch(first)
        batches = self._checked(train_loader, out)
        loss, H, predictor, examples = self._summed(batches, progress_bar)
        again = not override and self.n_data > 0
        self._predictor = None if again else predictor
        self.H = self._added(self.H, H, self.n_data, examples) if again else H
        self.loss = self.loss + loss if again else loss
        self.n_data = self.n_data + examples if again else examples
        self.n_outputs = self.model.output_size = out.shape[-1]
        self.mean = self._weights()
        self._curvature_changed()

    def _weights(self) -> Tensor:
        """The network's weights as a vector."""
        mean = as_vector(self.params)
        return mean if self.enable_backprop else mean.detach()

    def _added(self, old: Any, new: Any, n_old: int, n_new: int) -> Any:
        """The curvature of two sets of data."""
        del n_old, n_new
        return old + new

    def _sums(self) -> Any:
        """The curvature as it was summed."""
        return self.H

    def _curvature_changed(self) -> None:
        """Called when there is another H; what was worked out of the old one is forgotten."""
        self._hyper_changed()

    def _outputs_of(self, batch: Any) -> Tensor:
        """The outputs for a batch, or for its first row."""
        with torch.no_grad():
            X, _ = as_batch(batch, self.dict_key_y)
            if isinstance(batch, Mapping):
                return self.model(batch)
            try:
                return self.model(X[:1].to(self._device))
            except (TypeError, AttributeError):
                return self.model(X.to(self._device))

    def _check_batch(self, batch: Any) -> None:
        """Refuses mappings where laplace-torch's backend does."""
        if not isinstance(batch, Mapping):
            return
        name = self._backend_cls.__name__
        if name.startswith("BackPack") or (self._structure == "diag" and name == "CurvlinopsEF"):
            raise OptionError(
                f"{name} stands for a library that takes no mappings"
                f"{'' if name.startswith('BackPack') else ' for a diagonal'}: take AsdlGGN or AsdlEF, or leave backend "
                "out.",
                "BAD_COMBINATION",
                {"option": "backend"},
            )
        if self._structure == "kron" and self.dict_key_x not in batch:
            # Not ours to need, but laplace-torch's way to say that a key is misspelt.
            raise KeyError(self.dict_key_x)

    def _checked(self, loader: Any, out: Tensor) -> Iterator[tuple[Any, Tensor]]:
        """Inputs and labels of each batch, on the network's device."""
        for batch in loader:
            X, y = as_batch(batch, self.dict_key_y)
            y = y.to(self._device)
            if not isinstance(batch, Mapping) and hasattr(X, "to"):
                X = X.to(self._device)
            if self.likelihood == Likelihood.REGRESSION and y.ndim != out.ndim:
                raise ShapeError(
                    f"The network's outputs have {out.ndim} axes, the targets {y.ndim}. One column of targets is "
                    "y.unsqueeze(-1).",
                    "SHAPE_MISMATCH",
                )
            counted = None if self.likelihood == Likelihood.REGRESSION else counted_rows(y)
            if counted is None:
                yield X, y
            elif counted.any():
                yield _rows_of(X, counted), y[counted]

    def _summed(
        self, batches: Iterator[tuple[Any, Tensor]], progress_bar: bool
    ) -> tuple[Tensor, Any, Predictor | None, int]:
        """Loss and curvature of the data, what predicts with them, and the number of examples."""
        backend = self.backend
        if not self._has_closures():
            sums = backend.sums(self._structure, batches, self._asdl_fisher_kwargs, progress_bar)
            return sums.loss, sums.H, Predictor(backend, sums), sums.examples
        loaded = list(batches)
        examples = sum(len(y) for _, y in loaded)
        parts = [self._curv_closure(X, y, N=examples) for X, y in loaded]
        loss, H = parts[0]
        for more_loss, more_H in parts[1:]:
            loss, H = loss + more_loss, H + more_H
        return loss, H, None, examples

    def _has_closures(self) -> bool:
        """Whether the curvature is that of a backend, or of a subclass, of the user's own."""
        method = getattr(type(self.backend), self._structure)
        own = type(self)._curv_closure is not ParametricLaplace._curv_closure
        return own or method is not getattr(CurvatureInterface, self._structure)

    def _curv_closure(self, X: Inputs, y: Tensor, N: int) -> tuple[Tensor, Any]:
        """Loss and curvature of a batch of N examples in all."""
        loss, H = getattr(self.backend, self._structure)(X, y, N=N, **self._asdl_fisher_kwargs)
        return loss, H

    # --- quantities ---

    @property
    def scatter(self) -> Tensor:
        """How far the mean is from that of the prior: (theta - mu0)' P0 (theta - mu0)."""
        # Before a fit the mean is that of the prior, and may be one number.
        precision = self.prior_precision_diag
        return (self.mean - self.prior_mean).square().expand_as(precision) @ precision

    @property
    def log_det_prior_precision(self) -> Tensor:
        """Log-determinant of the prior precision."""
        return self.prior_precision_diag.log().sum()

    @property
    def posterior_precision(self) -> Any:
        """The precision: curvature times 1 / (sigma^2 T), plus prior."""
        raise NotImplementedError

    @property
    def log_det_posterior_precision(self) -> Tensor:
        """Log-determinant of the precision."""
        raise NotImplementedError

    @property
    def log_det_ratio(self) -> Tensor:
        """Log-determinant of the posterior precision minus that of the prior precision."""
        return self.log_det_posterior_precision - self.log_det_prior_precision

    def square_norm(self, value: Tensor) -> Tensor:
        """(value - mean)' P (value - mean)."""
        raise NotImplementedError

    def log_prob(self, value: Tensor, normalized: bool = True) -> Tensor:
        """Log density of parameters (P,), with or without the constant."""
        if value.shape[-1:] != (self._width(),):
            raise ShapeError(f"The value has shape {tuple(value.shape)}; there are {self._width()} parameters.")
        square = -self.square_norm(value) / 2
        if not normalized:
            return square
        return square + (self.log_det_posterior_precision - (self._width() or 0) * log(2 * pi)) / 2

    def functional_variance(self, Js: Tensor) -> Tensor:
        """Covariances (n, C, C) of the outputs with Jacobians (n, C, P)."""
        raise NotImplementedError

    def functional_covariance(self, Js: Tensor) -> Tensor:
        """The covariance (n C, n C) of all outputs with Jacobians (n, C, P)."""
        self._check_jacobians(Js)
        return self.functional_variance(Js.flatten(0, 1)[None])[0]

    def _check_jacobians(self, Js: object) -> None:
        if not isinstance(Js, Tensor) or Js.device != self._device or Js.ndim != 3 or Js.shape[2] != self._width():
            found = tuple(Js.shape) if isinstance(Js, Tensor) else type(Js).__name__
            raise ShapeError(
                f"Jacobians must be a tensor (n, C, {self._width()}) on {self._device}; got {found}.", "SHAPE_MISMATCH"
            )

    def sample(self, n_samples: Count = 100, generator: torch.Generator | None = None) -> Tensor:
        """Draws of the parameters, (n_samples, P)."""
        raise NotImplementedError

    def _drawn(self, n_samples: Count, generator: torch.Generator | None, draws: Callable[[Tensor], Tensor]) -> Tensor:
        """What a function makes of standard normal numbers, (n_samples, P), a row for each draw."""
        return drawn(n_samples, self._width() or 0, generator, draws, self._device, self._dtype)

    # --- predictions ---

    def __call__(
        self,
        x: Inputs,
        pred_type: PredType | str = PredType.GLM,
        joint: bool = False,
        link_approx: LinkApprox | str = LinkApprox.PROBIT,
        n_samples: Count = 100,
        diagonal_output: bool = False,
        generator: torch.Generator | None = None,
        fitting: bool = False,
        **model_kwargs: Any,
    ) -> Any:
        """The predictive distribution for inputs.

        Args:
            pred_type: 'glm', the linearised network; or 'nn', sampled weights (then link_approx='mc').
            joint: regression: the covariance of all outputs of all rows.
            diagonal_output: regression: variances alone; with link_approx='mc' draws without covariance.
            fitting: reward modelling: probabilities of the choices instead of rewards.

        Returns:
            Classification: probabilities (n, C). Regression: means (n, C) and covariances (n, C, C) without the noise.
        """
        self._check_words(pred_type, link_approx, generator, _GLM_OR_NN)
        likelihood = self._seen_likelihood(fitting)
        if pred_type == PredType.GLM:
            return self._glm_forward_call(x, likelihood, joint, link_approx, n_samples, diagonal_output, generator)
        if link_approx != LinkApprox.MC:
            raise OptionError(
                "pred_type='nn' averages over sampled weights: give link_approx='mc'.",
                "BAD_COMBINATION",
                {"option": "link_approx"},
            )
        outputs = self._nn_outputs(x, n_samples, generator, **model_kwargs)
        if likelihood == Likelihood.REGRESSION:
            draws = torch.stack(list(outputs))
            return draws.mean(dim=0), draws.var(dim=0)
        total: Any = 0.0
        for out in outputs:
            total = total + out.softmax(dim=-1) / n_samples
        return total

    def functional_samples(
        self,
        x: Inputs,
        pred_type: PredType | str = PredType.GLM,
        n_samples: Count = 100,
        diagonal_output: bool = False,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draws of the outputs, (n_samples, n, C)."""
        self._check_words(pred_type, LinkApprox.MC, None, _GLM_OR_NN)
        if pred_type == PredType.NN:
            return torch.stack(list(self._nn_outputs(x, n_samples, generator)))
        f_mu, f_var = self._glm_predictive_distribution(x)
        return self._glm_functional_samples(f_mu, f_var, n_samples, diagonal_output, generator)

    def _glm_predictive_distribution(
        self, X: Inputs, joint: bool = False, diagonal_output: bool = False
    ) -> tuple[Tensor, Tensor]:
        if not self.enable_backprop and self._predictor is not None and self._predictor.has(self._sums()):
            answer = self._predictor(X, self.prior_precision, self._H_factor, joint)
            if answer is not None:
                return answer
        f_mu, f_var = self._by_jacobians(X, joint)
        return f_mu, f_var.diagonal(dim1=-2, dim2=-1) if diagonal_output and not joint else f_var

    def _by_jacobians(self, X: Inputs, joint: bool) -> tuple[Tensor, Tensor]:
        """Means and covariances of the outputs."""
        with torch.enable_grad():
            Js, f_mu = self._jacobians(X)
            f_var = self.functional_covariance(Js) if joint else self.functional_variance(Js)
        f_mu = f_mu.flatten() if joint else f_mu
        return (f_mu, f_var) if self.enable_backprop else (f_mu.detach(), f_var.detach())

    def _jacobians(self, X: Inputs) -> tuple[Tensor, Tensor]:
        return self.backend.jacobians(self._moved(X), enable_backprop=self.enable_backprop)

    def _nn_outputs(
        self, X: Inputs, n_samples: Count, generator: torch.Generator | None = None, **model_kwargs: Any
    ) -> Iterator[Tensor]:
        """The network's outputs for draws of its weights. The network itself keeps its own."""
        X = self._moved(X)

        def outputs(theta: Tensor) -> Tensor:
            return torch.func.functional_call(self.model, self._named(theta), (X,), model_kwargs)

        return _each(outputs if self.enable_backprop else torch.no_grad()(outputs), self.sample(n_samples, generator))

    def _named(self, theta: Tensor) -> dict[str, Tensor]:
        """The uncertain parameters of the network with the values of a vector, by name."""
        uncertain = {id(parameter) for parameter in self.params}
        named = [(name, value) for name, value in self.model.named_parameters() if id(value) in uncertain]
        parts = theta.split([value.numel() for _, value in named])
        return {name: part.view_as(value) for (name, value), part in zip(named, parts, strict=True)}

    # --- saving ---

    def state_dict(self) -> dict[str, Any]:
        """The posterior as tensors and plain values; `load_state_dict` of one of the same kind takes it."""
        self._check_H_init()
        state = {name: getattr(self, name) for name in _STATE}
        state["likelihood"] = str(self.likelihood)
        return {**state, "cls_name": type(self).__name__}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes over a posterior of `state_dict`, of this package or of laplace-torch.

        Raises:
            OptionError: when it is of another kind, likelihood or number of parameters.
        """
        self._check_state(state_dict)
        for name in _STATE:
            setattr(self, name, state_dict[name])
        self.model.output_size = self.n_outputs
        self._predictor = None
        self._curvature_changed()

    def _check_state(self, state: Mapping[str, Any]) -> None:
        demand_entries(state, (*_STATE, "cls_name"))
        own = {
            "cls_name": (type(self).__name__, state["cls_name"]),
            "number of parameters": (self.n_params, len(state["mean"])),
            "likelihood": (self.likelihood, state["likelihood"]),
        }
        for what, (mine, loaded) in own.items():
            if mine is not None and mine != loaded:
                raise OptionError(
                    f"The state dict has {loaded!r} for {what}, this posterior {mine!r}: make it with the same model, "
                    "likelihood, subset_of_weights, hessian_structure and requires_grad.",
                    "BAD_COMBINATION",
                )
        for name in ("temperature", "enable_backprop"):
            if getattr(self, name) != state[name]:
                warnings.warn(
                    f"{name} is {getattr(self, name)!r} here and {state[name]!r} in the state dict, which is taken.",
                    LaplaceWarning,
                    stacklevel=user_level(),
                )


def _rows_of(X: Inputs, counted: Tensor) -> Inputs:
    """The rows of a batch that count."""
    if not isinstance(X, Mapping):
        return X[counted]
    # An object of the user's own keeps its class, as its network may ask for it.
    rows = copy(X)
    for key, value in X.items():
        if isinstance(value, Tensor) and value.ndim and len(value) == len(counted):
            rows[key] = value[counted]  # type: ignore[index]
    return rows


#: Networks up to so many parameters are run for several draws at once; of larger ones the products take the time.
_SMALL_NETWORK = 100_000
_DRAWS_AT_ONCE = 64


def _each(outputs: Callable[[Tensor], Tensor], draws: Tensor) -> Iterator[Tensor]:
    """A function of each row of draws: of many rows at once where it can be mapped over them."""
    if draws.shape[1] <= _SMALL_NETWORK and len(draws) > 1:
        try:
            # Not a generator: what fails must fail before the first value is given away.
            chunks = [torch.func.vmap(outputs)(chunk) for chunk in draws.split(_DRAWS_AT_ONCE)]
        except Exception:
            # Whatever a module does that cannot be mapped over draws, it does for one at a time.
            chunks = []
        if chunks:
            yield from torch.cat(chunks)
            return
    for theta in draws:
        yield outputs(theta)


def demand_entries(state: Mapping[str, Any], names: tuple[str, ...]) -> None:
    """Checks that a state dict has all of its entries, and that its tensors are finite.

    Raises:
        OptionError: where one is missing, or has NaN.
    """
    missing = [name for name in names if name not in state]
    if missing:
        raise OptionError(
            f"The state dict has no {missing[0]!r}: it must be what state_dict() of a fitted posterior gives.",
            data={"option": "state_dict"},
        )
    for name in names:
        if isinstance(state[name], Tensor):
            demand_finite(state[name], f"state_dict[{name!r}]")
