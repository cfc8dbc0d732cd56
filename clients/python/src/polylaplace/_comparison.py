"""Network, temperature scaling and posterior side by side on held-out rows."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from ._words import snake_cased

#: The columns of the table: what is compared, and its heading.
_COLUMNS = (("network", "network"), ("temperature", "temperature scaling"), ("posterior", "posterior"))
#: The rows of the table that are single numbers, in order.
_SCORES = {
    "nll": "NLL",
    "brier": "Brier score",
    "accuracy": "accuracy",
    "ece": "ECE",
    "adaptive_ece": "ECE, bins of equal mass",
    "class_wise_ece": "ECE, class by class",
    "smooth_ece": "ECE, smooth",
    "aurc": "area under risk-coverage",
    "rmse": "RMSE",
    "crps": "CRPS",
    "deviance": "deviance",
    "sharpness": "mean standard deviation",
}
#: Outputs that the table has lines for, and the level of their intervals; `to_dict` has all.
_MOST_OUTPUTS = 10
_OUTPUT_LEVEL = 0.9
#: Whose doubt tells rows that are no data, in the words of the table.
_DOUBTS = {
    "network": "confidence of the network",
    "temperature": "confidence by temperature scaling",
    "posterior": "confidence (or variance) of the posterior",
    "novelty": "novelty",
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Scores of the network, of the network with a temperature, and of the posterior, on the same rows.

    Attributes:
        rows: how many rows were scored.
        network, temperature, posterior: scores by name, as `to_dict` has them; `temperature` is None for numbers
            and for few rows. Of several outputs of numbers `by_output` is a list with the scores of each alone, in its
            own units: where their scales differ, the largest decides the scores over all.
        temperature_from: 'validation' (the held-out rows of the fit), or 'cross-validation': then each tenth of these
            rows is scored with the temperature of the others, so that no row is scored by what it was fitted to.
        temperature_value: the temperature itself, in the second case that of all rows.
        temperature_note: why the temperature is a poor baseline here, where it is at a bound; else None.
        outliers: None where no outliers were given; else `auroc` and `fpr_at_95_tpr` (the share of them that pass where
            95 % of the data pass) by whose doubt tells them: 'network' and 'temperature' (one less the confidence; not
            for numbers), 'posterior' (the same; numbers: their variance) and, where predictions have it, 'novelty'.
    """

    rows: int
    network: Mapping[str, Any]
    posterior: Mapping[str, Any]
    temperature: Mapping[str, Any] | None = None
    temperature_from: str | None = None
    temperature_value: float | None = None
    temperature_note: str | None = None
    outliers: Mapping[str, Mapping[str, float]] | None = None

    @classmethod
    def from_wire(cls, answer: Mapping[str, Any]) -> Self:
        """A comparison from the server's answer."""
        given = snake_cased({key: value for key, value in answer.items() if key != "outliers"})
        reports = answer.get("outliers")
        told = {str(r["of"]): {"auroc": r["auroc"], "fpr_at_95_tpr": r["fprAt95Tpr"]} for r in reports or ()}
        return cls(
            rows=int(given["rows"]),
            network=given["network"],
            posterior=given["posterior"],
            temperature=given.get("temperature"),
            temperature_from=given.get("temperature_from"),
            temperature_value=given.get("temperature_value"),
            temperature_note=given.get("temperature_note"),
            outliers=None if reports is None else told,
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            "rows": self.rows,
            "network": dict(self.network),
            "temperature": None if self.temperature is None else dict(self.temperature),
            "posterior": dict(self.posterior),
            "temperature_from": self.temperature_from,
            "temperature_value": self.temperature_value,
            "temperature_note": self.temperature_note,
            "outliers": None if self.outliers is None else {of: dict(scores) for of, scores in self.outliers.items()},
        }

    def _table(self) -> list[list[str]]:
        """The scores as cells, the heading first."""
        columns = [
            (heading, _flat(scores))
            for name, heading in _COLUMNS
            for scores in [getattr(self, name)]
            if scores is not None
        ]
        labels = dict.fromkeys(label for _, cells in columns for label in cells)
        return [["", *(heading for heading, _ in columns)]] + [
            [label, *(_number(cells.get(label)) for _, cells in columns)] for label in labels
        ]

    def __str__(self) -> str:
        note = [] if self.temperature is None else textwrap.wrap(self._origin(), 100)
        return "\n".join([f"{self.rows} rows", *_aligned(self._table()), *note, *self._told()])

    def _repr_html_(self) -> str:
        heading, *lines = [[html.escape(cell) for cell in line] for line in self._table()]
        rows = "".join(f"<tr><th>{first}</th><td>{'</td><td>'.join(rest)}</td></tr>" for first, *rest in lines)
        return f"<table><thead><tr><th>{'</th><th>'.join(heading)}</th></tr></thead><tbody>{rows}</tbody></table>"

    def _told(self) -> list[str]:
        """The table of rows that are no data, where there were any."""
        if self.outliers is None:
            return []
        lines = [["rows that are no data, told by", "AUROC", "FPR at 95 % TPR"]]
        lines += [
            [_DOUBTS[of], f"{scores['auroc']:.3f}", f"{100 * scores['fpr_at_95_tpr']:.1f} %"]
            for of, scores in self.outliers.items()
        ]
        return _aligned(lines)

    def _origin(self) -> str:
        """Where the temperature comes from."""
        source = (
            "fitted to the held-out rows of the fit."
            if self.temperature_from == "validation"
            else "fitted to these rows; each tenth is scored with the temperature of the others."
        )
        return f"T = {self.temperature_value:.4g}, {source} {self.temperature_note or ''}".strip()


def _aligned(lines: list[list[str]]) -> list[str]:
    """Lines of cells as text: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join([first.ljust(widths[0]), *map(str.rjust, rest, widths[1:])]).rstrip() for first, *rest in lines]


def _flat(scores: Mapping[str, Any]) -> dict[str, float]:
    """Scores by the label of their line; those at several levels have a line each."""
    cells = {label: float(scores[key]) for key, label in _SCORES.items() if scores.get(key) is not None}
    for entry in scores.get("coverage_at_risk") or ():
        cells[f"coverage at {_percent(entry['risk'])} risk"] = float(entry["coverage"])
    for entry in scores.get("intervals") or ():
        cells[f"coverage of {_percent(entry['level'])} intervals"] = float(entry["coverage"])
        cells[f"width of {_percent(entry['level'])} intervals"] = float(entry["width"])
    for output, own in enumerate((scores.get("by_output") or ())[:_MOST_OUTPUTS]):
        shown = {**own, "intervals": [entry for entry in own["intervals"] if entry["level"] == _OUTPUT_LEVEL]}
        cells |= {f"output {output}: {label}": value for label, value in _flat(shown).items()}
    return cells


def _percent(share: float) -> str:
    return f"{100 * share:g} %"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
