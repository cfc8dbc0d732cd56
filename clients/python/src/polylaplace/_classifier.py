"""`LaplaceClassifier`: a scikit-learn classifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ._data import Array, to_array
from ._estimator_base import LaplaceEstimator, row_weights, validated, with_parameters_of
from ._examples import is_mapping, to_examples
from ._exceptions import DataError, OptionError, StateError
from ._held_out import HeldOut
from ._labels import class_numbers, classes_of, distinct
from ._scikit_learn import (
    ClassifierMixin,
    MLPClassifier,
    check_classification_targets,
    check_is_fitted,
    check_random_state,
    column_or_1d,
)


class LaplaceClassifier(ClassifierMixin, LaplaceEstimator):  # type: ignore[misc]
    """A neural network classifier with calibrated probabilities.

    Args:
        model: a fitted network (path, bytes, torch module, scikit-learn MLP, skorch net), or an unfitted MLPClassifier,
            which `fit` clones and trains first. None: an MLPClassifier with its defaults.
        subset_of_weights: 'auto' (all weights by their linear model where it is small enough, else the last layer; the
            result says which and why), 'last_layer' or 'all'.
        hessian_structure: as in `Laplace`. None: chosen.
        curvature: as in `Laplace`.
        prior_precision: a number switches tuning off; None: tuned.
        tune: 'auto' (what the training rows say without held-out ones; 'validated' where there are held-out rows),
            'validated' (prior, mean and link together by held-out rows), 'linearized', 'marglik', 'grid' (by held-out
            rows) or 'none'. None: 'auto'.
        prior_structure: 'scalar', 'layerwise' or 'diag'.
        class_weight: how much each class counts: 'balanced' (n / (K n_c)), a mapping from labels (1 for those that are
            left out), or one number a class. An unfitted network is trained with it. The prior is then tuned by
            'marglik', or 'grid' with held-out rows.
        label_smoothing: the share of label smoothing that the network was trained with; the posterior's loss and
            evidence are those of the smoothed labels.
        random_state: of the training of an unfitted model, and of the rows that are held out from it.
        validation_fraction: the share of the rows of `fit` that is held out, for 'validated'. An unfitted model is
            trained without them; a fitted one must not have seen them.
        calibrate: 'temperature': temperature scaling on the held-out rows instead, as a baseline.

    Attributes:
        classes_: labels in the order of the columns of `predict_proba`.
        choice_: what was chosen and why (`polylaplace.Choice`); `print(model)` says it in words.
        laplace_: the `Laplace` posterior.
        network_: the network in use.

    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LaplaceClassifier(MLPClassifier((10,), solver="lbfgs", max_iter=500, random_state=0)).fit(X, y)
    >>> model.predict_proba(X[:2]).shape
    (2, 3)
    >>> model.choice_.subset, model.choice_.structure
    ('all', 'lowrank')
    >>> bool(model.novelty(100 * X[:1])[0] < 0.05)
    True
    """

    @with_parameters_of(LaplaceEstimator.__init__)
    def __init__(
        self, model: Any = None, *, class_weight: Any = None, label_smoothing: float = 0.0, **options: Any
    ) -> None:
        super().__init__(model, **options)
        self.class_weight = class_weight
        self.label_smoothing = label_smoothing

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None
    ) -> LaplaceClassifier:
        """Fits the posterior (and an unfitted network before) to X (n, ...) and labels y (n,).

        Args:
            sample_weight: how often each row counts, (n,): 2 is the row twice, 0 no row; whole numbers, unless prior
                precision or tune ('marglik', 'grid') are given. An unfitted network is trained with it.
            X_val, y_val: held-out rows, which neither the network nor this fit has seen; the prior is then tuned by
                them ('validated').

        Raises:
            DataError: for labels that are not one a row, or of one class where the network is still to be trained.
            LaplaceError: as `Laplace.fit`.
        """
        source = X
        shape = np.asarray(y).shape
        if len(shape) == 2 and shape[1] > 1:
            raise DataError(
                f"LaplaceClassifier takes one label a row; y has shape {shape}. For several yes-or-no labels "
                'use Laplace(model, "multilabel").fit(X, y); for one-hot rows give y.argmax(axis=1).',
                "BAD_LABELS",
            )
        if is_mapping(X):
            X, y = to_examples(X, "X"), column_or_1d(y)
        else:
            X, y = validated(self, X, y, dtype=[np.float64, np.float32], allow_nd=True)
        found = distinct(y, "y")
        check_classification_targets(y)
        if len(found) < 2 and self._trains():
            raise DataError(f"A classifier needs at least two classes; y has one class: {found[0]}.", "BAD_LABELS")
        held = self._held_out(X_val, y_val)
        weight = row_weights(sample_weight, len(y))
        training = self._training_weights(y, weight)
        network, X, y, held, weight = self._network(MLPClassifier, X, y, held, source, y, weight, training)
        la = self._posterior_of(network, "classification", label_smoothing=self.label_smoothing or None)
        outputs = _outputs_of_mlp(network) or la.count_outputs(self._named(X))
        self.classes_ = classes_of(y, network, outputs)
        la.use_likelihood("binary" if outputs == 1 else "classification")
        if self.classes_.tolist() != list(range(len(self.classes_))):
            la.name_classes(self.classes_.tolist())
        self._binary = outputs == 1
        la.use_class_weight(self._weights_of_classes())
        if held.rows is not None:
            held = HeldOut(rows=(self._checked(held.rows[0]), self._targets(held.rows[1], "y_val")))
        whose = "the network was not trained on" if hasattr(network, "classes_") else "are not classes of the fit"
        self._fit_laplace(la, network, X, self._targets(y, "y", whose), held, weight)
        return self

    def _training_weights(self, y: Array, weight: Array | None) -> Array | None:
        """How often each row counts for the training of a network that is not trained yet; None as `weight` says."""
        if self.class_weight is None or not self._trains():
            return None
        found, places = np.unique(y, return_inverse=True)
        weights = _numbers_of(self.class_weight, found, np.bincount(places))[places]
        return weights if weight is None else weights * weight

    def _weights_of_classes(self) -> Any:
        """Those of all classes, in the order of the outputs."""
        if self.class_weight is None or isinstance(self.class_weight, str):
            return self.class_weight
        return _numbers_of(self.class_weight, self.classes_, None)

    def _targets(self, y: Any, name: str, whose: str = "are not classes of the fit") -> Array:
        """Class numbers in the order of the network's outputs; for one logit a column of 0 and 1."""
        numbers = class_numbers(y, self.classes_, name, whose)
        return numbers.reshape(-1, 1) if self._binary else numbers

    def predict_proba(self, X: Any) -> Array:
        """Calibrated probabilities, (n, n_classes), in the order of `classes_`.

        Raises:
            StateError: before `fit`.
            DataError, ShapeError: for rows that are not as those of the fit.
        """
        probabilities = self._predict_all(X, uncertainty=False).probabilities
        if probabilities is None:
            raise StateError("The posterior gives no probabilities.", "NOT_FITTED")
        return np.column_stack([1 - probabilities[:, 0], probabilities[:, 0]]) if self._binary else probabilities

    def predict_sets(self, X: Any, alpha: float = 0.1) -> Array:
        """Sets of classes that hold the right one with probability 1 - alpha, (n, n_classes) of booleans.

        Raises:
            OptionError: before `conformalize`.
        """
        return self._posterior().predict_sets(self._checked(X), alpha)

    def predict(self, X: Any) -> Array:
        """The most probable class of each row, (n,), as `classes_` has it; errors as of `predict_proba`."""
        probabilities = self.predict_proba(X)
        labels: Array = self.classes_[np.argmax(probabilities, axis=1)]
        return labels

    def sample_y(self, X: Any, n_samples: int = 1, random_state: Any = 0) -> Array:
        """Draws of labels, (n, n_samples): a class drawn from the probabilities of a drawn network."""
        check_is_fitted(self, "laplace_")
        random = check_random_state(random_state)
        draws = self.laplace_.predictive_samples(self._checked(X), n_samples, seed=random)
        if self._binary:
            draws = np.concatenate([1 - draws, draws], axis=2)
        uniform = random.random_sample(draws.shape[:2])[..., np.newaxis]
        labels: Array = self.classes_[
            np.minimum((draws.cumsum(axis=2) < uniform).sum(axis=2), len(self.classes_) - 1)
        ].T
        return labels


def _numbers_of(class_weight: Any, classes: Array, counts: Array | None) -> Array:
    """One weight a class.

    Args:
        counts: rows of each class, for 'balanced'.
    """
    if isinstance(class_weight, Mapping):
        unknown = [label for label in class_weight if label not in classes.tolist()]
        if unknown:
            raise OptionError(
                f"class_weight names {unknown!r}, which is no class; the classes are {classes.tolist()!r}.",
                "BAD_OPTION",
                {"option": "class_weight"},
            )
        return np.array([float(class_weight.get(label, 1.0)) for label in classes.tolist()])
    if isinstance(class_weight, str):
        if class_weight != "balanced" or counts is None:
            raise OptionError(
                f"class_weight must be 'balanced', a mapping or one number a class; got {class_weight!r}.",
                "BAD_OPTION",
                {"option": "class_weight", "value": class_weight},
            )
        return np.asarray(counts.sum() / (len(counts) * counts))
    return np.asarray(to_array(class_weight, "class_weight"), dtype=np.float64).ravel()


def _outputs_of_mlp(network: Any) -> int | None:
    """The number of outputs of a scikit-learn MLP, which need not be asked for; None for other networks."""
    if not hasattr(network, "out_activation_") or not hasattr(network, "coefs_"):
        return None
    return int(network.coefs_[-1].shape[1])
