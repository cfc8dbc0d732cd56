# mypy: disable-error-code="import-not-found"
"""Posteriors over the last layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from .._exceptions import OptionError, ShapeError
from ._functional import FunctionalLaplace
from ._kinds import Count, Inputs
from ._parametric import ParametricLaplace
from ._structures import DiagLaplace, FullLaplace, KronLaplace
from .curvature import BackPackGGN, CurvatureInterface
from .utils.enums import Likelihood
from .utils.feature_extractor import FeatureExtractor, FeatureReduction

#: Numbers of the Jacobians of a joint prediction up to which they are written out.
_FEW_NUMBERS = 1 << 18

__all__ = ["DiagLLLaplace", "FullLLLaplace", "FunctionalLLLaplace", "KronLLLaplace", "LLLaplace"]


class LLLaplace(ParametricLaplace):
    """A posterior over the last layer of a copy of the network.

    Args:
        feature_reduction: which position answers, where the last layer's inputs have several: 'pick_first',
            'pick_last' or 'average'.
        last_layer_name: the name of a `nn.Linear`. None: the module that runs last, which the first batch tells.

    The other arguments are those of `BaseLaplace`.
    """

    def __init__(
        self,
        model: nn.Module,
        likelihood: Likelihood | str,
        sigma_noise: float | Tensor = 1.0,
        prior_precision: float | Tensor = 1.0,
        prior_mean: float | Tensor = 0.0,
        temperature: float = 1.0,
        enable_backprop: bool = False,
        feature_reduction: FeatureReduction | str | None = None,
        dict_key_x: str = "input_ids",
        dict_key_y: str = "labels",
        backend: type[CurvatureInterface] | None = None,
        last_layer_name: str | None = None,
        backend_kwargs: Mapping[str, Any] | None = None,
        asdl_fisher_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        _refuse_fisher_kwargs(asdl_fisher_kwargs, "a last layer")
        self._last_layer_name = last_layer_name
        #: The first batch, by which the last layer was found.
        self.data: Any = None
        extractor = FeatureExtractor(
            deepcopy(model),
            last_layer_name=last_layer_name,
            enable_backprop=enable_backprop,
            feature_reduction=feature_reduction,
        )
        ParametricLaplace.__init__(
            self,
            extractor,
            likelihood,
            sigma_noise,
            prior_precision,
            prior_mean,
            temperature,
            enable_backprop,
            dict_key_x,
            dict_key_y,
            backend,
            {**(backend_kwargs or {}), "last_layer": True},
        )

    def _uncertain(self) -> list[Tensor] | None:
        return last_layer_parameters(self.model)

    def fit(self, train_loader: DataLoader, override: bool = True, progress_bar: bool = False) -> None:
        """Fits the posterior to the batches of a loader: tuples (x, y), or mappings.

        Raises:
            OptionError: for override=False, as in laplace-torch.
        """
        if not override:
            raise OptionError(
                "A last layer takes no override=False: fit it to all data, or take subset_of_weights='all'.",
                "BAD_OPTION",
                {"option": "override"},
            )
        self.model.eval()
        if self.n_params is None:
            self.data = next(iter(train_loader))
            self._find_last_layer(self.data)
        super().fit(train_loader, override=override, progress_bar=progress_bar)

    def _find_last_layer(self, data: Any) -> None:
        """Has the network tell its last layer, and checks the prior by its size."""
        self._outputs_of(data)
        self._count(self._uncertain())
        # The size of the layer is known only now.
        self.prior_precision = self._prior_precision
        self._number(self._prior_mean, "prior_mean", (1, self.n_params))
        self._init_H()

    def _jacobians(self, X: Inputs) -> tuple[Tensor, Tensor]:
        return self.backend.last_layer_jacobians(self._moved(X), self.enable_backprop)

    def _glm_predictive_distribution(
        self, X: Inputs, joint: bool = False, diagonal_output: bool = False
    ) -> tuple[Tensor, Tensor]:
        if joint:
            # Few Jacobians are made here in less time than a message takes.
            small = isinstance(X, Tensor) and len(X) * self.n_outputs * (self._width() or 0) <= _FEW_NUMBERS
            return self._by_jacobians(X, joint) if small else super()._glm_predictive_distribution(X, joint)
        with torch.set_grad_enabled(self.enable_backprop):
            f_mu, features = self.model.answering_features(self._moved(X))
            f_var = self._variances(features) if diagonal_output else self._covariances(features)
        return (f_mu, f_var) if self.enable_backprop else (f_mu.detach(), f_var.detach())

    def functional_variance_fast(self, X: Inputs) -> tuple[Tensor, Tensor]:
        """Means and variances of the outputs, (n, C) each."""
        return self._glm_predictive_distribution(X, diagonal_output=True)

    def _covariances(self, features: Tensor) -> Tensor:
        """Covariances (n, C, C) of the outputs with features (n, D), without Jacobians."""
        raise NotImplementedError

    def _variances(self, features: Tensor) -> Tensor:
        """Variances (n, C) of the outputs with features (n, D)."""
        return self._covariances(features).diagonal(dim1=-2, dim2=-1)

    def _by_layer(self, values: Tensor) -> tuple[Tensor, Tensor | None]:
        """Values (P, ...) of all parameters as those of weights (C, D, ...) and biases (C, ...)."""
        weight, bias = self.model.last_layer.weight, self.model.last_layer.bias
        weights = values[: weight.numel()].unflatten(0, weight.shape)
        return weights, None if bias is None else values[weight.numel() :]

    def _nn_outputs(
        self, X: Inputs, n_samples: Count, generator: torch.Generator | None = None, **model_kwargs: Any
    ) -> Iterator[Tensor]:
        """The outputs for draws of the last layer, for which the layers before it run once."""
        X = self._moved(X)
        try:
            _, features = self.model.answering_features(X, **model_kwargs)
        except ShapeError:
            # Something comes after that layer: the whole network has to run.
            yield from super()._nn_outputs(X, n_samples, generator, **model_kwargs)
            return
        for theta in self.sample(n_samples, generator):
            out = nn.functional.linear(features, *self._by_layer(theta))
            yield out if self.enable_backprop else out.detach()

    def state_dict(self) -> dict[str, Any]:
        """The posterior as tensors and plain values."""
        return {**super().state_dict(), "data": self.data, "_last_layer_name": self._last_layer_name}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes over a posterior of `state_dict`.

        Raises:
            OptionError: when it is of another kind, or of a layer of another name.
        """
        _check_layer_name(self._last_layer_name, state_dict)
        self.data = state_dict["data"]
        if self.n_params is None and self.data is not None:
            self._find_last_layer(self.data)
        super().load_state_dict(state_dict)


class FullLLLaplace(LLLaplace, FullLaplace):
    """The last layer with a whole matrix as precision. Its arguments are those of `LLLaplace`."""

    _key = ("last_layer", "full")

    def _covariances(self, features: Tensor) -> Tensor:
        rows, row_bias = self._by_layer(self.posterior_covariance)
        of_weights, across = self._by_layer(rows.movedim(2, 0))
        # Of weights (C, D), those of outputs c and k: sum over d and e of phi_d S[c, d, k, e] phi_e.
        half = torch.einsum("kecd,nd->nkce", of_weights, features)
        total = torch.einsum("nkce,ne->nck", half, features)
        if across is None or row_bias is None:
            return total
        mixed = torch.einsum("kcd,nd->nck", across, features)
        return total + mixed + mixed.transpose(1, 2) + row_bias[:, -len(across) :]


class KronLLLaplace(LLLaplace, KronLaplace):
    """The last layer with Kronecker factors. Its arguments are those of `LLLaplace`, and `damping` of `KronLaplace`."""

    _key = ("last_layer", "kron")

    def __init__(
        self,
        model: nn.Module,
        likelihood: Likelihood | str,
        sigma_noise: float | Tensor = 1.0,
        prior_precision: float | Tensor = 1.0,
        prior_mean: float | Tensor = 0.0,
        temperature: float = 1.0,
        enable_backprop: bool = False,
        feature_reduction: FeatureReduction | str | None = None,
        dict_key_x: str = "input_ids",
        dict_key_y: str = "labels",
        backend: type[CurvatureInterface] | None = None,
        last_layer_name: str | None = None,
        damping: bool = False,
        backend_kwargs: Mapping[str, Any] | None = None,
        asdl_fisher_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self._begin(damping)
        LLLaplace.__init__(
            self,
            model,
            likelihood,
            sigma_noise,
            prior_precision,
            prior_mean,
            temperature,
            enable_backprop,
            feature_reduction,
            dict_key_x,
            dict_key_y,
            backend,
            last_layer_name,
            backend_kwargs,
            asdl_fisher_kwargs,
        )

    def _covariances(self, features: Tensor) -> Tensor:
        precision = self.posterior_precision
        spectra, (outputs, inputs) = precision.spectra(), precision.eigenvectors[0]
        # In the eigenvectors of both factors the covariance of the weights is diagonal.
        each = (features @ inputs).square() @ (1 / spectra[0]).T
        total = (outputs * each[:, None, :]) @ outputs.T
        if len(spectra) == 1:
            return total
        vectors = precision.eigenvectors[1][0]
        return total + (vectors / spectra[1]) @ vectors.T


class DiagLLLaplace(LLLaplace, DiagLaplace):
    """The last layer with a diagonal precision. Its arguments are those of `LLLaplace`."""

    _key = ("last_layer", "diag")

    def _covariances(self, features: Tensor) -> Tensor:
        return self._variances(features).diag_embed()

    def _variances(self, features: Tensor) -> Tensor:
        weights, biases = self._by_layer(self.posterior_variance)
        total = features.square() @ weights.T
        return total if biases is None else total + biases


class FunctionalLLLaplace(FunctionalLaplace):
    """A Gaussian process that is the Gaussian over the last layer's weights.

    Args:
        feature_reduction, last_layer_name: those of `LLLaplace`.

    The other arguments are those of `FunctionalLaplace`.
    """

    _key = ("last_layer", "gp")

    def __init__(
        self,
        model: nn.Module,
        likelihood: Likelihood | str,
        n_subset: Count,
        sigma_noise: float | Tensor = 1.0,
        prior_precision: float | Tensor = 1.0,
        prior_mean: float | Tensor = 0.0,
        temperature: float = 1.0,
        enable_backprop: bool = False,
        feature_reduction: FeatureReduction | str | None = None,
        dict_key_x: str = "input_ids",
        dict_key_y: str = "labels",
        last_layer_name: str | None = None,
        backend: type[CurvatureInterface] | None = BackPackGGN,
        backend_kwargs: Mapping[str, Any] | None = None,
        independent_outputs: bool = False,
        seed: int = 0,
        diagonal_likelihood: bool = False,
    ) -> None:
        self._last_layer_name = last_layer_name
        self.data: Any = None
        extractor = FeatureExtractor(
            deepcopy(model),
            last_layer_name=last_layer_name,
            enable_backprop=enable_backprop,
            feature_reduction=feature_reduction,
        )
        super().__init__(
            extractor,
            likelihood,
            n_subset,
            sigma_noise,
            prior_precision,
            prior_mean,
            temperature,
            enable_backprop,
            dict_key_x,
            dict_key_y,
            backend,
            {**(backend_kwargs or {}), "last_layer": True},
            independent_outputs,
            seed,
            diagonal_likelihood,
        )

    def _uncertain(self) -> list[Tensor] | None:
        return last_layer_parameters(self.model)

    def fit(self, train_loader: DataLoader, progress_bar: bool = False) -> None:
        """Fits the process to rows of a loader."""
        self.model.eval()
        if self.n_params is None:
            self.data = next(iter(train_loader))
            self._find_last_layer(self.data)
        super().fit(train_loader, progress_bar=progress_bar)

    def _find_last_layer(self, data: Any) -> None:
        with torch.no_grad():
            self.model(data if isinstance(data, Mapping) else data[0].to(self._device))
        self._count(self._uncertain())
        self._number(self._prior_mean, "prior_mean", (1, self.n_params))

    def _jacobians(self, X: Inputs, enable_backprop: bool | None = None) -> tuple[Tensor, Tensor]:
        backprop = self.enable_backprop if enable_backprop is None else enable_backprop
        return self.backend.last_layer_jacobians(X, backprop)

    def state_dict(self) -> dict[str, Any]:
        """The posterior as tensors and plain values, with the inputs of the subset."""
        return {**super().state_dict(), "data": self.data, "_last_layer_name": self._last_layer_name}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes over a posterior of `state_dict`."""
        _check_layer_name(self._last_layer_name, state_dict)
        self.data = state_dict["data"]
        if self.n_params is None and self.data is not None:
            self._find_last_layer(self.data)
        super().load_state_dict(state_dict)


def last_layer_parameters(model: FeatureExtractor) -> list[Tensor] | None:
    """The parameters of the last layer; None: it is not known yet."""
    return None if model.last_layer is None else list(model.last_layer.parameters())


def _check_layer_name(own: str | None, state: Mapping[str, Any]) -> None:
    if own != state["_last_layer_name"]:
        raise OptionError(
            f"The state dict is of last_layer_name={state['_last_layer_name']!r}, this posterior of {own!r}.",
            "BAD_COMBINATION",
            {"option": "last_layer_name"},
        )


def _refuse_fisher_kwargs(value: Mapping[str, Any] | None, what: str) -> None:
    if value is not None:
        raise OptionError(
            f"asdl_fisher_kwargs are not there for {what}; backend_kwargs are.",
            "BAD_COMBINATION",
            {"option": "asdl_fisher_kwargs"},
        )
