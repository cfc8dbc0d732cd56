"""What the two scikit-learn estimators share."""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np

from ._arguments import CheckedArguments
from ._choice import Choice
from ._client import Client
from ._comparison import Comparison
from ._data import Array, refuse_masked, to_array
from ._default_client import default_client
from ._examples import Examples, is_mapping, to_examples
from ._exceptions import LaplaceError, LaplaceWarning, OptionError, ShapeError
from ._figures import Figures
from ._held_out import HeldOut, check_use, held_out, split_rows
from ._laplace import Laplace
from ._likelihoods import LINEAR_LIKELIHOODS
from ._options import as_numbers, as_prior_structure, as_structure, as_tune_method
from ._posterior_state import AUTO
from ._prediction import Prediction
from ._scikit_learn import (
    BaseEstimator,
    check_is_fitted,
    check_random_state,
    clone,
    has_fit_parameter,
    validate_data,
)

Init = TypeVar("Init", bound=Callable[..., None])


def with_parameters_of(parent: Callable[..., None]) -> Callable[[Init], Init]:
    """Gives an `__init__` that passes **options on the signature for scikit-learn: its own, then the parent's."""

    def merged(init: Init) -> Init:
        own = [p for p in inspect.signature(init).parameters.values() if p.kind is not p.VAR_KEYWORD]
        names = {p.name for p in own}
        more = [p for p in inspect.signature(parent).parameters.values() if p.name not in names]
        init.__signature__ = inspect.Signature([*own, *more])  # type: ignore[attr-defined]
        return init

    return merged


def validated(estimator: Any, X: Any, *y: Any, **options: Any) -> Any:
    """What scikit-learn's `validate_data` gives; of rows that hold text the error says what to do.

    Raises:
        DataError: for masked arrays too, whose masks it would pass over.
    """
    for value, name in zip((X, *y), ("X", "y"), strict=False):
        refuse_masked(value, name)
    try:
        return validate_data(estimator, X, *y, **options)
    except (ValueError, TypeError) as error:
        # Columns of text, of categories and of dates have words of their own; pandas has others for each.
        if hasattr(X, "to_numpy") or "could not convert string" in str(error):
            to_array(X, "X")
        raise


class LaplaceEstimator(CheckedArguments, BaseEstimator):  # type: ignore[misc]
    """What both estimators share."""

    # scikit-learn's constructors keep what they are given; fit checks it.
    _CHECKED = ("__call__",)

    def __init__(
        self,
        model: Any = None,
        *,
        subset_of_weights: str = "auto",
        hessian_structure: str | None = None,
        curvature: str = "ggn",
        prior_precision: Any = None,
        prior_structure: str = "scalar",
        tune: str | None = "auto",
        temperature: float = 1.0,
        architecture: Any = None,
        activation: str | None = None,
        input: str | None = None,
        output: str | None = None,
        last_layer_name: str | None = None,
        parameters: Any = None,
        freeze: Any = None,
        model_name: str | None = None,
        input_size: Any = None,
        dimensions: Any = None,
        external_data: Any = None,
        engine: str = "auto",
        precision: str | None = None,
        threads: int | None = None,
        random_state: Any = None,
        validation_fraction: float | None = None,
        calibrate: str | None = None,
    ) -> None:
        self.model = model
        self.subset_of_weights = subset_of_weights
        self.hessian_structure = hessian_structure
        self.curvature = curvature
        self.prior_precision = prior_precision
        self.prior_structure = prior_structure
        self.tune = tune
        self.temperature = temperature
        self.architecture = architecture
        self.activation = activation
        self.input = input
        self.output = output
        self.last_layer_name = last_layer_name
        self.parameters = parameters
        self.freeze = freeze
        self.model_name = model_name
        self.input_size = input_size
        self.dimensions = dimensions
        self.external_data = external_data
        self.engine = engine
        self.precision = precision
        self.threads = threads
        self.random_state = random_state
        self.validation_fraction = validation_fraction
        self.calibrate = calibrate

    # --- the network ---

    def _network(
        self,
        default: type[Any],
        X: Any,
        y: Array,
        held: HeldOut,
        source: Any,
        classes: Array | None = None,
        weight: Array | None = None,
        training: Array | None = None,
    ) -> tuple[Any, Any, Array, HeldOut, Array | None]:
        """The fitted network with the rows of the fit and the held-out ones.

        It is the given one, or a scikit-learn object that is trained first, without the rows that are held out.

        Args:
            source: X as it was given: a data frame has names that a ColumnTransformer asks for.
            weight: how often each row counts, for the training too.
            training: how often it counts for the training alone, where that differs.
        """
        frame = source if hasattr(source, "iloc") else X
        model = default(max_iter=1000) if self.model is None else self.model
        if not self._trains():
            return model, X, y, held, weight
        network = clone(model)
        random = check_random_state(self.random_state)
        if "random_state" in network.get_params() and network.get_params()["random_state"] is None:
            network.set_params(random_state=random.randint(2**31 - 1))
        if held.share is not None:
            kept, out = split_rows(len(X), held.share, random, classes)
            frame = frame.iloc[kept] if hasattr(frame, "iloc") else frame[kept]
            X, y, held = X[kept], y[kept], HeldOut(rows=(X[out], y[out]))
            weight = None if weight is None else weight[kept]
            training = None if training is None else training[kept]
        with warnings.catch_warnings():
            # The training's own notice of max_iter: the posterior does not need a perfect optimum.
            warnings.filterwarnings("ignore", message="Stochastic Optimizer: Maximum iterations")
            network.fit(frame, y, **_weights_of(network, weight if training is None else training))
        return network, X, y, held, weight

    def _trains(self) -> bool:
        """Whether the network is trained here, which takes more data than the posterior of a trained one."""
        return self.model is None or (_can_be_trained(self.model) and not _is_fitted(self.model))

    # --- fitting ---

    def _held_out(self, X_val: Any, y_val: Any) -> HeldOut:
        """Held-out rows, checked before anything is trained."""
        held = held_out(X_val, y_val, self.validation_fraction)
        check_use(held.there, self.tune, self.prior_precision, self.calibrate)
        return held

    def _posterior_of(self, network: Any, likelihood: str, **more: Any) -> Laplace:
        """The posterior before its fit."""
        return Laplace(
            network,
            likelihood,
            self.subset_of_weights,
            self.hessian_structure,
            curvature=self.curvature,
            architecture=self.architecture,
            activation=self.activation,
            input=self.input,
            output=self.output,
            last_layer_name=self.last_layer_name,
            parameters=self.parameters,
            freeze=self.freeze,
            model_name=self.model_name,
            input_size=self.input_size,
            dimensions=self.dimensions,
            external_data=self.external_data,
            engine=self.engine,
            precision=self.precision,
            threads=self.threads,
            client=self._client(),
            **more,
        )

    def _fit_options(self, likelihood: str, there: bool) -> dict[str, Any]:
        """The server's options; what is left out it chooses."""
        options: dict[str, Any] = {
            "likelihood": likelihood,
            "subset": self.subset_of_weights,
            "curvature": self.curvature,
            "priorStructure": as_prior_structure(self.prior_structure),
        }
        if self.hessian_structure is not None:
            options["structure"] = as_structure(self.hessian_structure)
        if self.temperature != 1:
            options["temperature"] = self.temperature
        if self.prior_precision is not None:
            options["priorPrecision"] = as_numbers(self.prior_precision, "prior_precision")
        elif there and self.tune in (None, AUTO):
            linear = likelihood in LINEAR_LIKELIHOODS and getattr(self, "class_weight", None) is None
            options["tune"] = "validated" if linear else "grid"
        elif self.tune not in (None, AUTO):
            options["tune"] = as_tune_method(str(self.tune))
        if self.calibrate is not None:
            options["calibrate"] = self.calibrate
        return options

    def _fit_laplace(
        self, la: Laplace, network: Any, X: Array, y: Array, held: HeldOut, weight: Array | None = None
    ) -> None:
        options = self._fit_options(la.likelihood, held.there)
        with warnings.catch_warnings():
            # A classifier that gives probabilities is what is meant here.
            warnings.filterwarnings("ignore", message="The network ends in", category=LaplaceWarning)
            validation = held.share if held.rows is None else held.rows
            la.tuned_fit(self._named(X), y, options, validation, sample_weight=weight)
        if "structure" not in options:
            la.hessian_structure = AUTO
        self.laplace_ = la
        self.network_ = network

    def _client(self) -> Client:
        return default_client()

    # --- predicting ---

    def _predict_all(self, X: Any, **options: Any) -> Prediction:
        return self._posterior().predict(self._checked(X), **options)

    def _posterior(self) -> Laplace:
        check_is_fitted(self, "laplace_")
        posterior: Laplace = self.laplace_
        return posterior

    def _checked(self, X: Any) -> Examples:
        """Rows of features. Networks of images take arrays of more axes, others several inputs."""
        if isinstance(X, Examples) or is_mapping(X):
            return to_examples(X, "X")
        return self._named(validated(self, X, reset=False, dtype=[np.float64, np.float32], allow_nd=True))

    def _named(self, X: Any) -> Examples:
        """Checked rows with the names that their columns had."""
        return to_examples(X, "X").with_columns(getattr(self, "feature_names_in_", None))

    def _targets(self, y: Any, name: str) -> Array:
        """Labels as the posterior takes them."""
        raise NotImplementedError

    def uncertainty(self, X: Any) -> Prediction:
        """Everything that is known about the outputs: means, variances, aleatoric and epistemic parts, novelty."""
        return self._predict_all(X)

    def novelty(self, X: Any) -> Array:
        """How unlike the training rows each row is, (n,): a p-value, small for rows unlike them. See `Laplace`."""
        return self._posterior().novelty(self._checked(X))

    def conformalize(self, X: Any = None, y: Any = None, *, score: str | None = None) -> Self:
        """Makes intervals or sets hold with their probability, by held-out rows X and y. See `Laplace.conformalize`."""
        la = self._posterior()
        if X is None and y is None:
            la.conformalize(score=score)
        else:
            la.conformalize(self._checked(X), None if y is None else self._targets(y, "y"), score=score)
        return self

    def compare(self, X: Any, y: Any, *, outliers: Any = None) -> Comparison:
        """Scores of network, temperature scaling and posterior on rows that none of them has seen; prints a table.

        `outliers` are rows that are no data, without labels: how well are they told? See `Laplace.compare`.
        """
        return self._posterior().compare(**self._compared(X, y, outliers))

    def figures(self, X: Any, y: Any, *, outliers: Any = None) -> Figures:
        """What a report draws of rows that were not seen, with a method for each picture. See `Laplace.figures`."""
        return self._posterior().figures(**self._compared(X, y, outliers))

    def report(
        self, path: str | os.PathLike[str], X: Any, y: Any, *, outliers: Any = None, title: str | None = None
    ) -> Path:
        """Writes one HTML page with scores and pictures of rows that were not seen. See `Laplace.report`."""
        names = getattr(self, "classes_", None)
        return self._posterior().report(path, **self._compared(X, y, outliers), classes=names, title=title)

    def _compared(self, X: Any, y: Any, outliers: Any) -> dict[str, Any]:
        """Rows, labels and rows that are no data, as the posterior takes them."""
        others = None if outliers is None else self._checked(outliers)
        return {"X": self._checked(X), "y": self._targets(y, "y"), "outliers": others}

    def to_onnx(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        outputs: str | Sequence[str] | None = None,
        opset: int | None = None,
        dtype: str | None = None,
        card: bool = False,
        mlflow: bool = False,
        X: Any = None,
        y: Any = None,
        **options: Any,
    ) -> bytes | None:
        """The posterior as a plain ONNX model, for any ONNX runtime. See `Laplace.to_onnx`.

        The names of the classes are in the file's metadata, `polylaplace.labels`.
        """
        classes = getattr(self, "classes_", None)
        if classes is not None:
            options.setdefault("labels", [str(label) for label in classes])
        x = None if X is None else self._checked(X)
        targets = None if X is None or y is None else self._targets(y, "y")
        return self._posterior().to_onnx(
            path, outputs=outputs, opset=opset, dtype=dtype, card=card, mlflow=mlflow, X=x, y=targets, **options
        )

    # --- what was fitted ---

    def summary(self) -> str:
        """In words: what was fitted, what was chosen and why, and how it does on its training rows."""
        return self._posterior().describe()

    @property
    def summary_(self) -> Mapping[str, Any]:
        """The same as plain values."""
        return self._posterior().summary

    @property
    def choice_(self) -> Choice | None:
        """What was chosen and why; None where everything was given."""
        return self._posterior().choice

    @property
    def log_marginal_likelihood_(self) -> float:
        """Log marginal likelihood of the fitted posterior, at the network's weights."""
        return self._posterior().log_marginal_likelihood()

    @property
    def log_evidence_at_mode_(self) -> float | None:
        """Log evidence of the linear model at its own mode, where there is one."""
        return self._posterior().log_evidence_at_mode

    @property
    def prior_precision_(self) -> Any:
        """The prior precision in use."""
        return self._posterior().prior_precision

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        own: str = super().__repr__(N_CHAR_MAX)
        return self._with(own, lambda: f"  # {self._posterior().choice or 'fitted'}")

    def __str__(self) -> str:
        return self._with(super().__repr__(), lambda: f"\n{self.summary()}")

    def _with(self, words: str, more: Callable[[], str]) -> str:
        """Words about the parameters, and about the fit if there is one (and its server is still there)."""
        if not self.__sklearn_is_fitted__():
            return words
        try:
            return words + more()
        except LaplaceError:
            return words

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "laplace_")


def _can_be_trained(model: Any) -> bool:
    return hasattr(model, "fit") and hasattr(model, "get_params") and not hasattr(model, "module_")


def _is_fitted(model: Any) -> bool:
    try:
        check_is_fitted(model)
    except (LaplaceError, ValueError, TypeError):
        return False
    return True


def _weights_of(network: Any, weight: Array | None) -> dict[str, Array]:
    """The weights of the rows as the training of a network takes them.

    Raises:
        OptionError: where it takes none: the network would be that of other data than the posterior.
    """
    if weight is None:
        return {}
    if not has_fit_parameter(network, "sample_weight"):
        raise OptionError(
            f"The fit of {type(network).__name__} takes no sample_weight, so that the network would not be trained "
            "with it. Give a network that is trained already, or leave sample_weight out.",
            "BAD_OPTION",
            {"option": "sample_weight"},
        )
    return {"sample_weight": weight}


def row_weights(weight: Any, count: int) -> Array | None:
    """How often each row counts, (n,); None where nothing is said."""
    if weight is None:
        return None
    values = np.asarray(weight, dtype=np.float64)
    if values.shape != (count,):
        raise ShapeError(
            f"sample_weight has the shape {values.shape}; it is one number a row, ({count},).",
            "SHAPE_MISMATCH",
            {"expected": count, "actual": list(values.shape)},
        )
    return values
