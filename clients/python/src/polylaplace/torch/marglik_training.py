# mypy: disable-error-code="import-not-found"
"""Training with the evidence: weights by the loss, prior and noise by the log marginal likelihood."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam
from torch.utils.data import DataLoader

from .._arguments import checked
from .._exceptions import LaplaceWarning, OptionError
from ._base import _steps
from ._kinds import Count, as_batch, demand_positive
from ._levels import user_level
from .curvature import AsdlGGN, CurvatureInterface
from .laplace import Laplace
from .utils.enums import HessianStructure, Likelihood, PriorStructure
from .utils.utils import expand_prior_precision, fix_prior_prec_structure

__all__ = ["marglik_training"]

_POSITIVE = ("lr_hyp", "temperature", "prior_prec_init", "sigma_noise_init")


@checked
def marglik_training(
    model: nn.Module,
    train_loader: DataLoader,
    likelihood: Likelihood | str = Likelihood.CLASSIFICATION,
    hessian_structure: HessianStructure | str = HessianStructure.KRON,
    backend: type[CurvatureInterface] = AsdlGGN,
    optimizer_cls: Callable[..., Any] = Adam,
    optimizer_kwargs: Mapping[str, Any] | None = None,
    scheduler_cls: Callable[..., Any] | None = None,
    scheduler_kwargs: Mapping[str, Any] | None = None,
    n_epochs: Count = 300,
    lr_hyp: float = 1e-1,
    prior_structure: PriorStructure | str = PriorStructure.LAYERWISE,
    n_epochs_burnin: int = 0,
    n_hypersteps: Count = 10,
    marglik_frequency: Count = 1,
    prior_prec_init: float = 1.0,
    sigma_noise_init: float = 1.0,
    temperature: float = 1.0,
    fix_sigma_noise: bool = False,
    progress_bar: bool = False,
    enable_backprop: bool = False,
    dict_key_x: str = "input_ids",
    dict_key_y: str = "labels",
) -> tuple[Any, nn.Module, list[float], list[float]]:
    """Trains a network, and its prior precision and noise by the evidence (Immer et al. 2021).

    After every epoch the posterior over all weights is fitted, and `n_hypersteps` steps of Adam follow the gradient of
    its log marginal likelihood.

    Returns:
        The posterior at the best evidence; the network, with the weights that it had then; the negative log marginal
        likelihood of each step; the mean loss of each epoch.
    """
    for name, value in zip(_POSITIVE, (lr_hyp, temperature, prior_prec_init, sigma_noise_init), strict=True):
        demand_positive(value, name)
    regression = _is_regression(likelihood)
    hyper = _Hyper.begin(
        model, regression, prior_structure, temperature * prior_prec_init, sigma_noise_init, fix_sigma_noise
    )
    optimizer = optimizer_cls(model.parameters(), **_without_weight_decay(optimizer_kwargs or {}))
    scheduler = None if scheduler_cls is None else scheduler_cls(optimizer, **(scheduler_kwargs or {}))
    training = _Training(model, train_loader, regression, temperature, optimizer, scheduler, dict_key_y)

    def fitted(prior: Tensor, noise: Any, backprop: bool) -> Any:
        """The posterior over all weights, of the network as it is now."""
        hyper: Any = {"prior_precision": prior, "sigma_noise": noise, "temperature": temperature}
        words: Any = {"dict_key_x": dict_key_x, "dict_key_y": dict_key_y, "backend": backend}
        la = Laplace(model, likelihood, "all", hessian_structure, enable_backprop=backprop, **hyper, **words)
        la.fit(train_loader)
        return la

    tuning = _Tuning(fitted, hyper, Adam(hyper.parameters(), lr=lr_hyp), n_hypersteps)
    losses: list[float] = []
    for epoch in _steps(range(1, n_epochs + 1), progress_bar, "training"):
        losses.append(training.epoch(hyper))
        if epoch % marglik_frequency == 0 and epoch >= n_epochs_burnin:
            tuning.follow(model)
    prior, noise = tuning.best(model)
    return fitted(prior, noise, enable_backprop), model, tuning.margliks, losses


def _is_regression(likelihood: Likelihood | str) -> bool:
    if likelihood in (Likelihood.CLASSIFICATION, Likelihood.REGRESSION):
        return likelihood == Likelihood.REGRESSION
    raise OptionError(
        f"likelihood must be 'classification' or 'regression'; got {likelihood!r}.",
        "BAD_OPTION",
        {"option": "likelihood"},
    )


def _without_weight_decay(options: Mapping[str, Any]) -> dict[str, Any]:
    if not options.get("weight_decay"):
        return dict(options)
    warnings.warn(
        "The prior precision is the weight decay, and is found here: optimizer_kwargs' weight_decay is set to 0.",
        LaplaceWarning,
        stacklevel=user_level(),
    )
    return {**options, "weight_decay": 0.0}


@dataclass
class _Hyper:
    """Prior precision and noise by their logarithms."""

    log_prior: Tensor
    log_sigma: Tensor
    regression: bool
    tunes_noise: bool

    @classmethod
    def begin(
        cls, model: nn.Module, regression: bool, structure: Any, prior: float, sigma: float, fixed: bool
    ) -> _Hyper:
        sizes = [parameter.numel() for parameter in model.parameters() if parameter.requires_grad]
        like = next(model.parameters())
        log_prior = fix_prior_prec_structure(
            math.log(prior), structure, len(sizes), sum(sizes), like.device, like.dtype
        )
        log_sigma = torch.full((1,), math.log(sigma), device=like.device, dtype=like.dtype)
        tunes = regression and not fixed
        return cls(log_prior.requires_grad_(True), log_sigma.requires_grad_(tunes), regression, tunes)

    def parameters(self) -> list[Tensor]:
        return [self.log_prior, self.log_sigma] if self.tunes_noise else [self.log_prior]

    def prior_precision(self) -> Tensor:
        return self.log_prior.exp()

    def sigma_noise(self, detached: bool = False) -> Any:
        if not self.regression:
            return 1.0
        return self.log_sigma.detach().exp() if detached else self.log_sigma.exp()

    def step(self, la: Any, optimizer: Adam) -> tuple[float, Tensor, Any]:
        """One step along the evidence's gradient: minus the evidence, prior and noise, all of them before it."""
        optimizer.zero_grad()
        prior, noise = self.prior_precision(), self.sigma_noise(detached=True)
        value = -la.log_marginal_likelihood(prior, self.sigma_noise() if self.tunes_noise else None)
        value.backward()
        optimizer.step()
        return value.item(), prior.detach(), noise


@dataclass
class _Tuning:
    """Steps along the evidence's gradient, and what was there at the best evidence."""

    fitted: Callable[[Tensor, Any, bool], Any]
    hyper: _Hyper
    optimizer: Adam
    steps: int
    margliks: list[float] = field(default_factory=list)
    kept: tuple[float, dict[str, Any], Tensor, Any] | None = None

    def follow(self, model: nn.Module) -> None:
        """Fits the posterior of the network as it is, and follows its evidence."""
        mode = model.training
        with warnings.catch_warnings():
            # What is said of a network in training is out of date in the next epoch.
            warnings.simplefilter("ignore", LaplaceWarning)
            la = self.fitted(self.hyper.prior_precision().detach(), self.hyper.sigma_noise(detached=True), False)
        model.train(mode)
        for _ in range(self.steps):
            value, prior, noise = self.hyper.step(la, self.optimizer)
            self.margliks.append(value)
        if self.kept is None or value < self.kept[0]:
            self.kept = value, deepcopy(model.state_dict()), prior, noise

    def best(self, model: nn.Module) -> tuple[Tensor, Any]:
        """Prior precision and noise at the best evidence, whose weights the network takes; without one, the last."""
        if self.kept is None:
            return self.hyper.prior_precision().detach(), self.hyper.sigma_noise(detached=True)
        _, weights, prior, noise = self.kept
        model.load_state_dict(weights)
        return prior, noise


@dataclass
class _Training:
    """Epochs of training with the loss and the prior."""

    model: nn.Module
    loader: Any
    regression: bool
    temperature: float
    optimizer: Any
    scheduler: Any
    label_key: str

    def epoch(self, hyper: _Hyper) -> float:
        """One pass over the data; the mean loss."""
        examples = len(self.loader.dataset)
        criterion = nn.MSELoss() if self.regression else nn.CrossEntropyLoss()
        delta = expand_prior_precision(hyper.prior_precision().detach(), self.model)
        sigma = hyper.sigma_noise(detached=True)
        factor = self.temperature / (2 * sigma**2) if self.regression else self.temperature
        total = 0.0
        for X, y in self._batches():
            self.optimizer.zero_grad()
            trained = [parameter.flatten() for parameter in self.model.parameters() if parameter.requires_grad]
            theta = torch.cat(trained)
            loss = criterion(self.model(X), y) + 0.5 * (delta * theta) @ theta / examples / factor
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(y)
            if self.scheduler is not None:
                self.scheduler.step()
        return total / examples

    def _batches(self) -> Iterator[tuple[Any, Tensor]]:
        device = next(self.model.parameters()).device
        for batch in self.loader:
            X, y = as_batch(batch, self.label_key)
            yield X.to(device) if isinstance(X, Tensor) else X, y.to(device)
