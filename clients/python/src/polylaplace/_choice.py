"""What a fit with no option set chose, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from ._words import snake_case, snake_cased


@dataclass(frozen=True, slots=True)
class LeaveOneOutScore:
    """The leave-one-out NLL of the linear model with its variance multiplied by `scale`."""

    scale: float
    nll: float


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, and how network and linear model make the answer together.

    Classes: p = network_weight p_network + halfway_weight link((f + f_linear) / 2, halfway_scale S) + linear_weight
    link(f_linear, variance_scale S). Regression: the mean is network_weight f + linear_weight f_linear.

    Attributes:
        subset: 'all' or 'last_layer'.
        structure: 'lowrank', or that of the last layer.
        reason: in a few words: why this posterior.
        explanation: in sentences: what the training rows say of the network.
        delta: prior precision; one an output for a regression of several.
        sigma_noise: standard deviation of the noise, one an output; None for classes.
        r: the network's error on its training rows over the linear model's leave-one-out error: NLL of classes, root
            mean square of a regression.
        s: the factor of the variance.
        leave_one_out: leave-one-out NLL for each factor that was tried.
        held_out: what held-out rows said, where there were any: rows, nll (of the answer), network_nll, training_nll
            (of the answer that the training rows alone choose), gain and gain_error (of the best answer found over
            that, with its standard error: it was taken where the gain is larger), temperature and temperature_nll (of
            temperature scaling), noise_nll (regression: of the network with the noise that fits these rows best).
        network_temperature: what the network's logits are divided by in the answer; None: 1.
        rows: how many rows all this comes from.
        further: what a newer server says beside this.
    """

    subset: str
    structure: str
    reason: str
    explanation: str
    delta: tuple[float, ...]
    sigma_noise: tuple[float, ...] | None = None
    r: float | None = None
    s: float | None = None
    link: str = "probit"
    variance_scale: float = 1.0
    network_weight: float = 1.0
    linear_weight: float = 0.0
    network_nll: float | None = None
    leave_one_out_nll: float | None = None
    leave_one_out: tuple[LeaveOneOutScore, ...] = ()
    rows: int = 0
    held_out: Mapping[str, Any] | None = field(default=None, hash=False)
    network_temperature: float | None = None
    halfway_weight: float = 0.0
    halfway_scale: float = 0.0
    further: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @classmethod
    def from_wire(cls, values: Mapping[str, Any]) -> Self:
        """A choice from the server's map."""
        known = {entry.name for entry in fields(cls)} - {"further"}
        given = {snake_case(key): value for key, value in values.items()}
        own = {key: value for key, value in given.items() if key in known}
        own["delta"] = tuple(float(value) for value in own["delta"])
        if own.get("sigma_noise") is not None:
            own["sigma_noise"] = tuple(float(value) for value in own["sigma_noise"])
        own["leave_one_out"] = tuple(
            LeaveOneOutScore(float(score["scale"]), float(score["nll"])) for score in own.get("leave_one_out") or ()
        )
        own["held_out"] = None if own.get("held_out") is None else snake_cased(own["held_out"])
        return cls(**own, further={key: snake_cased(value) for key, value in given.items() if key not in known})

    def __str__(self) -> str:
        return f"{self.reason} {self.explanation}"
