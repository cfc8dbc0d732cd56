"""`Laplace`: the posterior of a trained network, under laplace-torch's names."""

from __future__ import annotations

import os
import warnings
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ._client import Client, default_client
from ._data import Array, batches, fresh_seed, is_array_like, joined, to_array
from ._exceptions import LaplaceError, OptionError, StateError
from ._kron import KronFactors
from ._models import Architecture, NetworkParams, load_architecture, network_params, size_of, with_input_size
from ._partial import Partial
from ._progress import ProgressOption
from ._remote import Remote, create

#: Arrays above this size are sent in several messages.
_BATCH_BYTES = 256 * 2**20
#: A fit of networks and data up to this size carries the network with it. Larger ones go before, to be sent once only.
_ONE_MESSAGE = 2**20

#: The arrays of a Prediction.
_PARTS = ["mean", "variance", "probabilities", "aleatoric", "epistemic", "covariance"]

#: laplace-torch's words for methods of tuning.
_METHODS = {"gridsearch": "grid"}
_STRUCTURES = {"gp": "functional"}
_PRIOR_STRUCTURES = {"diag": "diagonal"}

_fitted: weakref.WeakSet[Laplace] = weakref.WeakSet()


class LaplaceWarning(UserWarning):
    """Something the server noticed that the user should know."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """Everything that is known about the outputs for some inputs.

    Attributes:
        mean: network outputs, (n, C): logits or means.
        variance: their posterior variances, (n, C).
        probabilities: (n, C) for classification, None for regression.
        aleatoric: uncertainty of the data: entropy in nats (n,), or noise variance (n, C).
        epistemic: uncertainty of the network: mutual information in nats (n,), or variance (n, C).
        covariance: (n, C, C), or (n C, n C) with joint; only when asked for.
        seed: of the draws, if any were made.
        notes: what the server noticed.
    """

    mean: Array
    variance: Array
    probabilities: Array | None = None
    aleatoric: Array | None = None
    epistemic: Array | None = None
    covariance: Array | None = None
    seed: int | None = None
    notes: tuple[str, ...] = ()


class Laplace:
    """The Laplace approximation of a trained network's posterior.

    Args:
        model: a path or bytes (ONNX, PyTorch state dict, safetensors, Flux), a torch.nn.Module, a fitted scikit-learn MLP,
            or a dictionary of tensors.
        likelihood: 'classification', 'binary', 'multilabel' or 'regression'.
        subset_of_weights: 'last_layer', 'all', or 'subnetwork' (then `subnetwork_indices` says which).
        hessian_structure: 'kron', 'full', 'diag', 'lowrank' or 'gp'.
        prior_precision: a number, one for each tensor, or one for each parameter.
        prior_mean: a number, or one for each parameter.
        sigma_noise: standard deviation of the observations (regression).
        temperature: of the likelihood.
        curvature: 'ggn', 'empirical_fisher', 'mc_fisher' or 'hessian'.
        subnetwork_indices: flat indices of parameters, or their names.
        kfac_approx: 'expand' or 'reduce'.
        engine: 'auto', 'typescript' or 'onnxruntime'.
        precision: 'float32' or 'float64'; None: the network's own.
        threads: of the engine; None: all.
        architecture: list of layers for files that hold weights only.
        activation: for bare chains of linear layers.
        input, output: which ones, when the network has several.
        client: the connection; None: the one that everything shares.
        progress: True for bars (if tqdm is installed), or a function.

    >>> la = Laplace("model.onnx", "classification")  # doctest: +SKIP
    >>> la.fit(X, y)  # doctest: +SKIP
    >>> la.optimize_prior_precision()  # doctest: +SKIP
    >>> la(X_new)  # doctest: +SKIP
    """

    def __init__(
        self,
        model: Any,
        likelihood: str,
        subset_of_weights: str = "last_layer",
        hessian_structure: str = "kron",
        *,
        prior_precision: Any = 1.0,
        prior_mean: Any = 0.0,
        sigma_noise: Any = 1.0,
        temperature: float = 1.0,
        curvature: str = "ggn",
        subnetwork_indices: Sequence[int] | Sequence[str] | Array | None = None,
        kfac_approx: str = "expand",
        engine: str = "auto",
        precision: str | None = None,
        threads: int | None = None,
        seed: int | None = None,
        architecture: Architecture | None = None,
        activation: str | None = None,
        input: str | None = None,
        output: str | None = None,
        client: Client | None = None,
        progress: ProgressOption = None,
    ) -> None:
        self._client = client or default_client()
        self.model = model
        self.likelihood = str(likelihood)
        self.subset_of_weights = subset_of_weights
        self.hessian_structure = hessian_structure
        self._prior: dict[str, Any] = {
            "priorPrecision": _numbers(prior_precision, "prior_precision"),
            "priorMean": _numbers(prior_mean, "prior_mean"),
            "sigmaNoise": _number(sigma_noise, "sigma_noise"),
            "temperature": _number(temperature, "temperature"),
        }
        self._options: dict[str, Any] = {
            "likelihood": self.likelihood,
            "subset": _subset(subset_of_weights, subnetwork_indices),
            "structure": _STRUCTURES.get(hessian_structure, hessian_structure),
            "curvature": curvature,
            "kfacApprox": kfac_approx,
            "engine": engine,
            "precision": precision,
            "threads": threads,
            "seed": seed,
            "input": input,
            "output": output,
        }
        self._options = {key: value for key, value in self._options.items() if value is not None}
        self._hints = {
            "architecture": load_architecture(architecture),
            "activation": activation,
            "input": input,
            "output": output,
        }
        self._progress = progress
        self._network_params: NetworkParams | None = network_params(model, self._hints)
        self._network: Remote | None = None
        #: Whether a fit has carried the network: further ones use its handle.
        self._network_read = False
        self._posterior: Remote | None = None
        self._summary: dict[str, Any] = {}
        self._blob: bytes | None = None
        self._cache: dict[str, Any] = {}
        #: What the last fit was given, unless it can be read only once.
        self._training: tuple[Any, Any] | None = None

    # --- network and posterior on the server ---

    def _network_for(self, example: Array | None, more_bytes: int = 0) -> dict[str, Any]:
        """The network of a fit: the first time in the same message, when both are small; else by its handle."""
        if self._network is None:
            if self._network_params is None:
                self._network_params = network_params(self.model, self._hints, example)
            if self._network_params is None:
                raise StateError("This network is sent with the first data; call fit first.", "NOT_FITTED")
            params = with_input_size(self._network_params, example)
            data_bytes = more_bytes + (0 if example is None else example.nbytes)
            if not self._network_read and size_of(params) + data_bytes <= _ONE_MESSAGE:
                self._network_read = True
                return {"network": params}
            self._network, _ = create(
                self._client,
                "readNetwork",
                {**params, "brief": True},
                lambda client: str(client.call("readNetwork", {**params, "brief": True})["handle"]),
            )
        return {"model": self._network.handle()}

    def _fit_options(self) -> dict[str, Any]:
        return {**self._options, **self._prior}

    def _adopt(self, remote: Remote, summary: Mapping[str, Any]) -> None:
        """Takes a new posterior; the old one stays valid until this has succeeded."""
        self._posterior = remote
        self._summary = dict(summary)
        self._blob = None
        self._cache = {}
        precision = self._summary.get("priorPrecision")
        if precision is not None:
            self._prior["priorPrecision"] = _unwrap(precision)
        for key in ("sigmaNoise", "temperature"):
            if self._summary.get(key) is not None:
                self._prior[key] = float(self._summary[key])
        _fitted.add(self)
        for note in self._summary.get("notes", []):
            warnings.warn(str(note), LaplaceWarning, stacklevel=3)

    def _handle(self) -> str:
        if self._posterior is None:
            raise StateError("The posterior has not been fitted yet: call fit first.", "NOT_FITTED")
        return self._posterior.handle()

    def _call(self, method: str, params: Mapping[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        return self._client.call(method, {"posterior": self._handle(), **(params or {})}, **options)

    def _get(self, name: str) -> Any:
        if name not in self._cache:
            self._cache[name] = self._call("get", {"names": [name]})[name]
        return self._cache[name]

    # --- fitting ---

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        override: bool = True,
        progress_bar: bool | None = None,
        timeout: float | None = None,
    ) -> Laplace:
        """Fits the posterior to data.

        Args:
            X: rows of examples; or an iterable of (x, y) batches such as a DataLoader, and then no y.
            y: class numbers (n,), 0/1 labels (n, C), or targets (n,) or (n, C).
            override: laplace-torch's word; False (adding to an earlier fit) is what `fit_partial` is for.
            progress_bar: True for a bar, if tqdm is installed.
            timeout: seconds.

        Raises:
            LaplaceError: the posterior of an earlier fit is then untouched.
        """
        if not override:
            raise OptionError(
                "override=False is not supported; add parts of the data with fit_partial and fit_merged.",
                "BAD_OPTION",
                {"option": "override"},
            )
        progress = self._progress if progress_bar is None else progress_bar
        self._adopt(*self._fitted_to(X, y, timeout, progress))
        self._training = _readable_again(X, y)
        return self

    def _fitted_to(
        self, X: Any, y: Any, timeout: float | None, progress: ProgressOption
    ) -> tuple[Remote, dict[str, Any]]:
        if y is None and not is_array_like(X):
            return self._fit_stream(X, timeout, progress)
        data = self._data(X, y)
        if data["x"].nbytes + data["y"].nbytes > _BATCH_BYTES:
            return self._fit_stream(_slices(data["x"], data["y"]), timeout, progress)
        params = {**self._network_for(data["x"], data["y"].nbytes), "options": self._fit_options(), **data}
        return self._made("fit", params, timeout=timeout, progress=progress)

    def tuned_fit(
        self, X: Any, y: Any, options: Mapping[str, Any], validation: tuple[Any, Any] | None = None
    ) -> Laplace:
        """Fits with the server's own options, which tune the prior by default. The estimators' way of fitting."""
        data: dict[str, Any] = {}
        data.update(self._data(X, y))
        if validation is not None:
            data["validation"] = self._data(*validation, names=("X_val", "y_val"))
        keep = {
            key: self._options[key]
            for key in ("engine", "precision", "threads", "seed", "input", "output", "kfacApprox")
            if key in self._options
        }
        params: dict[str, Any] = {**self._network_for(data["x"], data["y"].nbytes), "options": {**keep, **options}}
        params.update(data)
        self._adopt(*self._made("fit", params, progress=self._progress))
        self._training = _readable_again(X, y)
        return self

    def _data(self, X: Any, y: Any, names: tuple[str, str] = ("X", "y")) -> dict[str, Array]:
        if y is None:
            if not is_array_like(X):
                x, labels = joined(X, "data")
                return {"x": x, "y": labels}
            raise OptionError(
                f"{names[1]} is missing: give fit({names[0]}, {names[1]}), or an iterable of (x, y) batches.",
                "BAD_OPTION",
                {"option": "y"},
            )
        return {"x": to_array(X, names[0]), "y": _labels(to_array(y, names[1]), self.likelihood)}

    def _fit_stream(
        self, loader: Iterable[Any], timeout: float | None, progress: ProgressOption
    ) -> tuple[Remote, dict[str, Any]]:
        fit: Remote | None = None
        for x, y in batches(loader):
            rows, labels = to_array(x, "x"), _labels(to_array(y, "y"), self.likelihood)
            if fit is None:
                fit, _ = create(self._client, "fitBegin", {**self._network_for(rows), "options": self._fit_options()})
            self._client.call("fitBatch", {"fit": fit.handle(), "x": rows, "y": labels}, timeout=timeout)
        if fit is None:
            raise _no_batches()
        return self._made("fitEnd", {"fit": fit.handle()}, timeout=timeout, progress=progress)

    def _made(self, method: str, params: dict[str, Any], **options: Any) -> tuple[Remote, dict[str, Any]]:
        """A new posterior and the brief form of its summary; the rest is asked for when it is needed."""
        remote, answer = create(self._client, method, {**params, "brief": True}, **options)
        return remote, answer.get("summary", {})

    def fit_partial(self, X: Any, y: Any = None) -> Partial:
        """Sums over a part of the data: add the parts and give them to `fit_merged`. X may be an iterable of batches."""
        parts = batches(X) if y is None and not is_array_like(X) else [(X, y)]
        total: Partial | None = None
        for x, labels in parts:
            data = self._data(x, labels)
            answer = self._client.call(
                "fitPartial",
                {**self._network_for(data["x"], data["y"].nbytes), "options": self._fit_options(), **data},
                progress=self._progress,
            )
            part = Partial(answer["partial"], answer["examples"])
            total = part if total is None else total + part
        if total is None:
            raise _no_batches()
        return total

    def fit_merged(self, partial: Partial) -> Laplace:
        """Fits the posterior from merged parts."""
        params = {**self._network_for(None), "options": self._fit_options(), "partial": partial.to_bytes()}
        self._adopt(*self._made("fitMerged", params, progress=self._progress))
        self._training = None
        return self

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
    ) -> Laplace:
        """Tunes the prior precision (and the noise of regression).

        Args:
            method: 'marglik' (maximises the log marginal likelihood at the network's weights), 'linearized' (the evidence of the
                linear model at its own mode; this library's default elsewhere, and the better choice for networks trained
                without weight decay), or 'gridsearch' (held-out likelihood; needs `val_loader` or `X_val`, `y_val`).
            prior_structure: 'scalar', 'layerwise' (one for each tensor) or 'diag' (one for each parameter).
            tune_sigma_noise: tunes sigma_noise too.
            X, y: the training data, which 'linearized' reads once more. Needed only where `fit` was not given arrays or a loader
                that can be read again: after `fit_merged`, `load`, pickling, or a fit to a generator.
            pred_type, n_steps, lr, init_prior_prec: taken for laplace-torch's sake. The optimum does not depend on them: it is
                found to convergence.
        """
        del pred_type, n_steps, lr, init_prior_prec
        options = {
            "tune": _METHODS.get(method, method),
            "priorStructure": _PRIOR_STRUCTURES.get(prior_structure, prior_structure),
        }
        if tune_sigma_noise:
            options["sigmaNoise"] = True  # type: ignore[assignment]
        params: dict[str, Any] = {"posterior": self._handle(), "options": options}
        if options["tune"] == "linearized":
            params.update(self._training_data(X, y))
        if val_loader is not None:
            x_val, labels = joined(val_loader, "validation data")
            params["validation"] = {"x": x_val, "y": _labels(labels, self.likelihood)}
        elif X_val is not None:
            params["validation"] = self._data(X_val, y_val, ("X_val", "y_val"))
        progress = self._progress if progress_bar is None else progress_bar
        self._adopt(*self._made("tune", params, timeout=timeout, progress=progress))
        return self

    def _training_data(self, X: Any, y: Any) -> dict[str, Array]:
        training = self._training if X is None else (X, y)
        if training is None:
            raise OptionError(
                "Tuning 'linearized' reads the training data once more, and they are not kept here (a posterior that was loaded, merged from "
                "parts, unpickled, or fitted to a generator). Give them: optimize_prior_precision(method='linearized', X=X, y=y).",
                "BAD_COMBINATION",
                {"option": "method"},
            )
        return self._data(*training)

    # --- hyper-parameters ---

    def _set_prior(self, key: str, value: Any) -> None:
        if self._posterior is not None:
            self._adopt(*self._made("withPrior", {"posterior": self._handle(), key: value}))
        self._prior[key] = value

    @property
    def prior_precision(self) -> Any:
        """Prior precision: a number, or an array with one for each tensor or parameter. Setting it makes a new posterior of the same data."""
        return self._prior["priorPrecision"]

    @prior_precision.setter
    def prior_precision(self, value: Any) -> None:
        self._set_prior("priorPrecision", _numbers(value, "prior_precision"))

    @property
    def prior_mean(self) -> Any:
        """Prior mean: a number, or one for each parameter."""
        return self._prior["priorMean"]

    @prior_mean.setter
    def prior_mean(self, value: Any) -> None:
        self._set_prior("priorMean", _numbers(value, "prior_mean"))

    @property
    def sigma_noise(self) -> float:
        """Standard deviation of the observations."""
        return float(self._prior["sigmaNoise"])

    @sigma_noise.setter
    def sigma_noise(self, value: Any) -> None:
        self._set_prior("sigmaNoise", _number(value, "sigma_noise"))

    @property
    def temperature(self) -> float:
        """Temperature of the likelihood."""
        return float(self._prior["temperature"])

    @temperature.setter
    def temperature(self, value: Any) -> None:
        self._set_prior("temperature", _number(value, "temperature"))

    # --- prediction ---

    def __call__(
        self,
        X: Any,
        pred_type: str = "glm",
        joint: bool = False,
        link_approx: str = "probit",
        n_samples: int = 100,
        diagonal_output: bool = False,
        seed: Any = None,
    ) -> Any:
        """The predictive distribution.

        Returns:
            Classification: probabilities (n, C). Regression: (f_mu, f_var), f_mu (n, C), f_var (n, C, C) without the noise;
            with `joint` f_mu (n C,) and f_var (n C, n C); with `diagonal_output` or pred_type 'nn' f_var (n, C).
        """
        if pred_type == "nn":
            samples = self.predictive_samples(X, n_samples, pred_type="nn", seed=seed)
            return (
                samples.mean(axis=0)
                if self.likelihood != "regression"
                else (samples.mean(axis=0), samples.var(axis=0, ddof=1))
            )
        if pred_type != "glm":
            raise OptionError(
                f"pred_type must be 'glm' or 'nn'; got '{pred_type}'.", "BAD_OPTION", {"option": "pred_type"}
            )
        regression = self.likelihood == "regression"
        joint = joint and regression
        spread = "variance" if diagonal_output and not joint else "covariance"
        options = {"joint": joint, "covariance": regression and spread == "covariance", "uncertainty": False}
        parts = ["mean", spread] if regression else ["probabilities"]
        answer = self._predicted(X, link_approx, pred_type, n_samples, options, seed, parts=parts)
        if not regression:
            return answer["probabilities"]
        return answer["mean"].reshape(-1) if joint else answer["mean"], answer[spread]

    def predict(
        self,
        X: Any,
        *,
        link_approx: str = "probit",
        pred_type: str = "glm",
        n_samples: int | None = None,
        joint: bool = False,
        covariance: bool = False,
        uncertainty: bool = True,
        seed: Any = None,
        timeout: float | None = None,
    ) -> Prediction:
        """Everything that is known about the outputs for some inputs.

        Args:
            joint: adds the covariance of all outputs of all rows, (n C, n C).
            covariance: adds the covariance of the outputs of each row, (n, C, C).
            uncertainty: False leaves out the aleatoric and epistemic parts, and the draws that they take.
        """
        options = {"joint": joint, "covariance": covariance or joint, "uncertainty": uncertainty}
        answer = self._predicted(X, link_approx, pred_type, n_samples, options, seed, timeout=timeout)
        answer["notes"] = tuple(answer.get("notes", ()))
        return Prediction(**answer)

    def _predicted(
        self,
        X: Any,
        link: str,
        predictive: str,
        samples: int | None,
        options: dict[str, Any],
        seed: Any,
        *,
        parts: list[str] | None = None,
        timeout: float | None = None,
    ) -> dict[str, Any]:
        """The answer of the server, in as many messages as the rows need; `parts`: what of it will be read."""
        x = to_array(X, "X")
        options = {"link": link, "predictive": predictive, **options}
        if samples is not None:
            options["samples"] = int(samples)
        if seed is not None or link == "mc" or predictive == "nn":
            options["seed"] = fresh_seed(seed)
        answers = [
            self._call(
                "predict",
                {"x": rows, "options": options, "parts": parts or _PARTS},
                timeout=timeout,
                progress=self._progress,
            )
            for rows in ([x] if options["joint"] else _rows(x))
        ]
        return _together(answers)

    def predictive_samples(self, X: Any, n_samples: int = 100, *, pred_type: str = "glm", seed: Any = None) -> Array:
        """Draws of predictions (probabilities or means), (n_samples, n, C)."""
        return self._samples("predictiveSamples", X, n_samples, pred_type, seed)

    def functional_samples(self, X: Any, n_samples: int = 100, *, pred_type: str = "glm", seed: Any = None) -> Array:
        """Draws of network outputs, (n_samples, n, C)."""
        return self._samples("functionalSamples", X, n_samples, pred_type, seed)

    def _samples(self, method: str, X: Any, n_samples: int, pred_type: str, seed: Any) -> Array:
        params = {"x": to_array(X, "X"), "samples": int(n_samples), "seed": fresh_seed(seed), "predictive": pred_type}
        samples: Array = self._call(method, params, progress=self._progress)["samples"]
        return samples

    def functional_variance(self, X: Any, joint: bool = False) -> Array:
        """Covariance of the outputs, (n, C, C), or (n C, n C) with `joint`."""
        covariance: Array = self._call("functionalVariance", {"x": to_array(X, "X"), "joint": joint})["covariance"]
        return covariance

    def sample(self, n_samples: int = 100, *, seed: Any = None) -> Array:
        """Draws of the parameters, (n_samples, n_params)."""
        samples: Array = self._call("sample", {"samples": int(n_samples), "seed": fresh_seed(seed)})["samples"]
        return samples

    def log_prob(self, theta: Any) -> Any:
        """Log density of parameters (n_params,), or of the rows of (S, n_params)."""
        array = to_array(theta, "theta")
        values = self._call("logProb", {"theta": array})["logProb"]
        return float(values[0]) if array.ndim == 1 else values

    # --- numbers ---

    def log_marginal_likelihood(self, prior_precision: Any = None, sigma_noise: Any = None) -> float:
        """The Laplace approximation of the log evidence, also at other hyper-parameters (which are not kept)."""
        params: dict[str, Any] = {}
        if prior_precision is not None:
            params["priorPrecision"] = _numbers(prior_precision, "prior_precision")
        if sigma_noise is not None:
            params["sigmaNoise"] = _number(sigma_noise, "sigma_noise")
        return float(self._call("logMarginalLikelihood", params)["value"])

    @property
    def log_likelihood(self) -> float:
        """Log likelihood of the data at the network's weights."""
        return float(self._get("logLikelihood"))

    @property
    def loss(self) -> float:
        """Loss of the data at the network's weights."""
        return float(self._get("loss"))

    @property
    def scatter(self) -> float:
        """(theta - mu0)' P0 (theta - mu0)."""
        return float(self._get("scatter"))

    @property
    def log_det_posterior_precision(self) -> float:
        """Log-determinant of the posterior precision."""
        return float(self._get("logDetPosteriorPrecision"))

    @property
    def log_det_prior_precision(self) -> float:
        """Log-determinant of the prior precision."""
        return float(self._get("logDetPriorPrecision"))

    @property
    def log_det_ratio(self) -> float:
        """Log-determinant of the posterior precision minus that of the prior precision."""
        return float(self._get("logDetRatio"))

    @property
    def H(self) -> Any:
        """Curvature of the loss, without prior: (P, P), (P,), or KronFactors."""
        return _matrix(self._get("H"))

    @property
    def posterior_precision(self) -> Any:
        """Precision of the posterior: (P, P), (P,), or KronFactors."""
        return _matrix(self._get("posteriorPrecision"))

    @property
    def posterior_covariance(self) -> Array:
        """Covariance of the posterior as a dense (P, P) matrix."""
        covariance: Array = self._get("posteriorCovariance")
        return covariance

    @property
    def posterior_variance(self) -> Array:
        """Diagonal of the covariance, (P,)."""
        variance: Array = self._get("posteriorVariance")
        return variance

    @property
    def posterior_scale(self) -> Array:
        """Standard deviations of the parameters, (P,)."""
        return np.sqrt(self.posterior_variance)

    @property
    def prior_precision_diag(self) -> Array:
        """Prior precision of each parameter, (P,)."""
        diagonal: Array = self._get("priorPrecisionDiag")
        return diagonal

    @property
    def mean(self) -> Array:
        """Mean of the posterior: the network's weights, (P,)."""
        mean: Array = self._get("mean")
        return mean

    def _summary_value(self, key: str) -> Any:
        if key not in self._summary:
            self._summary = dict(self._get("summary"))
        return self._summary[key]

    @property
    def n_params(self) -> int:
        """Number of parameters of the posterior."""
        return int(self._summary_value("parameterCount"))

    @property
    def n_outputs(self) -> int:
        """Number of outputs of the network."""
        return int(self._summary_value("outputs"))

    @property
    def n_data(self) -> int:
        """Number of examples of the fit."""
        return int(self._summary_value("examples"))

    @property
    def parameter_names(self) -> list[str]:
        """Names of the tensors of the posterior, in order."""
        return [str(entry["name"]) for entry in self._summary_value("parameters")]

    @property
    def summary(self) -> dict[str, Any]:
        """What the server says about the posterior."""
        self._summary_value("digest")
        return dict(self._summary)

    # --- files ---

    def to_bytes(self, *, network: bool = True) -> bytes:
        """The posterior as a portable blob; without its network it is smaller and needs `model=` when loaded."""
        data = self._call("save", {"network": network})["data"]
        return bytes(data)

    def save(self, path: str | os.PathLike[str], *, network: bool = True) -> None:
        """Writes the posterior to a file that Node, Python, R and browsers read."""
        Path(path).write_bytes(self.to_bytes(network=network))

    @classmethod
    def from_bytes(cls, data: bytes, *, model: Any = None, client: Client | None = None) -> Laplace:
        """A posterior from its blob."""
        connection = client or default_client()
        params: dict[str, Any] = {"data": bytes(data)}
        network: Remote | None = None
        if model is not None:
            network, _ = create(connection, "readNetwork", network_params(model, {}) or {})
            params["model"] = network.handle()
        remote, answer = create(connection, "load", params)
        if model is None:
            remote.set_remake(lambda other: str(other.call("load", {"data": params["data"]})["handle"]))
        return cls._from_remote(remote, answer.get("summary", {}), connection, bytes(data) if model is None else None)

    @classmethod
    def _from_remote(cls, remote: Remote, summary: Mapping[str, Any], client: Client, blob: bytes | None) -> Laplace:
        self = cls.__new__(cls)
        self._client = client
        self.model = None
        self.likelihood = str(summary["likelihood"])
        self.subset_of_weights = summary["subset"] if isinstance(summary["subset"], str) else "subnetwork"
        self.hessian_structure = str(summary["structure"])
        self._options = {
            key: summary[key]
            for key in ("likelihood", "subset", "structure", "curvature")
            if summary.get(key) is not None
        }
        self._prior = {
            "priorPrecision": 1.0,
            "priorMean": _unwrap(summary.get("priorMean", 0.0)),
            "sigmaNoise": 1.0,
            "temperature": 1.0,
        }
        self._hints = {}
        self._progress = None
        self._network_params = None
        self._network = None
        self._network_read = False
        self._training = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LaplaceWarning)
            self._adopt(remote, summary)
        self._blob = blob
        return self

    def _keep_copy(self) -> None:
        """Keeps the blob here, so that the posterior outlives its server."""
        if self._posterior is None or not self._posterior.alive:
            return
        if self._blob is None:
            self._blob = self.to_bytes()
        blob = self._blob
        self._posterior.set_remake(lambda client: str(client.call("load", {"data": blob})["handle"]))

    def __getstate__(self) -> dict[str, Any]:
        self._keep_copy()
        state = self.__dict__.copy()
        for key in ("_client", "_network", "_posterior", "_progress", "_cache", "_training"):
            state.pop(key)
        if self._network_params is not None:
            state["model"] = None
        state["fitted"] = self._posterior is not None
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        fitted = state.pop("fitted")
        self.__dict__.update(state)
        self._client = default_client()
        self._network = None
        self._posterior = None
        self._progress = None
        self._cache = {}
        self._training = None
        if fitted:
            blob = self._blob
            # Of no generation: it is loaded when it is first needed.
            self._posterior = Remote(
                self._client, "", -1, lambda client: str(client.call("load", {"data": blob})["handle"])
            )
            _fitted.add(self)

    def __repr__(self) -> str:
        words = f"likelihood={self.likelihood!r}, subset_of_weights={self.subset_of_weights!r}, hessian_structure={self.hessian_structure!r}"
        fitted = "not fitted" if self._posterior is None else f"fitted to {self._summary.get('examples')} examples"
        return f"Laplace({words}; {fitted})"


def load(path: str | os.PathLike[str] | bytes, *, model: Any = None, client: Client | None = None) -> Laplace:
    """A saved posterior, from its file or its bytes, whatever language wrote it."""
    data = bytes(path) if isinstance(path, (bytes, bytearray)) else Path(path).read_bytes()
    return Laplace.from_bytes(data, model=model, client=client)


def _subset(subset: str, indices: Sequence[int] | Sequence[str] | Array | None) -> Any:
    if subset == "subnetwork":
        if indices is None:
            raise OptionError(
                "subset_of_weights='subnetwork' needs subnetwork_indices: flat indices or names of parameters.",
                "BAD_COMBINATION",
            )
        values = list(np.asarray(indices).ravel().tolist())
        return (
            [str(value) for value in values]
            if values and isinstance(values[0], str)
            else np.asarray(values, dtype=np.float64)
        )
    if indices is not None:
        raise OptionError("subnetwork_indices belong to subset_of_weights='subnetwork'.", "BAD_COMBINATION")
    return subset


def _number(value: Any, name: str) -> float:
    array = np.asarray(to_array(value, name), dtype=np.float64)
    if array.size != 1:
        raise OptionError(f"{name} must be one number; got {array.size}.", "BAD_OPTION", {"option": name})
    return float(array.reshape(-1)[0])


def _numbers(value: Any, name: str) -> Any:
    """One number, or an array of them."""
    array = np.asarray(to_array(value, name), dtype=np.float64)
    return float(array.reshape(-1)[0]) if array.size == 1 else array.reshape(-1)


def _unwrap(value: Any) -> Any:
    return float(value[0]) if isinstance(value, np.ndarray) and value.size == 1 else value


def _labels(y: Array, likelihood: str) -> Array:
    """Targets of regression may be a vector; (n, 1) class labels are flattened."""
    return y[:, 0] if likelihood == "classification" and y.ndim == 2 and y.shape[1] == 1 else y


def _matrix(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    if value["structure"] == "kron":
        return KronFactors(value["blocks"], delta=value.get("delta"))
    return value["matrix"] if "matrix" in value else value["diagonal"]


def _rows(x: Array) -> Iterable[Array]:
    count = max(1, -(-x.nbytes // _BATCH_BYTES))
    return np.array_split(x, count) if count > 1 else [x]


def _slices(x: Array, y: Array) -> Iterable[tuple[Array, Array]]:
    step = max(1, len(x) * _BATCH_BYTES // max(1, x.nbytes + y.nbytes))
    return ((x[at : at + step], y[at : at + step]) for at in range(0, len(x), step))


def _together(answers: list[dict[str, Any]]) -> dict[str, Any]:
    """The answers for some rows each as one."""
    first = answers[0]
    if len(answers) == 1:
        return first
    return {
        key: np.concatenate([answer[key] for answer in answers]) if isinstance(value, np.ndarray) else value
        for key, value in first.items()
    }


def _readable_again(X: Any, y: Any) -> tuple[Any, Any] | None:
    return None if isinstance(X, Iterator) else (X, y)


def _no_batches() -> LaplaceError:
    from ._exceptions import DataError

    return DataError("The iterable has no batches. (A generator is empty after it was read once.)", "EMPTY_DATA")


def _before_fork() -> None:
    """A forked child has a server of its own: it makes the posteriors again from copies."""
    for la in list(_fitted):
        try:
            la._keep_copy()
        except LaplaceError:
            continue


def _after_fork() -> None:
    for la in list(_fitted):
        for remote in (la._network, la._posterior):
            if remote is not None:
                remote.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork)
