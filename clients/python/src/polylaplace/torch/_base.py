# mypy: disable-error-code="import-not-found"
"""What every posterior of this package shares: the network, the prior, the noise, and how they are tuned."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from math import pi, sqrt
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from .._arguments import CheckedArguments
from .._exceptions import LaplaceWarning, OptionError
from .._progress import Progress, progress_callback
from ._descent import maximised
from ._kinds import Count, Inputs, demand_finite, demand_finite_rows, demand_positive
from ._levels import user_level
from ._links import probabilities
from .curvature import CurvatureInterface, CurvlinopsGGN
from .utils.enums import Likelihood, LinkApprox, PredType, PriorStructure, TuningMethod
from .utils.metrics import RunningNLLMetric, RunningSquaredError
from .utils.utils import _expanded, fix_prior_prec_structure, normal_samples, validate

#: Names that cannot leave out parameters which are not trained.
_WHOLE_NETWORK_ONLY = ("BackPack", "Asdfghjkl")


class BaseLaplace(CheckedArguments):
    """A posterior of a torch module. Its arguments are laplace-torch's, in their order.

    Args:
        model: the network; what is trained (requires_grad) is uncertain.
        likelihood: 'classification', 'regression' or 'reward_modeling'.
        sigma_noise: standard deviation of the observations; 1 unless 'regression'.
        prior_precision: one number, one for each tensor, or one for each parameter.
        prior_mean: one number, or one for each parameter.
        temperature: of the likelihood.
        enable_backprop: whether gradients flow through predictions to the inputs.
        dict_key_x, dict_key_y: keys of inputs and labels in batches that are mappings.
        backend: a class of `polylaplace.torch.curvature`. None: the Gauss-Newton matrix.
        backend_kwargs: arguments of that class.
        asdl_fisher_kwargs: arguments of its methods.

    Raises:
        OptionError: for a word or a value that is not known.
    """

    #: What predicts where nothing is said.
    _default_pred_type = PredType.GLM

    def __init__(
        self,
        model: nn.Module,
        likelihood: Likelihood | str,
        sigma_noise: float | Tensor = 1.0,
        prior_precision: float | Tensor = 1.0,
        prior_mean: float | Tensor = 0.0,
        temperature: float = 1.0,
        enable_backprop: bool = False,
        dict_key_x: str = "input_ids",
        dict_key_y: str = "labels",
        backend: type[CurvatureInterface] | None = None,
        backend_kwargs: Mapping[str, Any] | None = None,
        asdl_fisher_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.likelihood: Likelihood | str = Likelihood(likelihood).value
        self.is_subset_params = not all(parameter.requires_grad for parameter in model.parameters())
        self._count(self._uncertain())
        self.temperature = temperature
        self.enable_backprop = enable_backprop
        self.dict_key_x, self.dict_key_y = dict_key_x, dict_key_y
        self._backend: CurvatureInterface | None = None
        self._backend_cls = CurvlinopsGGN if backend is None else _checked_backend(backend, self.is_subset_params)
        self._backend_kwargs = dict(backend_kwargs or {})
        self._asdl_fisher_kwargs = dict(asdl_fisher_kwargs or {})
        #: The loss of the training data: the log likelihood's negative, without its constant.
        self.loss: Any = 0.0
        self.n_outputs = 0
        self.n_data = 0
        self.prior_precision = prior_precision
        self.prior_mean = prior_mean
        self.sigma_noise = sigma_noise
        if self.likelihood != Likelihood.REGRESSION and self.sigma_noise != 1:
            raise OptionError(
                f"sigma_noise belongs to 'regression'; the likelihood is '{self.likelihood}'.",
                "BAD_COMBINATION",
                {"option": "sigma_noise"},
            )

    @property
    def _device(self) -> Any:
        return next(self.model.parameters()).device

    @property
    def _dtype(self) -> Any:
        return next(self.model.parameters()).dtype

    @property
    def backend(self) -> CurvatureInterface:
        """The Jacobians, gradients and curvature of the network."""
        if self._backend is None:
            regression = self.likelihood == Likelihood.REGRESSION
            self._backend = self._backend_cls(
                self.model,
                Likelihood.REGRESSION if regression else Likelihood.CLASSIFICATION,
                dict_key_x=self.dict_key_x,
                dict_key_y=self.dict_key_y,
                **self._backend_kwargs,
            )
        return self._backend

    def _uncertain(self) -> list[Tensor] | None:
        """The parameters that are uncertain; None: not known yet."""
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]

    def _count(self, parameters: list[Tensor] | None) -> None:
        """Notes the parameters that are uncertain."""
        self.params: list[Tensor] = parameters or []
        self.n_params: int | None = None if parameters is None else sum(each.numel() for each in parameters)
        self.n_layers: int | None = None if parameters is None else len(parameters)

    def _check_counted(self) -> None:
        """Raises an AttributeError where it is not known yet which parameters are uncertain."""
        if self.n_params is None:
            raise AttributeError("The last layer is not known yet: call fit first, or give last_layer_name.")

    # --- prior and noise ---

    def _number(self, value: Any, name: str, lengths: Sequence[int | None] = (1,)) -> Tensor:
        """A number or a tensor of so many as a tensor of the network's dtype, on its device.

        Raises:
            OptionError: for anything else.
        """
        if isinstance(value, (Real, np.number)):
            demand_finite(value, name)
            return torch.as_tensor(value, device=self._device, dtype=self._dtype)
        if not isinstance(value, Tensor):
            raise OptionError(
                f"{name} must be a number or a tensor; got {type(value).__name__}.", "BAD_OPTION", {"option": name}
            )
        known = None not in lengths
        if value.ndim > 1 or (value.ndim == 1 and known and len(value) not in lengths):
            counts = ", ".join(str(each) for each in dict.fromkeys(lengths))
            raise OptionError(
                f"{name} must be a number, or a vector of {counts}; got shape {tuple(value.shape)}.",
                "BAD_OPTION",
                {"option": name},
            )
        return demand_finite(value, name).to(device=self._device, dtype=self._dtype)

    def _positive(self, value: Any, name: str, lengths: Sequence[int | None] = (1,)) -> Tensor:
        """The same for what must be above 0, in the network's dtype too."""
        return demand_positive(self._number(value, name, lengths), name)

    @property
    def temperature(self) -> float:
        """The temperature of the likelihood."""
        return self._temperature

    @temperature.setter
    def temperature(self, value: float) -> None:
        self._temperature: float = demand_positive(value, "temperature")

    @property
    def prior_precision(self) -> Tensor:
        """Prior precision: (1,), one for each tensor, or one for each parameter."""
        return self._prior_precision

    @prior_precision.setter
    def prior_precision(self, value: float | Tensor) -> None:
        self._prior_precision = torch.atleast_1d(self._positive(value, "prior_precision", self._prior_lengths()))
        self._hyper_changed()

    def _width(self) -> int | None:
        """The number of parameters that are uncertain."""
        return self.n_params

    def _prior_lengths(self) -> tuple[int | None, ...]:
        """How many numbers a prior precision may have."""
        return 1, self.n_layers, self.n_params

    @property
    def prior_mean(self) -> Tensor:
        """Prior mean: a number, or one for each parameter."""
        return self._prior_mean

    @prior_mean.setter
    def prior_mean(self, value: float | Tensor) -> None:
        mean = self._number(value, "prior_mean", (1, self.n_params))
        self._prior_mean = torch.atleast_1d(mean) if isinstance(value, Tensor) else mean
        self._hyper_changed()

    @property
    def sigma_noise(self) -> Tensor:
        """Standard deviation of the observations."""
        return self._sigma_noise

    @sigma_noise.setter
    def sigma_noise(self, value: float | Tensor) -> None:
        self._sigma_noise = self._positive(value, "sigma_noise").reshape(())
        self._hyper_changed()

    def _hyper_changed(self) -> None:
        """Called when prior or noise are set; what was worked out with the old ones is forgotten."""

    @property
    def _H_factor(self) -> Tensor:
        """What the curvature is multiplied by: 1 / (sigma^2 T)."""
        return 1 / (self.sigma_noise.square() * self.temperature)

    @property
    def prior_precision_diag(self) -> Tensor:
        """Prior precision of each parameter, (P,)."""
        self._check_counted()
        return _expanded(self.prior_precision, [parameter.numel() for parameter in self.params])

    @property
    def log_likelihood(self) -> Tensor:
        """Log likelihood of the training data at the network's weights."""
        value = -self._H_factor * self.loss
        if self.likelihood != Likelihood.REGRESSION:
            return value
        return value - self.n_data * self.n_outputs * torch.log(self.sigma_noise * sqrt(2 * pi))

    # --- tuning ---

    def optimize_prior_precision(
        self,
        pred_type: PredType | str | None = None,
        method: TuningMethod | str = TuningMethod.MARGLIK,
        n_steps: Count = 100,
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
        """Tunes the prior precision as laplace-torch does.

        Args:
            pred_type: what predicts in a grid search. None: 'glm', or 'gp' for a Gaussian process.
            method: 'marglik', `n_steps` steps of Adam on the logarithm of the prior precision from `init_prior_prec`;
                or 'gridsearch', the best of `grid_size` values from 10^`log_prior_prec_min` to 10^`log_prior_prec_max`
                by `loss` on `val_loader`.
            prior_structure: 'scalar', 'layerwise' or 'diag'; where `init_prior_prec` is a vector, that one is kept.
            loss: a metric or a function, as for `polylaplace.torch.utils.validate`. None: the mean negative log
                likelihood of classes, or the mean squared error. Like laplace-torch's, that default is never reset
                between two values of the grid, so that it is a mean over all of them up to then; a function is not.
        """
        self._positive(init_prior_prec, "init_prior_prec", self._prior_lengths())
        if method == TuningMethod.MARGLIK:
            if val_loader is not None:
                warnings.warn(
                    "method='marglik' does not use val_loader; method='gridsearch' does.",
                    LaplaceWarning,
                    stacklevel=user_level(),
                )
            demand_positive(lr, "lr")
            self._by_marglik(n_steps, lr, init_prior_prec, prior_structure, progress_bar)
        else:
            if val_loader is None:
                raise OptionError("method='gridsearch' needs val_loader=.", "BAD_COMBINATION", {"option": "val_loader"})
            if self.likelihood == Likelihood.CLASSIFICATION:
                warnings.warn(
                    f"The grid is searched for predictions with link_approx={str(link_approx)!r}: call the posterior "
                    "with the same one.",
                    LaplaceWarning,
                    stacklevel=user_level(),
                )
            grid = torch.logspace(log_prior_prec_min, log_prior_prec_max, grid_size)
            self.prior_precision = self._gridsearch(
                self._default_loss() if loss is None else loss,
                grid,
                val_loader,
                pred_type=self._default_pred_type if pred_type is None else pred_type,
                link_approx=link_approx,
                n_samples=n_samples,
                progress_bar=progress_bar,
            )
        if verbose:
            print(f"The prior precision found is {self.prior_precision}.")

    def _by_marglik(
        self, n_steps: int, lr: float, init: float | Tensor, structure: PriorStructure | str, progress_bar: bool
    ) -> None:
        self.prior_precision = init if isinstance(init, Tensor) else torch.as_tensor(init)
        if len(self.prior_precision) == 1:
            self.prior_precision = fix_prior_prec_structure(
                self.prior_precision.item(),
                structure,
                self.n_layers or 0,
                self._width() or 0,
                self._device,
                self._dtype,
            )
        logarithm = maximised(
            lambda at: self.log_marginal_likelihood(prior_precision=at.exp()),
            self.prior_precision.log(),
            lr,
            _steps(range(n_steps), progress_bar, "marginal likelihood"),
        )
        self.prior_precision = logarithm.exp()

    def _default_loss(self) -> Any:
        regression = self.likelihood == Likelihood.REGRESSION
        return (RunningSquaredError() if regression else RunningNLLMetric()).to(self._device)

    def _gridsearch(
        self,
        loss: Any,
        interval: Tensor,
        val_loader: DataLoader,
        pred_type: PredType | str,
        link_approx: LinkApprox | str = LinkApprox.PROBIT,
        n_samples: Count = 100,
        progress_bar: bool = False,
    ) -> Tensor:
        """The prior precision of an interval with the smallest loss; one with which nothing can be factored loses."""
        results = []
        for precision in _steps(interval, progress_bar, "grid search"):
            self.prior_precision = precision
            try:
                value = validate(
                    self,
                    val_loader,
                    loss,
                    pred_type=pred_type,
                    link_approx=link_approx,
                    n_samples=n_samples,
                    dict_key_y=self.dict_key_y,
                )
            except (torch.linalg.LinAlgError, ArithmeticError):
                value = math.inf
            results.append(value)
        return interval[int(np.argmin(results))]

    def log_marginal_likelihood(
        self, prior_precision: Tensor | None = None, sigma_noise: Tensor | None = None
    ) -> Tensor:
        """The Laplace approximation of the log evidence, differentiable in prior precision and noise.

        Those that are given are kept.
        """
        if prior_precision is not None:
            self.prior_precision = prior_precision
        if sigma_noise is not None:
            if self.likelihood != Likelihood.REGRESSION:
                raise OptionError("sigma_noise belongs to 'regression'.", "BAD_COMBINATION", {"option": "sigma_noise"})
            self.sigma_noise = sigma_noise
        return self.log_likelihood - 0.5 * (self.log_det_ratio + self.scatter)

    @property
    def log_det_ratio(self) -> Tensor:
        """Log-determinant of the posterior precision minus that of the prior precision."""
        raise NotImplementedError

    @property
    def scatter(self) -> Tensor:
        """How far the mean is from that of the prior: (theta - mu0)' P0 (theta - mu0)."""
        raise NotImplementedError

    # --- predictions ---

    def __call__(self, x: Inputs, *args: Any, **kwargs: Any) -> Any:
        """The predictive distribution; subclasses have it."""
        raise NotImplementedError

    def _moved(self, X: Inputs) -> Inputs:
        """Inputs on the network's device.

        Raises:
            DataError: when they are not finite.
        """
        return demand_finite_rows(X.to(self._device) if isinstance(X, Tensor) else X)

    def predictive(self, x: Inputs, pred_type: PredType | str, link_approx: LinkApprox | str, n_samples: Count) -> Any:
        """The same as calling the posterior."""
        return self(x, pred_type=pred_type, link_approx=link_approx, n_samples=n_samples)

    def _glm_predictive_distribution(
        self, X: Inputs, joint: bool = False, diagonal_output: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Means (n, C) and covariances (n, C, C) of the outputs, or (n C,) and (n C, n C) with `joint`."""
        raise NotImplementedError

    def _glm_forward_call(
        self,
        x: Inputs,
        likelihood: Likelihood | str,
        joint: bool = False,
        link_approx: LinkApprox | str = LinkApprox.PROBIT,
        n_samples: Count = 100,
        diagonal_output: bool = False,
        generator: torch.Generator | None = None,
    ) -> Any:
        regression = likelihood == Likelihood.REGRESSION
        f_mu, f_var = self._glm_predictive_distribution(x, joint=joint and regression)
        if regression:
            return f_mu, f_var.diagonal(dim1=-2, dim2=-1) if diagonal_output and not joint else f_var
        if link_approx == LinkApprox.MC:
            draws = self._glm_functional_samples(f_mu, f_var, n_samples, diagonal_output, generator)
            return draws.softmax(dim=-1).mean(dim=0)
        return probabilities(f_mu, f_var, LinkApprox(link_approx))

    def _glm_functional_samples(
        self,
        f_mu: Tensor,
        f_var: Tensor,
        n_samples: Count,
        diagonal_output: bool = False,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draws of outputs, (S, n, C)."""
        if diagonal_output:
            f_var = f_var.diagonal(dim1=-2, dim2=-1)
        return normal_samples(f_mu, f_var, n_samples, generator)

    def _glm_predictive_samples(
        self,
        f_mu: Tensor,
        f_var: Tensor,
        n_samples: Count,
        diagonal_output: bool = False,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draws of outputs, or of probabilities, (S, n, C)."""
        return self._predictions(self._glm_functional_samples(f_mu, f_var, n_samples, diagonal_output, generator))

    def functional_samples(
        self,
        x: Inputs,
        pred_type: PredType | str = PredType.GLM,
        n_samples: Count = 100,
        diagonal_output: bool = False,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draws of the outputs, (n_samples, n, C)."""
        raise NotImplementedError

    def predictive_samples(
        self,
        x: Inputs,
        pred_type: PredType | str = PredType.GLM,
        n_samples: Count = 100,
        diagonal_output: bool = False,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draws of the predictions: probabilities, or means, (n_samples, n, C)."""
        return self._predictions(self.functional_samples(x, pred_type, n_samples, diagonal_output, generator))

    def _predictions(self, draws: Tensor) -> Tensor:
        return draws if self.likelihood == Likelihood.REGRESSION else draws.softmax(dim=-1)

    def _seen_likelihood(self, fitting: bool) -> Likelihood | str:
        """The likelihood of a prediction: a reward is learnt from choices, and predicted as a number."""
        if self.likelihood != Likelihood.REWARD_MODELING:
            return self.likelihood
        return Likelihood.CLASSIFICATION if fitting else Likelihood.REGRESSION

    def _check_words(
        self, pred_type: object, link_approx: object, generator: object, allowed: Sequence[PredType]
    ) -> None:
        """Checks the options of a prediction."""
        if pred_type not in list(allowed):
            words = ", ".join(repr(each.value) for each in allowed)
            raise OptionError(f"pred_type must be {words}; got {pred_type!r}.", "BAD_OPTION", {"option": "pred_type"})
        if link_approx not in list(LinkApprox):
            words = ", ".join(repr(each.value) for each in LinkApprox)
            raise OptionError(
                f"link_approx must be one of {words}; got {link_approx!r}.", "BAD_OPTION", {"option": "link_approx"}
            )
        if generator is not None and (not isinstance(generator, torch.Generator) or generator.device != self._device):
            raise OptionError(
                f"generator must be a torch.Generator on {self._device}.", "BAD_OPTION", {"option": "generator"}
            )


def _checked_backend(backend: type[CurvatureInterface], subset: bool) -> type[CurvatureInterface]:
    """The class of a backend, where it is one that this network can be used with."""
    if not (isinstance(backend, type) and issubclass(backend, CurvatureInterface)):
        raise OptionError(
            f"backend must be a class of polylaplace.torch.curvature; got {backend!r}.",
            "BAD_OPTION",
            {"option": "backend"},
        )
    if subset and backend.__name__.startswith(_WHOLE_NETWORK_ONLY):
        raise OptionError(
            f"{backend.__name__} stands for a library that needs every parameter to be trained; some are frozen here "
            "(requires_grad=False). Leave backend out, or take CurvlinopsGGN, CurvlinopsEF, AsdlGGN or AsdlEF.",
            "BAD_COMBINATION",
            {"option": "backend"},
        )
    _note_of_name(backend)
    return backend


#: Names of backends that users have been told of.
_told: set[str] = set()


def _note_of_name(backend: type[CurvatureInterface]) -> None:
    """Says once what a name of another library's backend stands for."""
    library = backend.__module__.rpartition(".")[2]
    named = backend.__module__.startswith(f"{__package__}.curvature.") and library != "curvature"
    if not named or _told:
        return
    _told.add(backend.__name__)
    warnings.warn(
        f"backend={backend.__name__} selects its curvature; {library} itself is not used: the core of polylaplace "
        "computes. (Said once.)",
        LaplaceWarning,
        stacklevel=user_level(),
    )


def _steps(values: Any, progress_bar: bool, what: str) -> Any:
    """Values one after the other, with a bar where it is asked for and tqdm is installed."""
    callback = progress_callback(progress_bar)
    for done, value in enumerate(values, 1):
        yield value
        if callback is not None:
            callback(Progress(what, done, len(values)))
