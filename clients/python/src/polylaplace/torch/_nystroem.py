# mypy: disable-error-code="import-not-found"
"""The posterior in the span of some Jacobians (ELLA: Deng, Zhou and Zhu 2022, "Accelerated linearized Laplace")."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, RandomSampler, SequentialSampler, Subset, SubsetRandomSampler

from .._exceptions import OptionError, ShapeError
from ._base import _steps
from ._errors import NotDefiniteError
from ._kinds import Count, Inputs, as_batch, counted_rows
from ._links import probit_logits
from ._outputs_posterior import BaseFunctionalLaplace, NotThereError
from ._parametric import demand_entries
from .curvature import CurvatureInterface
from .utils.enums import Likelihood, LinkApprox, PredType, PriorStructure, TuningMethod

_STATE = (
    "n_params",
    "n_data",
    "n_outputs",
    "subsample_size",
    "n_eigenvalues",
    "seed",
    "dual_directions",
    "feature_gram",
    "prior_precision",
    "sigma_noise",
    "temperature",
)


class ELLA(BaseFunctionalLaplace):
    """The Gauss-Newton posterior of all rows in the span of the Jacobians of some: directions outside have no variance.

    With V (P, K) the leading eigenvectors of the kernel of `subsample_size` Jacobians, one output of each drawn by the
    seed, the covariance of outputs with Jacobians J is J V (V' H V / (sigma^2 T) + delta I)^-1 V' J'.

    Args:
        subsample_size: how many training rows the directions come from.
        n_eigenvalues: K, how many directions.
        seed: of the draw of rows and of their outputs.

    The other arguments are those of `BaseLaplace`; the prior is one number, and its mean 0.
    """

    def __init__(
        self,
        model: nn.Module,
        likelihood: Likelihood | str,
        subsample_size: Count,
        n_eigenvalues: Count,
        sigma_noise: float | Tensor = 1.0,
        prior_precision: float | Tensor = 1.0,
        prior_mean: float | Tensor = 0.0,
        temperature: float = 1.0,
        enable_backprop: bool = False,
        dict_key_x: str = "input_ids",
        dict_key_y: str = "labels",
        backend: type[CurvatureInterface] | None = None,
        backend_kwargs: Mapping[str, Any] | None = None,
        seed: int = 1234,
    ) -> None:
        if not 0 < n_eigenvalues <= subsample_size:
            raise OptionError(
                f"n_eigenvalues is a number from 1 to subsample_size ({subsample_size}); got {n_eigenvalues}.",
                "BAD_OPTION",
                {"option": "n_eigenvalues"},
            )
        if bool((torch.as_tensor(prior_mean) != 0).any()):
            raise OptionError("The prior mean of ELLA is 0.", "BAD_OPTION", {"option": "prior_mean"})
        #: V (P, K), and V' H V (K, K) before noise and temperature.
        self.dual_directions: Any = None
        self.feature_gram: Any = None
        self._factor: Any = None
        super().__init__(
            model,
            likelihood,
            sigma_noise,
            prior_precision,
            prior_mean,
            temperature,
            enable_backprop,
            dict_key_x,
            dict_key_y,
            backend,
            backend_kwargs,
        )
        self.subsample_size, self.n_eigenvalues, self.seed = subsample_size, n_eigenvalues, seed
        self.fit_history_: dict[str, list[Any]] = _empty_history()

    def _prior_lengths(self) -> tuple[int | None, ...]:
        return (1,)

    def _hyper_changed(self) -> None:
        self._factor = None

    @property
    def chol_precision(self) -> Any:
        """The Cholesky factor (K, K) of the precision of the directions, lower; None before fit."""
        if self.feature_gram is None:
            return None
        if self._factor is None:
            identity = torch.eye(self.n_eigenvalues, device=self._device, dtype=self._dtype)
            factor, failed = torch.linalg.cholesky_ex(
                self._H_factor * self.feature_gram + self.prior_precision * identity
            )
            if failed:
                raise NotDefiniteError(
                    "The precision of the directions is not positive definite to the precision of its numbers: give a "
                    "larger prior_precision, fewer n_eigenvalues, or a network in float64 (model.double()).",
                    "NOT_POSITIVE_DEFINITE",
                )
            self._factor = factor
        return self._factor

    # --- fitting ---

    def fit(
        self,
        train_loader: DataLoader,
        *,
        val_loader: DataLoader | None = None,
        val_steps: Count | None = None,
        balanced: bool = False,
        progress_bar: bool = False,
    ) -> None:
        """Draws rows for the directions, and sums the curvature of all rows along them.

        Args:
            val_loader: held-out rows, whose mean negative log likelihood goes into `fit_history_`.
            val_steps: after how many batches; None: at the end.
            balanced: whether the rows are drawn from each class in turn.

        Raises:
            OptionError: where there are fewer rows than subsample_size, or fewer directions than n_eigenvalues.
            ShapeError: when the targets of a regression do not have the outputs' shape.
        """
        self.model.eval()
        self._fitted, self.n_data = False, 0
        self.fit_history_ = _empty_history()
        self._build_directions(self._subset(train_loader, self._drawn(train_loader, balanced)))
        self.feature_gram = torch.zeros(self.n_eigenvalues, self.n_eigenvalues, device=self._device, dtype=self._dtype)
        step = 0
        for step, batch in enumerate(_steps(train_loader, progress_bar, "ELLA"), 1):
            self._add(*self._parts(batch))
            if val_loader is not None and val_steps is not None and step % val_steps == 0:
                self._watch(val_loader)
        self._fitted = True
        if val_loader is not None and (val_steps is None or step % val_steps != 0):
            self._watch(val_loader)

    def _add(self, X: Inputs, y: Tensor) -> None:
        features, f = self._features(X, backprop=False)
        if self.likelihood == Likelihood.REGRESSION:
            _targets(y, f)
            gram = torch.einsum("nck,ncl->kl", features, features)
        else:
            p = f.softmax(dim=-1)
            H = p.diag_embed() - p[:, :, None] * p[:, None, :]
            counted = counted_rows(y)
            H = H if counted is None else H * counted[:, None, None]
            gram = torch.einsum("nck,ncd,ndl->kl", features, H, features)
        self.feature_gram = self.feature_gram + gram
        self._factor = None
        self.n_data += len(f)
        self.fit_history_["processed_examples"].append(float(self.n_data))

    def _watch(self, val_loader: DataLoader) -> None:
        self._fitted = True
        self.fit_history_["val_nll"].append(float(self._validation_nll(val_loader)))

    def _parts(self, batch: Any) -> tuple[Inputs, Tensor]:
        x, y = as_batch(batch, self.dict_key_y)
        return self._moved(x), y.to(self._device)

    def _drawn(self, loader: DataLoader, balanced: bool) -> Tensor:
        """Numbers of the rows that the directions come from, in the order of the draw."""
        rows = _reachable(loader)
        if self.subsample_size > len(rows):
            raise OptionError(
                f"subsample_size is at most {len(rows)}, the number of rows; got {self.subsample_size}.",
                "BAD_OPTION",
                {"option": "subsample_size"},
            )
        generator = torch.Generator().manual_seed(self.seed)
        if not balanced:
            return rows[torch.randperm(len(rows), generator=generator)[: self.subsample_size]]
        if self.likelihood == Likelihood.REGRESSION:
            raise OptionError("balanced=True is for classes.", "BAD_COMBINATION", {"option": "balanced"})
        labels = torch.tensor([_label(loader.dataset[int(row)], self.dict_key_y) for row in rows])
        queues = []
        for label in labels.unique(sorted=True):
            own = torch.where(labels == label)[0]
            queues.append(deque(own[torch.randperm(len(own), generator=generator)].tolist()))
        chosen: list[int] = []
        while len(chosen) < self.subsample_size:
            chosen += [queue.popleft() for queue in queues if queue]
        return rows[torch.tensor(chosen[: self.subsample_size])]

    def _subset(self, loader: DataLoader, rows: Tensor) -> Any:
        size = loader.batch_size or getattr(loader.batch_sampler, "batch_size", 1)
        return DataLoader(Subset(loader.dataset, rows.tolist()), batch_size=size, collate_fn=loader.collate_fn)

    def _build_directions(self, batches: Iterable[Any]) -> None:
        generator = torch.Generator().manual_seed(self.seed + 1)
        parts = []
        for batch in batches:
            J, f = self.backend.jacobians(self._parts(batch)[0])
            output = torch.randint(f.shape[-1], (len(f),), generator=generator).to(J.device)
            parts.append(J[torch.arange(len(f), device=J.device), output])
            self.n_outputs = f.shape[-1]
        self.model.output_size = self.n_outputs
        rows = torch.cat(parts).double()
        values, vectors = torch.linalg.eigh(rows @ rows.T)
        order = torch.argsort(values, descending=True)[: self.n_eigenvalues]
        floor = torch.finfo(values.dtype).eps * max(rows.shape) * values.abs().max()
        if bool((values[order] <= floor).any()):
            raise OptionError(
                f"The Jacobians of {len(rows)} rows have {int((values > floor).sum())} directions, fewer than "
                f"n_eigenvalues={self.n_eigenvalues}: give fewer, a larger subsample_size, or another seed.",
                "BAD_OPTION",
                {"option": "n_eigenvalues"},
            )
        self.dual_directions = (rows.T @ (vectors[:, order] / values[order].sqrt())).to(self._dtype)

    # --- predictions ---

    def _features(self, X: Inputs, backprop: bool) -> tuple[Tensor, Tensor]:
        """J V (n, C, K) and outputs (n, C): by a forward derivative for each direction, which forms no Jacobian."""
        parameters, buffers = self.backend.params_dict, self.backend.buffers_dict
        sizes = [value.numel() for value in parameters.values()]

        def outputs(values: dict[str, Tensor]) -> Tensor:
            return torch.func.functional_call(self.model, (values, buffers), (X,))

        columns = []
        try:
            for direction in self.dual_directions.T:
                parts = zip(parameters.items(), direction.split(sizes), strict=True)
                along = {name: part.view_as(value) for (name, value), part in parts}
                f, column = torch.func.jvp(outputs, (parameters,), (along,))
                columns.append(column)
            features = torch.stack(columns, dim=-1)
        except (NotImplementedError, RuntimeError):
            # An operation without a forward derivative.
            J, f = self.backend.jacobians(X, enable_backprop=backprop)
            features = J @ self.dual_directions
        return (features, f) if backprop else (features.detach(), f.detach())

    def functional_variance(self, jacobians: Tensor) -> Tensor:
        """Covariances (n, C, C) of the outputs with Jacobians (n, C, P)."""
        return self._covariances(self._projected(jacobians))

    def functional_covariance(self, jacobians: Tensor) -> Tensor:
        """The covariance (n C, n C) of all outputs with Jacobians (n, C, P)."""
        return self._covariances(self._projected(jacobians).flatten(0, 1)[None])[0]

    def _projected(self, jacobians: Tensor) -> Tensor:
        self._check_fitted()
        if jacobians.ndim != 3 or jacobians.shape[2] != self.n_params:
            raise ShapeError(
                f"Jacobians must be a tensor (n, C, {self.n_params}); got {tuple(jacobians.shape)}.", "SHAPE_MISMATCH"
            )
        return jacobians @ self.dual_directions

    def _covariances(self, features: Tensor) -> Tensor:
        half = torch.linalg.solve_triangular(self.chol_precision, features.transpose(1, 2), upper=False)
        return half.transpose(1, 2) @ half

    def _glm_predictive_distribution(
        self, X: Inputs, joint: bool = False, diagonal_output: bool = False
    ) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            features, f = self._features(self._moved(X), self.enable_backprop)
            f_var = self._covariances(features.flatten(0, 1)[None])[0] if joint else self._covariances(features)
        if diagonal_output and not joint:
            f_var = f_var.diagonal(dim1=-2, dim2=-1)
        return f.flatten() if joint else f, f_var

    # --- tuning ---

    def _validation_nll(self, loader: DataLoader) -> Tensor:
        """The mean negative log likelihood of held-out rows: of observations, or of classes by the probit link."""
        total, count = torch.zeros((), device=self._device, dtype=self._dtype), 0
        for batch in loader:
            X, y = self._parts(batch)
            f, f_var = self.predictive_moments(X)
            if self.likelihood == Likelihood.REGRESSION:
                spread = f_var.diagonal(dim1=-2, dim2=-1) + self.sigma_noise.square()
                error = _targets(y, f) - f
                total = total + 0.5 * (error.square() / spread + spread.log() + math.log(2 * math.pi)).sum()
            else:
                total = total + nn.functional.cross_entropy(probit_logits(f, f_var), _classes(y), reduction="sum")
            count += len(f)
        return (total / count).detach()

    def optimize_prior_precision(
        self,
        pred_type: PredType | str | None = PredType.GP,
        method: TuningMethod | str = TuningMethod.GRIDSEARCH,
        n_steps: int = 100,
        lr: float = 1e-1,
        init_prior_prec: float | Tensor = 1.0,
        prior_structure: PriorStructure | str = PriorStructure.SCALAR,
        val_loader: DataLoader | None = None,
        loss: Any = None,
        log_prior_prec_min: float = -4,
        log_prior_prec_max: float = 4,
        grid_size: Count = 100,
        link_approx: LinkApprox | str = LinkApprox.PROBIT,
        n_samples: Count = 100,
        verbose: bool = False,
        progress_bar: bool = False,
    ) -> None:
        """Takes the value of a grid with the smallest negative log likelihood of held-out rows.

        Raises:
            OptionError: without val_loader, for another method, and for what such a search does not use.
        """
        self._check_fitted()
        if pred_type not in (None, PredType.GP):
            raise OptionError("pred_type of ELLA is 'gp'.", "BAD_OPTION", {"option": "pred_type"})
        unused = n_steps != 100 or lr != 0.1 or prior_structure != PriorStructure.SCALAR or loss is not None
        unused = unused or not bool((torch.as_tensor(init_prior_prec) == 1).all()) or n_samples != 100
        if method != TuningMethod.GRIDSEARCH or unused or link_approx != LinkApprox.PROBIT:
            raise NotThereError(
                "ELLA has no evidence: tune by method='gridsearch', by the likelihood of held-out rows with the probit "
                "link, without n_steps, lr, init_prior_prec, prior_structure, loss and n_samples.",
                "BAD_COMBINATION",
                {"option": "method"},
            )
        if val_loader is None:
            raise OptionError("method='gridsearch' needs val_loader=.", "BAD_COMBINATION", {"option": "val_loader"})
        grid = torch.logspace(log_prior_prec_min, log_prior_prec_max, int(grid_size))
        self.optimize_hyperparameters(val_loader, _steps(grid, progress_bar, "grid search"))
        if verbose:
            print(f"The prior precision found is {self.prior_precision}.")

    def optimize_hyperparameters(self, val_loader: DataLoader, grid: Iterable[Any]) -> None:
        """Takes the best by held-out rows of prior precisions, or of pairs of a prior precision and a noise.

        Raises:
            OptionError: for no value, and where none has a finite score.
        """
        self._check_fitted()
        best = (math.inf, self.prior_precision, self.sigma_noise)
        for value in grid:
            precision, *noise = value if isinstance(value, (tuple, list)) else (value,)
            self.prior_precision = precision
            if noise:
                self.sigma_noise = noise[0]
            score = float(self._validation_nll(val_loader))
            self.fit_history_["tuning"].append(
                {
                    "prior_precision": float(self.prior_precision),
                    "sigma_noise": float(self.sigma_noise),
                    "val_nll": score,
                }
            )
            if score < best[0]:
                best = (score, self.prior_precision, self.sigma_noise)
        _, self.prior_precision, self.sigma_noise = best
        if not math.isfinite(best[0]):
            raise OptionError("No value of the grid has a finite score.", "BAD_OPTION", {"option": "grid"})

    def log_marginal_likelihood(
        self, prior_precision: Tensor | None = None, sigma_noise: Tensor | None = None
    ) -> Tensor:
        """Refused: the directions are no posterior over all weights, whose evidence this would be."""
        raise NotThereError(
            "ELLA has no evidence: use FullLaplace, LowRankLaplace or FunctionalLaplace.", "BAD_COMBINATION"
        )

    @property
    def log_likelihood(self) -> Tensor:
        """Refused: the loss of the rows is not summed."""
        raise NotThereError("ELLA does not sum the loss of its rows.", "BAD_COMBINATION")

    # --- saving ---

    def state_dict(self) -> dict[str, Any]:
        """The posterior as tensors and plain values."""
        self._check_fitted()
        state = {name: getattr(self, name) for name in _STATE}
        own = {"cls_name": type(self).__name__, "likelihood": str(self.likelihood), "fitted": True}
        return {**state, **own, "fit_history": self.fit_history_}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes over a posterior of `state_dict`, of this package or of laplace-torch, for the same network.

        Raises:
            OptionError: when it is of another kind, likelihood or number of parameters.
        """
        demand_entries(state_dict, (*_STATE, "cls_name", "likelihood", "fit_history"))
        pairs = {
            "cls_name": (type(self).__name__, state_dict["cls_name"]),
            "n_params": (self.n_params, state_dict["n_params"]),
            "likelihood": (self.likelihood, state_dict["likelihood"]),
        }
        for what, (mine, loaded) in pairs.items():
            if mine != loaded:
                raise OptionError(
                    f"The state dict has {loaded!r} for {what}, this posterior {mine!r}.", "BAD_COMBINATION"
                )
        for name in _STATE:
            setattr(self, name, state_dict[name])
        self.fit_history_ = dict(state_dict["fit_history"])
        self.model.output_size = self.n_outputs
        self.model.eval()
        self._fitted, self._factor = True, None


def _empty_history() -> dict[str, list[Any]]:
    return {"processed_examples": [], "val_nll": [], "tuning": []}


def _reachable(loader: DataLoader) -> Tensor:
    """Numbers of the rows of a dataset that a loader can give."""
    sampler = getattr(loader.batch_sampler, "sampler", loader.sampler)
    everything = list(range(len(loader.dataset)))
    if isinstance(sampler, SequentialSampler):
        return torch.tensor(everything[: len(loader) * loader.batch_size] if loader.drop_last else everything)
    if isinstance(sampler, RandomSampler) and not sampler.replacement and sampler.num_samples == len(everything):
        return torch.tensor(everything)
    return torch.tensor(list(sampler.indices if isinstance(sampler, SubsetRandomSampler) else sampler))


def _label(example: Any, key: str) -> int:
    label = torch.as_tensor(example[key] if isinstance(example, Mapping) else example[1])
    return int(label.argmax() if label.numel() > 1 else label)


def _classes(y: Tensor) -> Tensor:
    """Class numbers (n,), of columns (n, 1) and one-hot rows (n, C) too."""
    if y.ndim == 2:
        y = y[:, 0] if y.shape[1] == 1 else y.argmax(dim=1)
    return y.long()


def _targets(y: Tensor, f: Tensor) -> Tensor:
    """Targets in the outputs' shape."""
    own = y.unsqueeze(-1) if y.ndim == 1 and f.shape[1:] == (1,) else y
    if own.shape != f.shape:
        raise ShapeError(
            f"Targets must have the outputs' shape {tuple(f.shape)}; got {tuple(y.shape)}.", "SHAPE_MISMATCH"
        )
    return own
