"""The words of the options."""

from __future__ import annotations

from enum import StrEnum

from .._kinds import allow_words


class SubsetOfWeights(StrEnum):
    """Which weights are uncertain."""

    ALL = "all"
    LAST_LAYER = "last_layer"
    SUBNETWORK = "subnetwork"


class HessianStructure(StrEnum):
    """What is kept of the Hessian."""

    FULL = "full"
    KRON = "kron"
    DIAG = "diag"
    LOWRANK = "lowrank"
    GP = "gp"


class FunctionalApproximation(StrEnum):
    """What of a Gaussian process is kept: some rows, or what all rows say in the span of some rows' Jacobians."""

    SOD = "sod"
    NYSTROM = "nystrom"
    VARIATIONAL = "variational"


class Likelihood(StrEnum):
    """What the outputs are."""

    REGRESSION = "regression"
    CLASSIFICATION = "classification"
    REWARD_MODELING = "reward_modeling"


class PredType(StrEnum):
    """What predicts: the linearised network, sampled weights, or the Gaussian process."""

    GLM = "glm"
    NN = "nn"
    GP = "gp"


class LinkApprox(StrEnum):
    """How probabilities follow from the Gaussian over logits."""

    MC = "mc"
    PROBIT = "probit"
    BRIDGE = "bridge"
    BRIDGE_NORM = "bridge_norm"


class TuningMethod(StrEnum):
    """How the prior precision is found."""

    MARGLIK = "marglik"
    GRIDSEARCH = "gridsearch"


class PriorStructure(StrEnum):
    """What shares one prior precision: all weights, those of a tensor, or none."""

    SCALAR = "scalar"
    DIAG = "diag"
    LAYERWISE = "layerwise"


allow_words(SubsetOfWeights, HessianStructure, Likelihood, PredType, LinkApprox, TuningMethod, PriorStructure)
