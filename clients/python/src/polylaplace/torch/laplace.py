# mypy: disable-error-code="import-not-found"
"""The posterior of a subset of the weights with a structure, by words."""

from __future__ import annotations

from typing import Any

from torch import nn

from .._arguments import checked
from .._exceptions import OptionError
from ._base import BaseLaplace
from ._nystroem import ELLA
from .utils.enums import FunctionalApproximation, HessianStructure, Likelihood, SubsetOfWeights

__all__ = ["Laplace"]


@checked
def Laplace(
    model: nn.Module,
    likelihood: Likelihood | str,
    subset_of_weights: SubsetOfWeights | str = SubsetOfWeights.LAST_LAYER,
    hessian_structure: HessianStructure | str = HessianStructure.KRON,
    *args: Any,
    functional_approximation: FunctionalApproximation | str = FunctionalApproximation.SOD,
    **kwargs: Any,
) -> Any:
    """A posterior of a torch module, not fitted yet.

    Args:
        likelihood: 'classification', 'regression' or 'reward_modeling'.
        subset_of_weights: 'last_layer', 'all' or 'subnetwork'.
        hessian_structure: 'kron', 'full', 'diag', 'lowrank' or 'gp'.
        functional_approximation: of 'gp': 'sod', some rows (`FunctionalLaplace`); or 'nystrom', what all rows say in
            the span of some rows' Jacobians (`ELLA`, of all weights).
        args, kwargs: of the class that subset and structure select.

    Raises:
        OptionError: for a word that is not known, or two that do not go together.
    """
    subset, structure = str(subset_of_weights), str(hessian_structure)
    if subset == "subnetwork" and structure not in ("full", "diag"):
        raise OptionError(
            f"subset_of_weights='subnetwork' goes with hessian_structure 'full' or 'diag'; got '{structure}'.",
            "BAD_COMBINATION",
            {"option": "hessian_structure"},
        )
    if str(functional_approximation) != FunctionalApproximation.SOD:
        return _in_a_span(str(functional_approximation), subset, structure)(model, likelihood, *args, **kwargs)
    classes = {cls._key: cls for cls in _subclasses(BaseLaplace) if "_key" in vars(cls)}
    if (subset, structure) not in classes:
        pairs = ", ".join(f"'{a}' with '{b}'" for a, b in sorted(classes))
        raise OptionError(
            f"There is no subset_of_weights='{subset}' with hessian_structure='{structure}'. There are: {pairs}.",
            "BAD_COMBINATION",
            {"option": "hessian_structure"},
        )
    return classes[subset, structure](model, likelihood, *args, **kwargs)


def _in_a_span(approximation: str, subset: str, structure: str) -> Any:
    """The class of a functional approximation that is not of some rows alone."""
    if approximation != FunctionalApproximation.NYSTROM:
        raise OptionError(
            f"functional_approximation must be 'sod' or 'nystrom'; got '{approximation}'. (The 'variational' one of "
            "laplace-torch, VaLLA, is not there: 'nystrom' takes all rows too.)",
            "BAD_OPTION",
            {"option": "functional_approximation"},
        )
    if (subset, structure) == ("all", "gp"):
        return ELLA
    raise OptionError(
        "functional_approximation='nystrom' goes with subset_of_weights='all' and hessian_structure='gp'; got "
        f"'{subset}' and '{structure}'.",
        "BAD_COMBINATION",
        {"option": "functional_approximation"},
    )


def _subclasses(cls: type) -> list[Any]:
    """All classes below a class; the package's own before those that users have derived of them."""
    children: list[Any] = list(reversed(cls.__subclasses__()))
    return [each for child in children for each in (*_subclasses(child), child)]
