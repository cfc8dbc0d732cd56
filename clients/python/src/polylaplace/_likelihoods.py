"""What kinds of likelihoods there are."""

from __future__ import annotations

#: Likelihoods whose targets are numbers; those of the others are classes and labels.
NUMBER_LIKELIHOODS = ("regression", "heteroscedastic", "poisson")
#: Likelihoods that have a linear model, by which 'auto', 'validated' and 'linearized' tune.
LINEAR_LIKELIHOODS = ("classification", "binary", "multilabel", "regression")


#: Likelihoods of which the outputs alone are predicted.
OUTPUT_LIKELIHOODS = ("custom", "reward_modeling")


def has_numbers(likelihood: str) -> bool:
    """Whether predictions have means and variances in place of probabilities."""
    return likelihood in NUMBER_LIKELIHOODS or likelihood in OUTPUT_LIKELIHOODS
