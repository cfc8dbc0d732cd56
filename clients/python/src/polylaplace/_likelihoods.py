"""What kinds of likelihoods there are."""

from __future__ import annotations

#: Likelihoods whose targets are numbers; those of the others are classes and labels.
NUMBER_LIKELIHOODS = ("regression", "heteroscedastic", "poisson")
#: Likelihoods that have a linear model, by which 'auto', 'validated' and 'linearized' tune.
LINEAR_LIKELIHOODS = ("classification", "binary", "multilabel", "regression")


def has_numbers(likelihood: str) -> bool:
    """Whether targets are numbers, and predictions have means and variances in place of probabilities."""
    return likelihood in NUMBER_LIKELIHOODS
