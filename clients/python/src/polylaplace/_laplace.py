"""`Laplace`: the posterior of a trained network, under laplace-torch's names."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypedDict, overload

from ._arguments import checked
from ._client import Client
from ._data import Array
from ._default_client import default_client
from ._exceptions import LaplaceWarning
from ._external_data import ExternalData, external_files
from ._fitting import Fitting
from ._hyper_parameters import HyperParameters
from ._models import Architecture, network_params, reading_hints
from ._onnx_export import OnnxExport
from ._options import (
    Tensors,
    as_class_weight,
    as_noise,
    as_number,
    as_numbers,
    as_structure,
    as_subset,
    fit_options,
)
from ._own_likelihood import OwnLikelihood
from ._posterior_quantities import PosteriorQuantities
from ._posterior_state import AUTO
from ._prediction import ClassPrediction, ObservationPrediction, Prediction, RegressionPrediction
from ._progress import ProgressOption
from ._report import Report
from ._saving import Saving
from ._tuning import Tuning

#: laplace-torch's hyper-parameters.
DEFAULT_PRIOR = {"priorPrecision": 1.0, "priorMean": 0.0, "sigmaNoise": 1.0, "temperature": 1.0}

# `LaplaceWarning` and `Prediction` are here too because older pickles look for them here.
__all__ = ["Laplace", "LaplaceWarning", "Prediction", "load"]


if TYPE_CHECKING:
    # typing's TypeVar has defaults from Python 3.13 on; type checkers know those of typing_extensions.
    from typing_extensions import TypeVar, Unpack

    P = TypeVar("P", bound=Prediction, default=Prediction, covariant=True)
else:
    from typing import TypeVar

    P = TypeVar("P", bound=Prediction, covariant=True)


class LaplaceOptions(TypedDict, total=False):
    """The options of `Laplace` that have no place of their own among its arguments."""

    prior_precision: Any
    prior_mean: Any
    sigma_noise: Any
    temperature: float | None
    label_smoothing: float | None
    class_weight: Any
    curvature: str
    draws: int | None
    blocks: str | None
    rank: float | None
    n_subset: int | None
    independent_outputs: bool | None
    nystroem: bool | None
    samples: int | None
    subnetwork_indices: Sequence[int] | Sequence[str] | Mapping[str, Any] | Array | None
    kfac_approx: str
    engine: str
    precision: str | None
    threads: int | None
    batch_size: int | None
    memory_limit: int | None
    seed: int | None
    architecture: Architecture | None
    activation: str | None
    input: str | None
    output: str | None
    positions: str | None
    class_axis: int | None
    dict_key_x: str | None
    dict_key_y: str
    last_layer_name: str | None
    parameters: Tensors | None
    freeze: Tensors | None
    model_name: str | None
    input_size: int | Sequence[int] | None
    dimensions: Mapping[str, int] | None
    external_data: ExternalData | None
    client: Client | None
    progress: ProgressOption


class Laplace(Fitting, Tuning, HyperParameters, OnnxExport, PosteriorQuantities, Report, Saving, Generic[P]):
    """The Laplace approximation of a trained network's posterior.

    Args:
        model: a path or bytes (ONNX, PyTorch state dict, safetensors, Flux), a torch.nn.Module, a fitted scikit-learn
            MLP, or a dictionary of tensors.
        likelihood: 'classification', 'binary', 'multilabel', 'regression', 'heteroscedastic' (outputs: the means, then
            as many logarithms of variances) or 'poisson' (outputs: logarithms of rates), or
            'reward_modeling' (one output, the reward; X are pairs (n, 2, ...), y says which one was preferred, 0 or 1,
            and predictions are of single rows); or an object of your own with
            the functions of `OwnLikelihood`: loss, residual and root of the Hessian.
        subset_of_weights: 'last_layer', 'all', 'subnetwork' (then `subnetwork_indices` says which), or 'auto': the fit
            chooses subset and structure, and tunes prior and noise, where they are not given; `choice` says what and
            why.
        hessian_structure: 'kron', 'full', 'diag', 'blockdiag' (see `blocks`), 'ekfac', 'lowrank' (see `rank`),
            'functional' (also 'gp') or 'samples' (see `samples`). None: 'kron' ('full' of a subnetwork), or what the
            fit chooses.
        prior_precision: a number, one for each tensor, or one for each parameter. None: 1, or what the fit finds.
        prior_mean: a number, or one for each parameter. None: 0.
        sigma_noise: standard deviation of the observations (regression): a number, or one for each output; a matrix
            (C, C) is the covariance of noises that are correlated; 'full' is the one that maximises the evidence. None:
            1, or what the fit finds.
        temperature: of the likelihood. None: 1.
        label_smoothing: of classes and labels: the share of label smoothing the network was trained with; loss,
            gradients and evidence are those of the smoothed labels. None: 0.
        class_weight: of 'classification' and 'binary': how much each class counts: one number a class, a mapping, or
            'balanced' (n / (K n_c)). None: 1 each. The prior is then tuned by 'marglik' or 'grid'.
        curvature: 'ggn', 'empirical_fisher', 'mc_fisher' or 'hessian'.
        blocks: of 'blockdiag': a block a 'layer' (its weight and bias together), or a 'tensor'. None: 'layer'.
        rank: of 'lowrank' at the network's weights: a number of eigenvectors, or below 1 the share of the trace of H
            that they have. None: 'lowrank' is the linear model over all weights at its own mode.
        n_subset: of 'functional' (also 'gp'): examples drawn by `seed` whose rows of H are kept. None: all.
        independent_outputs: of 'functional' (also 'gp'): each output has a process of its own.
        nystroem: of 'functional' (also 'gp'): the rows of H are those of all examples, in the span of the Jacobians of
            `n_subset` of them (Deng, Zhou and Zhu 2022); directions outside of it have no variance.
        samples: of 'samples': draws of the weights that are solved for by conjugate gradients, without a matrix of
            theirs; variances have a relative standard error of sqrt(2 / samples). None: 64.
        draws: labels that 'mc_fisher' draws for each row, by `seed`. None: 1.
        subnetwork_indices: flat indices of parameters, whose order does not matter (`H`, `mean` and all others have the
            network's, a matrix that it multiplies by from the right as out x in); names and globs of tensors, or names
            of modules; or `count` of them: {'count': 100, 'by': 'magnitude'}, 'random' (with 'seed'), or a score for
            each parameter such as the `posterior_variance` of a diagonal posterior.
        kfac_approx: 'expand' or 'reduce'.
        engine: 'auto', 'typescript' or 'onnxruntime'.
        precision: 'float32' or 'float64'; None: the network's own.
        threads: of the engine; None: all.
        batch_size: examples that are computed at once; None: as many as are fast.
        memory_limit: bytes that the posterior may need.
        architecture: list of layers for files that hold weights only.
        activation: for bare chains of linear layers.
        input, output: which ones, when the network has several; of a torch module that returns a ModelOutput, dict or
            object `output` is a key, of one that returns a tuple 'output0' and so on. None: 'logits', or the only one.
        positions: of a network that answers at several positions of an example (tokens, pixels, times): 'each' is a
            term of the likelihood with a label of its own, or the 'first', the 'last' or the 'mean' of all answers for
            the example. None: 'each'.
        class_axis: the axis of such an output that holds the classes or outputs. None: the one that the labels fit.
        dict_key_x: laplace-torch's word; every entry of a mapping but the labels is the input of its name.
        dict_key_y: the key of the labels in batches that are mappings, as Hugging Face's collators make them.
        last_layer_name: the layer that 'last_layer' means: the name of a module, of a parameter or of a node. None: the
            last one.
        parameters: the tensors that are parameters, in the order of theta: names, globs such as '*lora*', indices.
            None: those of the network (of a module, all that are trained).
        freeze: parameters that keep their values and take no part: names, globs, indices.
        model_name: which network, when a file holds several: a key of a checkpoint, a path.
        input_size: the shape of one example, where a file leaves it open.
        dimensions: lengths of axes that an ONNX file leaves open, by their names.
        external_data: files with the weights of an ONNX model that is given as bytes: a folder, or bytes by name. A
            path needs none of it: the files beside the model are found.
        client: the connection; None: the one that everything shares.
        progress: True for bars (if tqdm is installed), or a function.

    >>> import numpy as np
    >>> network = {"0.weight": np.array([[1.0, 0.5]]), "0.bias": np.zeros(1)}
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(50, 2))
    >>> y = X @ [1.0, 0.5] + 0.1 * rng.normal(size=50)
    >>> la = Laplace(network, "regression", "all", "full", prior_precision=1.0, sigma_noise=0.1).fit(X, y)
    >>> mean, variance = la(X)
    >>> mean.shape, variance.shape
    ((50, 1), (50, 1, 1))
    """

    # For type checkers: what `predict` and calls return depends on the likelihood.
    if TYPE_CHECKING:

        def predict(
            self,
            X: Any,
            *,
            link_approx: str | None = None,
            pred_type: str = "glm",
            n_samples: int | None = None,
            joint: bool = False,
            covariance: bool = False,
            uncertainty: bool = True,
            seed: Any = None,
            timeout: float | None = None,
        ) -> P: ...

        @overload
        def __call__(
            self: Laplace[ClassPrediction],
            X: Any,
            pred_type: str = "glm",
            joint: bool = False,
            link_approx: str | None = None,
            n_samples: int = 100,
            diagonal_output: bool = False,
            seed: Any = None,
        ) -> Array: ...
        @overload
        def __call__(
            self: Laplace[RegressionPrediction] | Laplace[ObservationPrediction],
            X: Any,
            pred_type: str = "glm",
            joint: bool = False,
            link_approx: str | None = None,
            n_samples: int = 100,
            diagonal_output: bool = False,
            seed: Any = None,
        ) -> tuple[Array, Array]: ...
        @overload
        def __call__(
            self,
            X: Any,
            pred_type: str = "glm",
            joint: bool = False,
            link_approx: str | None = None,
            n_samples: int = 100,
            diagonal_output: bool = False,
            seed: Any = None,
        ) -> Any: ...
        def __call__(
            self,
            X: Any,
            pred_type: str = "glm",
            joint: bool = False,
            link_approx: str | None = None,
            n_samples: int = 100,
            diagonal_output: bool = False,
            seed: Any = None,
        ) -> Any: ...

    @overload
    def __init__(
        self: Laplace[ClassPrediction],
        model: Any,
        likelihood: Literal["classification", "binary", "multilabel"],
        subset_of_weights: str = ...,
        hessian_structure: str | None = ...,
        **options: Unpack[LaplaceOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: Laplace[RegressionPrediction],
        model: Any,
        likelihood: Literal["regression"],
        subset_of_weights: str = ...,
        hessian_structure: str | None = ...,
        **options: Unpack[LaplaceOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: Laplace[ObservationPrediction],
        model: Any,
        likelihood: Literal["poisson", "heteroscedastic"],
        subset_of_weights: str = ...,
        hessian_structure: str | None = ...,
        **options: Unpack[LaplaceOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: Laplace[Prediction],
        model: Any,
        likelihood: str | OwnLikelihood,
        subset_of_weights: str = ...,
        hessian_structure: str | None = ...,
        **options: Unpack[LaplaceOptions],
    ) -> None: ...
    def __init__(
        self,
        model: Any,
        likelihood: str | OwnLikelihood,
        subset_of_weights: str = "last_layer",
        hessian_structure: str | None = None,
        *,
        prior_precision: Any = None,
        prior_mean: Any = None,
        sigma_noise: Any = None,
        temperature: float | None = None,
        label_smoothing: float | None = None,
        class_weight: Any = None,
        curvature: str = "ggn",
        draws: int | None = None,
        blocks: str | None = None,
        rank: float | None = None,
        n_subset: int | None = None,
        independent_outputs: bool | None = None,
        nystroem: bool | None = None,
        samples: int | None = None,
        subnetwork_indices: Sequence[int] | Sequence[str] | Mapping[str, Any] | Array | None = None,
        kfac_approx: str = "expand",
        engine: str = "auto",
        precision: str | None = None,
        threads: int | None = None,
        batch_size: int | None = None,
        memory_limit: int | None = None,
        seed: int | None = None,
        architecture: Architecture | None = None,
        activation: str | None = None,
        input: str | None = None,
        output: str | None = None,
        positions: str | None = None,
        class_axis: int | None = None,
        dict_key_x: str | None = None,
        dict_key_y: str = "labels",
        last_layer_name: str | None = None,
        parameters: Tensors | None = None,
        freeze: Tensors | None = None,
        model_name: str | None = None,
        input_size: int | Sequence[int] | None = None,
        dimensions: Mapping[str, int] | None = None,
        external_data: ExternalData | None = None,
        client: Client | None = None,
        progress: ProgressOption = None,
    ) -> None:
        del dict_key_x
        self._connect(client or default_client(), progress)
        self._label_key = dict_key_y
        self.model = model
        structure = self._take_words(likelihood, subset_of_weights, hessian_structure)
        tunes_noise = isinstance(sigma_noise, str) and sigma_noise == "full"
        self._take_prior(prior_precision, prior_mean, None if tunes_noise else sigma_noise, temperature)
        self._options = fit_options(
            likelihood=self.likelihood,
            **as_subset(subset_of_weights, subnetwork_indices),
            structure=structure,
            curvature=curvature,
            draws=draws,
            blocks=blocks,
            rank=rank,
            nSubset=n_subset,
            independentOutputs=independent_outputs,
            nystroem=nystroem,
            samples=samples,
            sigmaNoise="full" if tunes_noise else None,
            labelSmoothing=label_smoothing,
            classWeight=as_class_weight(class_weight),
            # Given, it would be a choice that the linear model over all weights does not have.
            kfacApprox=None if kfac_approx == "expand" else kfac_approx,
            engine=engine,
            precision=precision,
            threads=threads,
            batchSize=batch_size,
            memoryLimit=memory_limit,
            seed=seed,
            input=input,
            output=output,
            positions=positions,
            classAxis=class_axis,
            lastLayerName=last_layer_name,
        )
        self._hints = reading_hints(
            architecture=architecture,
            activation=activation,
            input=input,
            output=output,
            parameters=parameters,
            freeze=freeze,
            model_name=model_name,
            input_size=input_size,
            dimensions=dimensions,
            files=external_files(model, external_data, self._client),
        )
        self._network_params = network_params(model, self._hints)
        self._network_read = False
        self._summary = {}
        self._blob = None

    def _take_words(self, likelihood: str | OwnLikelihood, subset: str, structure: str | None) -> str | None:
        """Keeps the words that `repr` says. Returns the protocol's word for the structure; None: the fit chooses."""
        self._own = None if isinstance(likelihood, str) or not isinstance(likelihood, OwnLikelihood) else likelihood
        self.likelihood = str(likelihood) if self._own is None else "custom"
        self.subset_of_weights = subset
        if structure is None and subset == AUTO:
            self.hessian_structure = AUTO
            return None
        self.hessian_structure = structure or ("full" if subset == "subnetwork" else "kron")
        return as_structure(self.hessian_structure)

    def _take_prior(self, prior_precision: Any, prior_mean: Any, sigma_noise: Any, temperature: Any) -> None:
        """Keeps the hyper-parameters by the names of the protocol, and which of them were given."""
        given = {
            "priorPrecision": None if prior_precision is None else as_numbers(prior_precision, "prior_precision"),
            "priorMean": None if prior_mean is None else as_numbers(prior_mean, "prior_mean"),
            "sigmaNoise": None if sigma_noise is None else as_noise(sigma_noise, "sigma_noise"),
            "temperature": None if temperature is None else as_number(temperature, "temperature"),
        }
        self._given = {key for key, value in given.items() if value is not None}
        self._prior = {key: DEFAULT_PRIOR[key] if value is None else value for key, value in given.items()}

    def __repr__(self) -> str:
        words = (
            f"likelihood={self.likelihood!r}, subset_of_weights={self.subset_of_weights!r}, "
            f"hessian_structure={self.hessian_structure!r}"
        )
        fitted = "not fitted" if self._posterior is None else f"fitted to {self._summary.get('examples')} examples"
        return f"Laplace({words}; {fitted})"

    def __str__(self) -> str:
        return repr(self) if self._posterior is None else self.describe()

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


@checked
def load(
    path: str | os.PathLike[str] | bytes, *, model: Any = None, example: Any = None, client: Client | None = None
) -> Laplace:
    """A saved posterior, from its file or its bytes, whatever language wrote it.

    Args:
        model: the network, where it was saved without (network=False).
        example: some rows as the network takes them, which a torch module that has code of its own is read with.
    """
    data = bytes(path) if isinstance(path, (bytes, bytearray)) else Path(path).read_bytes()
    return Laplace.from_bytes(data, model=model, example=example, client=client)
