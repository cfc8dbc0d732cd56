# mypy: disable-error-code="import-not-found"
"""The posterior as a Gaussian process over the outputs, whose kernel is that of the network's Jacobians."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from .._exceptions import LaplaceWarning, OptionError, ShapeError, StateError
from ._errors import NotDefiniteError
from ._kinds import Count, Inputs, as_batch, as_vector, counted_rows
from ._levels import user_level
from ._outputs_posterior import BaseFunctionalLaplace
from ._parametric import demand_entries
from .curvature import AsdlGGN, BackPackGGN, CurvatureInterface, CurvlinopsGGN
from .utils.enums import Likelihood, PriorStructure
from .utils.utils import SoDSampler

#: Jacobians of the subset up to so many bytes are kept; larger ones are worked out again at each use.
_KEPT_BYTES = 2**29

_STATE = (
    "mean",
    "K_MM",
    "L",
    "loss",
    "seed",
    "n_data",
    "n_outputs",
    "prior_mean",
    "prior_precision",
    "sigma_noise",
    "temperature",
    "likelihood",
    "enable_backprop",
)


class FunctionalLaplace(BaseFunctionalLaplace):
    """A Gaussian process that is the Gaussian over all weights, seen through the outputs of `n_subset` training rows.

    With all rows it equals `FullLaplace`, for classes too: the whole Hessian of each row's likelihood is used. With
    fewer of them the prior variance is multiplied by their share, as in laplace-torch.

    Args:
        n_subset: how many training rows.
        independent_outputs: whether each output has a process of its own.
        seed: of the draw of the rows.
        diagonal_likelihood: whether only the diagonal of the likelihood's Hessian is used, as laplace-torch does.

    The other arguments are those of `BaseLaplace`; the prior is one number.
    """

    _key = ("all", "gp")

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
        dict_key_x: str = "input_ids",
        dict_key_y: str = "labels",
        backend: type[CurvatureInterface] | None = BackPackGGN,
        backend_kwargs: Mapping[str, Any] | None = None,
        independent_outputs: bool = False,
        seed: int = 0,
        diagonal_likelihood: bool = False,
    ) -> None:
        if backend not in (None, BackPackGGN, AsdlGGN, CurvlinopsGGN):
            raise OptionError(
                f"A Gaussian process takes the backends BackPackGGN, AsdlGGN and CurvlinopsGGN; got {backend!r}.",
                "BAD_OPTION",
                {"option": "backend"},
            )
        self._forget()
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
        self.n_subset = n_subset
        self.independent_outputs = independent_outputs
        self.seed = seed
        self.diagonal_likelihood = diagonal_likelihood
        self.mean: Any = as_vector(self.params).detach() if self.params else None

    def _forget(self) -> None:
        """No data."""
        #: The kernel of the rows without prior: (M C, M C), or (M, M) for each output where they are independent.
        self.K_MM: Any = None
        #: The diagonal of the likelihood's Hessian, (M C,), or (M,) for each output where they are independent.
        self.L: Any = None
        #: The Cholesky factors of the matrices that are inverted under the present prior and noise.
        self.Sigma_inv: Any = None
        self.batch_size: int | None = None
        self._prior_factor_sod = 1.0
        #: Roots (M, C, C) of the likelihood's Hessian of each row, and the rows' inputs.
        self._roots: Any = None
        self._inputs: list[Inputs] = []
        self._kept: list[Tensor] | None = None
        self._fitted = False

    def _prior_lengths(self) -> tuple[int | None, ...]:
        return (1,)

    def _hyper_changed(self) -> None:
        self.Sigma_inv = None

    # --- fitting ---

    def _get_SoD_data_loader(self, train_loader: DataLoader) -> DataLoader:
        """The rows that are drawn by the seed, in batches."""
        sampler = SoDSampler(len(train_loader.dataset), self.n_subset, seed=self.seed)
        return DataLoader(
            train_loader.dataset,
            batch_size=train_loader.batch_size,
            sampler=sampler,
            collate_fn=train_loader.collate_fn,
        )

    def fit(self, train_loader: DataLoader, progress_bar: bool = False) -> None:
        """Fits the process to rows of a loader.

        Raises:
            OptionError: when there are fewer rows than n_subset.
            ShapeError: when targets do not have the outputs' number of axes.
        """
        del progress_bar
        if not hasattr(train_loader, "dataset"):
            raise OptionError(
                f"A Gaussian process draws rows from the data set of a DataLoader; got {type(train_loader).__name__}.",
                "BAD_OPTION",
                {"option": "train_loader"},
            )
        examples = len(train_loader.dataset)
        if not 0 < self.n_subset <= examples:
            raise OptionError(
                f"n_subset must be a number from 1 to {examples}, that of the rows; got {self.n_subset}.",
                "BAD_OPTION",
                {"option": "n_subset"},
            )
        self.model.eval()
        self._forget()
        self.batch_size = train_loader.batch_size
        loss, roots, kept = 0.0, [], []
        for X, y in self._rows(self._get_SoD_data_loader(train_loader)):
            Js, f = self._detached_jacobians(X)
            self._check_targets(f, y)
            loss = loss + self.backend.factor * self.backend.lossfunc(f, y)
            counted = None if self.likelihood == Likelihood.REGRESSION else counted_rows(y)
            root = self._root(f)
            roots.append(root if counted is None else root * counted[:, None, None])
            kept.append(Js)
            self._inputs.append(X)
        self.n_data, self.n_outputs = examples, f.shape[-1]
        self.model.output_size = self.n_outputs
        self._prior_factor_sod = self.n_subset / examples
        self._warn_of_independence()
        self.loss, self._roots = loss, torch.cat(roots)
        self._kept = kept if sum(J.numel() * J.element_size() for J in kept) <= _KEPT_BYTES else None
        self._init_K_MM()
        for i, J in enumerate(kept):
            for j in range(i, len(self._inputs)):
                self._store_K_batch(self._kernel_of(J, kept[j]), i, j)
        self.L = self._by_output(self._roots.square().sum(dim=2).flatten())
        self.mean = as_vector(self.params).detach()
        self._build_Sigma_inv()
        self._fitted = True

    def _rows(self, loader: Any) -> Iterator[tuple[Inputs, Tensor]]:
        for batch in loader:
            X, y = as_batch(batch, self.dict_key_y)
            if isinstance(batch, Mapping) and self._backend_cls is BackPackGGN:
                raise OptionError(
                    "BackPackGGN, the default here, stands for a library that takes no mappings: give "
                    "backend=AsdlGGN or backend=CurvlinopsGGN.",
                    "BAD_COMBINATION",
                    {"option": "backend"},
                )
            yield self._moved(X), y.to(self._device)

    def _check_targets(self, f: Tensor, y: Tensor) -> None:
        if self.likelihood == Likelihood.REGRESSION and y.ndim != f.ndim:
            raise ShapeError(
                f"The network's outputs have {f.ndim} axes, the targets {y.ndim}. One column of targets is "
                "y.unsqueeze(-1).",
                "SHAPE_MISMATCH",
            )

    def _warn_of_independence(self) -> None:
        if self.likelihood == Likelihood.REGRESSION and self.n_outputs > 1 and self.independent_outputs:
            warnings.warn(
                "independent_outputs=True leaves out what the outputs of a regression tell of each other: variances "
                "are too large.",
                LaplaceWarning,
                stacklevel=user_level(),
            )

    def _root(self, f: Tensor) -> Tensor:
        """R (n, C, C) with R R' the Hessian of each row's likelihood with respect to its outputs."""
        n, C = f.shape
        if self.likelihood == Likelihood.REGRESSION:
            return torch.eye(C, dtype=f.dtype, device=f.device).expand(n, C, C)
        p = f.softmax(dim=-1)
        if self.independent_outputs or self.diagonal_likelihood:
            return (p * (1 - p)).sqrt().diag_embed()
        return p.sqrt().diag_embed() - p[:, :, None] * p.sqrt()[:, None, :]

    # --- kernels ---

    def _jacobians(self, X: Inputs, enable_backprop: bool | None = None) -> tuple[Tensor, Tensor]:
        """Jacobians (n, C, P) and outputs (n, C)."""
        return self.backend.jacobians(X, self.enable_backprop if enable_backprop is None else enable_backprop)

    def _detached_jacobians(self, X: Inputs) -> tuple[Tensor, Tensor]:
        return self._jacobians(X, enable_backprop=False)

    def _by_output(self, rows: Tensor) -> Any:
        """A vector (M C,), or one (M,) for each output where they are independent."""
        return list(rows.view(-1, self.n_outputs).T) if self.independent_outputs else rows

    def _init_K_MM(self) -> None:
        """The kernel of the subset, empty."""
        M, C = self.n_subset, self.n_outputs

        def empty(size: int) -> Tensor:
            return torch.empty(size, size, device=self._device, dtype=self._dtype)

        self.K_MM = [empty(M) for _ in range(C)] if self.independent_outputs else empty(M * C)

    def _store_K_batch(self, K_batch: Tensor, i: int, j: int) -> None:
        """Puts the kernel of batches i and j into that of the subset, where both meet and mirrored."""
        step = int(self.batch_size or self.n_subset)
        if self.independent_outputs:
            blocks = [(K, K_batch[:, :, c]) for c, K in enumerate(self.K_MM)]
        else:
            blocks, step = [(self.K_MM, K_batch)], step * self.n_outputs
        for K, block in blocks:
            rows, columns = slice(i * step, i * step + len(block)), slice(j * step, j * step + block.shape[1])
            K[rows, columns] = block
            K[columns, rows] = block.T

    def _kernel_of(self, Js: Tensor, others: Tensor) -> Tensor:
        """The kernel of two batches: (b C, e C), or (b, e, C) of independent outputs."""
        if self.independent_outputs:
            return torch.einsum("bcp,ecp->bec", Js, others)
        return Js.flatten(0, 1) @ others.flatten(0, 1).T

    def _kernel_batch(self, jacobians: Tensor, batch: Inputs) -> Tensor:
        """The kernel of rows with Jacobians (b, C, P) and of a batch: (b C, e C), or (b, e, C)."""
        return self._kernel_of(jacobians, self._jacobians(batch)[0])

    def _kernel_star(self, jacobians: Tensor, joint: bool = False) -> Tensor:
        """The kernel of each row with itself, (n, C, C) or (n, C); joint: of all rows, (n, n, C, C) or (n, n, C)."""
        if self.independent_outputs:
            return torch.einsum("acp,bcp->abc", jacobians, jacobians) if joint else jacobians.square().sum(dim=2)
        if joint:
            return torch.einsum("acp,bep->abce", jacobians, jacobians)
        return jacobians @ jacobians.transpose(1, 2)

    def _kernel_batch_star(self, jacobians: Tensor, batch: Inputs) -> Tensor:
        """The kernel of rows with Jacobians (b, C, P) and of a batch: (b, e, C, C), or (b, e, C)."""
        return self._star(jacobians, self._jacobians(batch)[0])

    def _star(self, jacobians: Tensor, others: Tensor) -> Tensor:
        kind = "bcp,ecp->bec" if self.independent_outputs else "bcp,edp->becd"
        return torch.einsum(kind, jacobians, others)

    def _with_subset(self, Js: Tensor) -> Tensor:
        """The kernel of rows and the subset: (n, C, M C), or (n, M, C) of independent outputs."""
        others = self._kept if self._kept is not None else (self._detached_jacobians(X)[0] for X in self._inputs)
        kernel = torch.cat([self._star(Js, each) for each in others], dim=1)
        return kernel if self.independent_outputs else kernel.transpose(1, 2).flatten(2)

    @property
    def gp_kernel_prior_variance(self) -> Tensor:
        """What the kernel of the Jacobians is multiplied by."""
        return self._prior_factor_sod / self.prior_precision

    def _inner(self) -> list[Tensor]:
        """I + R' K R / (sigma^2 T), of all outputs or of each: what is inverted, and whose determinant counts."""
        if self.K_MM is None:
            raise StateError("The posterior has not been fitted yet: call fit first.", "NOT_FITTED")
        factor = self._H_factor * self.gp_kernel_prior_variance
        if self.independent_outputs:
            scaled = [L.sqrt()[:, None] * K * L.sqrt() for L, K in zip(self.L, self.K_MM, strict=True)]
        else:
            scaled = [self._rooted(self._rooted(self.K_MM).T)]
        return [factor * each + torch.eye(len(each), dtype=each.dtype, device=each.device) for each in scaled]

    def _rooted(self, columns: Tensor) -> Tensor:
        """Columns (..., M C) times the roots of the likelihood's Hessian."""
        M, C = len(self._roots), self.n_outputs
        return torch.einsum("...mc,mcd->...md", columns.unflatten(-1, (M, C)), self._roots).flatten(-2)

    def _build_Sigma_inv(self) -> None:
        """Factors what is inverted, under the present prior and noise."""
        factors = []
        for each in self._inner():
            factor, failed = torch.linalg.cholesky_ex(each)
            if failed:
                raise NotDefiniteError(
                    "The kernel of the subset is not positive definite to the precision of its numbers: give a larger "
                    "prior_precision, or a network in float64 (model.double()).",
                    "NOT_POSITIVE_DEFINITE",
                )
            factors.append(factor)
        self.Sigma_inv = factors if self.independent_outputs else factors[0]

    def functional_variance(self, Js_star: Tensor) -> Tensor:
        """Covariances (n, C, C) of the outputs with Jacobians (n, C, P)."""
        prior = self.gp_kernel_prior_variance * self._kernel_star(Js_star)
        half = self._explained(Js_star)
        if self.independent_outputs:
            return (prior - half.square().sum(dim=1)).diag_embed()
        return prior - half @ half.transpose(1, 2)

    def functional_covariance(self, Js_star: Tensor) -> Tensor:
        """The covariance (n C, n C) of all outputs with Jacobians (n, C, P)."""
        prior = self.gp_kernel_prior_variance * self._kernel_star(Js_star, joint=True)
        half = self._explained(Js_star)
        if self.independent_outputs:
            whole = (prior - torch.einsum("amc,bmc->abc", half, half)).diag_embed()
        else:
            whole = prior - torch.einsum("acm,bdm->abcd", half, half)
        return whole.permute(0, 2, 1, 3).flatten(0, 1).flatten(1, 2)

    def _explained(self, Js: Tensor) -> Tensor:
        """The root of what the data take from the prior's variance: (n, C, M C), or (n, M, C)."""
        if self.Sigma_inv is None:
            self._build_Sigma_inv()
        kernel = self.gp_kernel_prior_variance * self._H_factor.sqrt() * self._with_subset(Js)
        if self.independent_outputs:
            parts = [
                torch.linalg.solve_triangular(factor, (kernel[:, :, c] * L.sqrt()).T, upper=False).T
                for c, (factor, L) in enumerate(zip(self.Sigma_inv, self.L, strict=True))
            ]
            return torch.stack(parts, dim=2)
        rows = self._rooted(kernel).flatten(0, 1)
        solved = torch.linalg.solve_triangular(self.Sigma_inv, rows.T, upper=False).T
        return solved.reshape(kernel.shape)

    # --- evidence ---

    @property
    def log_likelihood(self) -> Tensor:
        """Log likelihood of the subset at the network's weights."""
        everything, self.n_data = self.n_data, self.n_subset
        try:
            return super().log_likelihood
        finally:
            self.n_data = everything

    @property
    def log_det_ratio(self) -> Tensor:
        """Log-determinant of the posterior precision minus that of the prior precision."""
        return torch.stack([torch.logdet(each) for each in self._inner()]).sum()

    @property
    def scatter(self) -> Tensor:
        """How far the weights are from the mean of the prior: (theta - mu0)' P0 (theta - mu0)."""
        self._check_counted()
        delta = self.mean - self.prior_mean
        return (delta @ delta / self.gp_kernel_prior_variance).sum()

    def _by_marglik(
        self, n_steps: int, lr: float, init: float | Tensor, structure: PriorStructure | str, progress_bar: bool
    ) -> None:
        if structure != PriorStructure.SCALAR:
            raise OptionError(
                "A Gaussian process has one prior precision: prior_structure='scalar'.",
                "BAD_OPTION",
                {"option": "prior_structure"},
            )
        super()._by_marglik(n_steps, lr, init, structure, progress_bar)

    # --- predictions ---

    def _glm_predictive_distribution(
        self, X: Inputs, joint: bool = False, diagonal_output: bool = False
    ) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            Js, f_mu = self._jacobians(self._moved(X))
            f_var = self.functional_covariance(Js) if joint else self.functional_variance(Js)
        f_mu = f_mu.flatten() if joint else f_mu
        if diagonal_output and not joint:
            f_var = f_var.diagonal(dim1=-2, dim2=-1)
        return (f_mu, f_var) if self.enable_backprop else (f_mu.detach(), f_var.detach())

    # --- saving ---

    def state_dict(self) -> dict[str, Any]:
        """The posterior as tensors and plain values, with the inputs of the subset."""
        self._check_fitted()
        state = {name: getattr(self, name) for name in _STATE}
        return {
            **state,
            "likelihood": str(self.likelihood),
            "num_data": self.n_subset,
            "diagonal_kernel": self.independent_outputs,
            "_prior_factor_sod": self._prior_factor_sod,
            "roots": self._roots,
            "inputs": self._inputs,
            "cls_name": type(self).__name__,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes over a posterior of `state_dict`.

        Raises:
            OptionError: when it is of another kind, likelihood or number of parameters.
        """
        demand_entries(state_dict, (*_STATE, "cls_name"))
        pairs = {
            "cls_name": (type(self).__name__, state_dict["cls_name"]),
            "number of parameters": (self.n_params, len(state_dict["mean"])),
            "likelihood": (self.likelihood, state_dict["likelihood"]),
        }
        for what, (mine, loaded) in pairs.items():
            if mine is not None and mine != loaded:
                raise OptionError(
                    f"The state dict has {loaded!r} for {what}, this posterior {mine!r}.", "BAD_COMBINATION"
                )
        if "inputs" not in state_dict:
            raise OptionError(
                "This state dict of laplace-torch has a DataLoader in place of the inputs: fit again, which reads the "
                "same rows by the same seed.",
                "BAD_OPTION",
            )
        self._forget()
        for name in _STATE:
            setattr(self, name, state_dict[name])
        self.n_subset, self.independent_outputs = state_dict["num_data"], state_dict["diagonal_kernel"]
        self._prior_factor_sod = state_dict["_prior_factor_sod"]
        self._roots, self._inputs = state_dict["roots"], list(state_dict["inputs"])
        self.model.output_size = self.n_outputs
        self._fitted = True
        self._hyper_changed()
