"""A posterior in words: what `print` shows."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ._choice import Choice

_WIDTH = 100
#: Tensors that are named before the rest is counted.
_NAMED = 8


def describe(summary: Mapping[str, Any]) -> str:
    """A posterior's summary as text: what it is, what was chosen and why, and how it does on its training rows."""
    choice = summary.get("choice")
    lines = [_posterior(summary), *_parameters(summary.get("parameters")), *_hyper_parameters(summary)]
    lines += [*_evidence(summary), *_training(summary.get("training"))]
    if choice is not None:
        own = Choice.from_wire(choice)
        lines += [_wrapped("What was chosen", own.reason), _wrapped("Why", own.explanation)]
    calibration = summary.get("conformal")
    if calibration is not None:
        rows = "rows held out" if calibration["kind"] == "split" else "training rows, each predicted without itself"
        lines.append(f"Intervals and sets are calibrated by {calibration['rows']} {rows}")
    # Notes that begin with 'Warning: ' say so themselves.
    lines += [_wrapped("Note" if not str(note).startswith("Warning: ") else "", note) for note in summary["notes"]]
    return "\n".join(lines)


def _posterior(summary: Mapping[str, Any]) -> str:
    subset = {"all": "all weights", "last_layer": "the last layer"}.get(str(summary["subset"]), "some weights")
    return (
        f"Laplace posterior ({summary['likelihood']}) over {subset} ({summary['parameterCount']} parameters), "
        f"structure {summary['structure']}, fitted to {summary['examples']} rows"
    )


def _parameters(parameters: Sequence[Mapping[str, Any]] | None) -> list[str]:
    """The tensors that the posterior is over, with their shapes."""
    if not parameters:
        return []
    named = [f"{each['name']} ({' x '.join(map(str, each['shape'])) or 'a number'})" for each in parameters[:_NAMED]]
    more = f" and {len(parameters) - _NAMED} more" if len(parameters) > _NAMED else ""
    return [_wrapped("Parameters", ", ".join(named) + more)]


def _hyper_parameters(summary: Mapping[str, Any]) -> list[str]:
    tuned = "given" if summary["tuned"] == "none" else f"tuned by '{summary['tuned']}'"
    lines = [f"Prior precision: {_numbers(summary['priorPrecision'])} ({tuned})"]
    if summary["likelihood"] == "regression":
        noise = np.asarray(summary["sigmaNoise"], dtype=np.float64)
        what = "Covariance (rows)" if noise.ndim == 2 else "Standard deviation"
        lines.append(f"{what} of the noise: {_numbers(noise)}")
    return lines


def _evidence(summary: Mapping[str, Any]) -> list[str]:
    lines = [f"Log marginal likelihood at the network's weights: {summary['logMarginalLikelihood']:.6g}"]
    at_mode = summary.get("logEvidenceAtMode")
    return lines if at_mode is None else [*lines, f"Log evidence at the linear model's own mode: {at_mode:.6g}"]


def _training(training: Mapping[str, Any] | None) -> list[str]:
    if training is None:
        return []
    lines = [f"On the {training['rows']} training rows"]
    for name in ("network", "posterior"):
        scores = training.get(name)
        if scores is not None:
            lines.append(f"  {name}: {_scores(scores)}")
    left_out = training.get("leaveOneOutNll")
    return lines if left_out is None else [*lines, f"  each predicted without itself: NLL {left_out:.4g}"]


def _scores(scores: Mapping[str, Any]) -> str:
    names = {"nll": "NLL", "rmse": "RMSE"}
    words = [f"{names.get(key, key)} {value:.4g}" for key, value in scores.items() if isinstance(value, (int, float))]
    own = scores.get("rmseByOutput")
    return ", ".join(words if own is None else [*words, f"RMSE of each output {_numbers(own)}"])


def _numbers(value: Any) -> str:
    numbers = np.asarray(value, dtype=np.float64).ravel()
    words = [f"{number:.4g}" for number in numbers[:6]]
    return ", ".join(words) + (f", ... ({numbers.size} in all)" if numbers.size > len(words) else "")


def _wrapped(heading: str, text: Any) -> str:
    sentence = f"{heading}: {text}" if heading else str(text)
    return "\n".join(textwrap.wrap(sentence, _WIDTH, subsequent_indent="  "))
