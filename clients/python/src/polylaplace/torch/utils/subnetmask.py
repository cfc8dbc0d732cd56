# mypy: disable-error-code="import-not-found"
"""Which parameters are a subnetwork."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ..._arguments import CheckedArguments
from ..._exceptions import OptionError
from .._kinds import Count, as_vector, demand_positive
from .enums import Likelihood
from .feature_extractor import FeatureExtractor
from .swag import fit_diagonal_swag_var

__all__ = [
    "LargestMagnitudeSubnetMask",
    "LargestVarianceDiagLaplaceSubnetMask",
    "LargestVarianceSWAGSubnetMask",
    "LastLayerSubnetMask",
    "ModuleNameSubnetMask",
    "ParamNameSubnetMask",
    "RandomSubnetMask",
    "ScoreBasedSubnetMask",
    "SubnetMask",
]

_WHOLE = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


class SubnetMask(CheckedArguments):
    """A choice of parameters: a subclass says which by `get_subnet_mask`, `select` makes it, `indices` has it.

    Counted are those that are trained (requires_grad), as a posterior counts them.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.parameter_vector = as_vector(_trained(model)).detach()
        self._n_params = len(self.parameter_vector)
        self._indices: Tensor | None = None

    @property
    def _device(self) -> Any:
        return self.parameter_vector.device

    @property
    def indices(self) -> Tensor:
        """The flat indices of the chosen parameters, ascending.

        Raises:
            AttributeError: before `select`.
        """
        if self._indices is None:
            raise AttributeError("No subnetwork has been selected yet: call select first.")
        return self._indices

    @property
    def n_params_subnet(self) -> int:
        """The number of chosen parameters."""
        return len(self.indices)

    def convert_subnet_mask_to_indices(self, subnet_mask: Tensor) -> Tensor:
        """The flat indices where a mask (P,) of zeros and ones is one.

        Raises:
            OptionError: for anything that is no such mask.
        """
        if not isinstance(subnet_mask, Tensor) or subnet_mask.dtype not in _WHOLE:
            kind = getattr(subnet_mask, "dtype", type(subnet_mask).__name__)
            raise OptionError(f"A subnetwork's mask must be a tensor of booleans or whole numbers; got {kind}.")
        if subnet_mask.shape != (self._n_params,) or not ((subnet_mask == 0) | (subnet_mask == 1)).all():
            raise OptionError(
                f"A subnetwork's mask has a 0 or a 1 for each of the {self._n_params} parameters, in the order of "
                f"parameters_to_vector(model.parameters()); got shape {tuple(subnet_mask.shape)}."
            )
        return subnet_mask.nonzero(as_tuple=True)[0]

    def select(self, train_loader: DataLoader | None = None) -> Tensor:
        """Chooses the parameters, once.

        Raises:
            OptionError: the second time.
        """
        if self._indices is not None:
            raise OptionError("This mask has been selected already: make another one.")
        self._indices = self.convert_subnet_mask_to_indices(self.get_subnet_mask(train_loader))
        return self._indices

    def get_subnet_mask(self, train_loader: DataLoader | None) -> Tensor:
        """A mask (P,) of zeros and ones; subclasses have it."""
        raise NotImplementedError


class ScoreBasedSubnetMask(SubnetMask):
    """The parameters with the largest scores.

    Raises:
        OptionError: when their number is missing, or larger than that of all.
    """

    def __init__(self, model: nn.Module, n_params_subnet: Count) -> None:
        super().__init__(model)
        if n_params_subnet > self._n_params:
            raise OptionError(f"n_params_subnet must be a number from 1 to {self._n_params}; got {n_params_subnet}.")
        self._count = n_params_subnet
        self._param_scores: Tensor | None = None

    @property
    def n_params_subnet(self) -> int:
        """The number of chosen parameters."""
        return self._count

    def compute_param_scores(self, train_loader: DataLoader | None) -> Tensor:
        """A score for each parameter, (P,); subclasses have it."""
        raise NotImplementedError

    def get_subnet_mask(self, train_loader: DataLoader | None) -> Tensor:
        """The mask of the largest scores."""
        if self._param_scores is None:
            self._param_scores = self.compute_param_scores(train_loader)
        if self._param_scores.shape != self.parameter_vector.shape:
            raise OptionError(
                f"There must be a score for each of {self._n_params} parameters; got {tuple(self._param_scores.shape)}."
            )
        return _largest(self._param_scores, self._count)


class RandomSubnetMask(ScoreBasedSubnetMask):
    """Parameters by chance (`torch.manual_seed` repeats it)."""

    def compute_param_scores(self, train_loader: DataLoader | None) -> Tensor:
        """Random numbers."""
        del train_loader
        return torch.rand_like(self.parameter_vector)


class LargestMagnitudeSubnetMask(ScoreBasedSubnetMask):
    """The parameters of the largest absolute value."""

    def compute_param_scores(self, train_loader: DataLoader | None) -> Tensor:
        """Absolute values."""
        del train_loader
        return self.parameter_vector.abs()


class LargestVarianceDiagLaplaceSubnetMask(ScoreBasedSubnetMask):
    """The parameters of the largest marginal variance in a diagonal posterior, which `select` fits."""

    def __init__(self, model: nn.Module, n_params_subnet: Count, diag_laplace_model: Any) -> None:
        super().__init__(model, n_params_subnet)
        if not all(hasattr(diag_laplace_model, name) for name in ("fit", "posterior_variance")):
            raise OptionError(
                f"diag_laplace_model must be a DiagLaplace; got {type(diag_laplace_model).__name__}.",
                data={"option": "diag_laplace_model"},
            )
        self.diag_laplace_model = diag_laplace_model

    def compute_param_scores(self, train_loader: DataLoader | None) -> Tensor:
        """Variances of the fitted posterior."""
        self.diag_laplace_model.fit(_needed(train_loader))
        return self.diag_laplace_model.posterior_variance


class LargestVarianceSWAGSubnetMask(ScoreBasedSubnetMask):
    """The parameters that vary most along a run of SGD from the network's weights."""

    def __init__(
        self,
        model: nn.Module,
        n_params_subnet: Count,
        likelihood: Likelihood | str = Likelihood.CLASSIFICATION,
        swag_n_snapshots: Count = 40,
        swag_snapshot_freq: Count = 1,
        swag_lr: float = 0.01,
    ) -> None:
        if likelihood not in (Likelihood.CLASSIFICATION, Likelihood.REGRESSION):
            raise OptionError(f"SWAG is there for 'classification' and 'regression'; got {likelihood!r}.")
        super().__init__(model, n_params_subnet)
        self.likelihood = likelihood
        self.swag_n_snapshots = swag_n_snapshots
        self.swag_snapshot_freq = swag_snapshot_freq
        self.swag_lr = demand_positive(swag_lr, "swag_lr")

    def compute_param_scores(self, train_loader: DataLoader | None) -> Tensor:
        """Variances over snapshots."""
        classes = self.likelihood == Likelihood.CLASSIFICATION
        variances = fit_diagonal_swag_var(
            self.model,
            _needed(train_loader),
            nn.CrossEntropyLoss() if classes else nn.MSELoss(),
            n_snapshots_total=self.swag_n_snapshots,
            snapshot_freq=self.swag_snapshot_freq,
            lr=self.swag_lr,
        )
        parameters = list(self.model.parameters())
        parts = variances.split([each.numel() for each in parameters])
        return torch.cat([part for part, each in zip(parts, parameters, strict=True) if each.requires_grad])


class ParamNameSubnetMask(SubnetMask):
    """The parameters of some names."""

    def __init__(self, model: nn.Module, parameter_names: Sequence[str]) -> None:
        super().__init__(model)
        self._parameter_names = list(parameter_names)

    def get_subnet_mask(self, train_loader: DataLoader | None) -> Tensor:
        """The mask of these parameters.

        Raises:
            OptionError: when there are no names, or one that the network does not have.
        """
        del train_loader
        parameters = dict(self.model.named_parameters(remove_duplicate=False))
        return _mask_of(
            self.model, {name: parameters[name] for name in _known(self._parameter_names, parameters, "parameter")}
        )


class ModuleNameSubnetMask(SubnetMask):
    """The parameters of modules of some names."""

    def __init__(self, model: nn.Module, module_names: Sequence[str]) -> None:
        super().__init__(model)
        self._module_names = list(module_names)

    def get_subnet_mask(self, train_loader: DataLoader | None) -> Tensor:
        """The mask of these modules' parameters.

        Raises:
            OptionError: when there are no names, one that the network does not have, or one of a module that has
                children or no parameters.
        """
        del train_loader
        modules = dict(self.model.named_modules())
        chosen: dict[str, Tensor] = {}
        for name in _known(self._module_names, modules, "module"):
            own = {f"{name}.{each}".lstrip("."): value for each, value in modules[name].named_parameters()}
            if list(modules[name].children()) or not own:
                has = "children" if own else "no parameters"
                raise OptionError(f"The module {name!r} has {has}: name a layer with parameters of its own.")
            chosen |= own
        return _mask_of(self.model, chosen)


class LastLayerSubnetMask(ModuleNameSubnetMask):
    """The parameters of the last layer."""

    def __init__(self, model: nn.Module, last_layer_name: str | None = None) -> None:
        super().__init__(model, [])
        self._feature_extractor = FeatureExtractor(model, last_layer_name=last_layer_name)

    def get_subnet_mask(self, train_loader: DataLoader | None) -> Tensor:
        """The mask of the last layer's parameters."""
        loader = _needed(train_loader)
        self._feature_extractor.eval()
        if self._feature_extractor.last_layer is None:
            with torch.no_grad():
                self._feature_extractor.find_last_layer(next(iter(loader))[0][:1].to(self._device))
        self._module_names = [str(self._feature_extractor._last_layer_name)]
        return super().get_subnet_mask(loader)


#: Scores of which the largest are looked for at once.
_SCORES_AT_ONCE = 2**18


def _largest(scores: Tensor, count: int) -> Tensor:
    """The mask (P,) of so many largest scores; of equal ones the first, and NaN before all, as a stable sort has it."""
    # Sorting all of them would take far longer than the few that are wanted.
    parts = scores.split(max(_SCORES_AT_ONCE, 4 * count))
    best = torch.cat([part.topk(min(count, len(part))).values for part in parts])
    least = best.topk(count).values[-1]
    missing = scores.isnan()
    if least.isnan():
        mask, equal = torch.zeros_like(missing), missing
    else:
        mask, equal = (scores > least) | missing, scores == least
    first = equal.nonzero()[:, 0]
    mask[first[: count - int(mask.sum())]] = True
    return mask


def _needed(train_loader: DataLoader | None) -> DataLoader:
    if train_loader is None:
        raise OptionError("This subnetwork is selected by training data: select(train_loader).")
    return train_loader


def _known(names: list[str], there: dict[str, Any], what: str) -> list[str]:
    """The names, all of which the network must have."""
    unknown = [name for name in names if name not in there]
    if unknown or not names:
        raise OptionError(f"The network has no {what} {', '.join(unknown)}." if unknown else f"Name a {what} at least.")
    return names


def _mask_of(model: nn.Module, chosen: dict[str, Tensor]) -> Tensor:
    """The mask (P,) of some parameters, given by name.

    Raises:
        OptionError: when one of them is frozen.
    """
    frozen = [name for name, parameter in chosen.items() if not parameter.requires_grad]
    if frozen:
        raise OptionError(
            f"{', '.join(map(repr, frozen))} is not trained (requires_grad=False), and so not uncertain: name others, "
            "or set requires_grad."
        )
    # By identity: a tensor that two modules share has one place.
    wanted = {id(parameter) for parameter in chosen.values()}
    parts = [
        torch.full((parameter.numel(),), id(parameter) in wanted, dtype=torch.bool, device=parameter.device)
        for parameter in _trained(model)
    ]
    return torch.cat(parts)


def _trained(model: nn.Module) -> list[Tensor]:
    """The parameters that are trained."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]
