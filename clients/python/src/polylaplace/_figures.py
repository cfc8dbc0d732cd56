"""What a report draws of a posterior on rows that it has not seen: numbers, and pictures by matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ._comparison import Comparison
from ._exceptions import OptionError, ResourceError

#: Half the width of a central interval of 90 %, in standard deviations.
_Z90 = 1.6448536269514722


@dataclass(frozen=True, slots=True)
class Figures:
    """The numbers of every picture of a report. Each `plot_*` draws on `ax` (None: a new one) and returns it.

    Attributes:
        comparison: scores of network, temperature scaling and posterior, reliability bins among them.
        others_given: whether rows that are no data were given; else they are the rows, every column shuffled by itself.
        certainty: histograms (`from`, `to`, `shares`) of `data` and `others`: of the confidence of 'network' and
            'posterior' (regression: the predicted standard deviation) and of 'novelty'.
        risk_coverage: `of`, `coverage`, `risk`: errors by the share of rows that are answered; empty for regression.
        residuals: `output`, `residual`, `deviation`; None but for regression.
        prior: `factor` and `log_marginal_likelihood`: the evidence by multiples of the prior precision; or None.
        most_uncertain: rows (from 0) of which the posterior is least sure.
    """

    comparison: Comparison
    others_given: bool
    certainty: Sequence[Mapping[str, Any]]
    risk_coverage: Sequence[Mapping[str, Any]]
    residuals: Mapping[str, Any] | None
    prior: Mapping[str, Any] | None
    most_uncertain: Sequence[Mapping[str, Any]]

    @classmethod
    def from_wire(cls, answer: Mapping[str, Any]) -> Figures:
        """Figures from the server's answer."""
        prior = answer.get("prior")
        return cls(
            comparison=Comparison.from_wire(answer["comparison"]),
            others_given=bool(answer["othersGiven"]),
            certainty=answer["certainty"],
            risk_coverage=answer.get("riskCoverage") or (),
            residuals=answer.get("residuals"),
            prior=prior and {"factor": prior["factor"], "log_marginal_likelihood": prior["logMarginalLikelihood"]},
            most_uncertain=answer["mostUncertain"],
        )

    def plot_reliability(self, ax: Any = None) -> Any:
        """Share of right answers by confidence, classes; coverage by level for regression."""
        ax = _axes(ax)
        ax.plot([0, 1], [0, 1], "--", color="grey", linewidth=1)
        regression = self.residuals is not None
        for of in ("network", "temperature", "posterior"):
            scores = getattr(self.comparison, of)
            if scores is None:
                continue
            if regression:
                points = [(entry["level"], entry["coverage"]) for entry in scores["intervals"]]
            else:
                points = [(entry["confidence"], entry["accuracy"]) for entry in scores["reliability"]]
            ax.plot(*zip(*points, strict=True), marker="o", label=of)
        words = ("level of the intervals", "share of the truth inside") if regression else _RELIABILITY
        return _finished(ax, *words)

    def plot_certainty(self, of: str = "posterior", ax: Any = None) -> Any:
        """Confidence (regression: predicted standard deviation), or novelty, on data and on rows that are none.

        Args:
            of: 'network', 'posterior' or 'novelty', where there is one.

        Raises:
            OptionError: for one that these figures do not have.
        """
        entry = next((entry for entry in self.certainty if entry["of"] == of), None)
        if entry is None:
            there = ", ".join(repr(str(entry["of"])) for entry in self.certainty)
            raise OptionError(f"There is no certainty of {of!r}; there is {there}.", "BAD_OPTION", {"option": "of"})
        ax = _axes(ax)
        for rows in ("data", "others"):
            values, edges = _bins(entry[rows])
            ax.stairs(values, edges, fill=True, alpha=0.5, label=rows)
        certain = "confidence" if self.residuals is None else "predicted standard deviation"
        return _finished(ax, "novelty (p-value)" if of == "novelty" else certain, "share of rows")

    def plot_risk_coverage(self, ax: Any = None) -> Any:
        """Share of wrong answers where the least confident rows are not answered."""
        self._only(regression=False, method="plot_risk_coverage")
        ax = _axes(ax)
        for curve in self.risk_coverage:
            ax.plot(curve["coverage"], curve["risk"], label=curve["of"])
        return _finished(ax, "share of rows answered", "share of wrong answers")

    def plot_residuals(self, ax: Any = None) -> Any:
        """Errors by the standard deviation that was predicted; nine of ten should lie between the lines."""
        residuals = self._only(regression=True, method="plot_residuals")
        ax = _axes(ax)
        ax.plot(residuals["deviation"], residuals["residual"], ".", markersize=3)
        ends = [min(residuals["deviation"]), max(residuals["deviation"])]
        for side in (-1, 1):
            ax.plot(ends, [side * _Z90 * end for end in ends], "--", color="grey", linewidth=1)
        return _finished(ax, "predicted standard deviation", "truth - mean")

    def plot_pit(self, ax: Any = None) -> Any:
        """Where the truth lies in its prediction: even bars are right, a U tells of intervals too narrow."""
        self._only(regression=True, method="plot_pit")
        ax = _axes(ax)
        shares = self.comparison.posterior["pit"]["histogram"]
        ax.stairs(*_bins({"from": 0, "to": 1, "shares": shares}), fill=True, alpha=0.7)
        ax.axhline(1 / len(shares), linestyle="--", color="grey", linewidth=1)
        return _finished(ax, "PIT", "share of rows")

    def plot_prior(self, ax: Any = None) -> Any:
        """The log marginal likelihood by multiples of the prior precision in use.

        Raises:
            OptionError: of posteriors that have no evidence under another prior.
        """
        if self.prior is None:
            raise OptionError("This posterior has no evidence under another prior.", "BAD_COMBINATION")
        ax = _axes(ax)
        ax.semilogx(self.prior["factor"], self.prior["log_marginal_likelihood"])
        ax.axvline(1, linestyle="--", color="grey", linewidth=1)
        return _finished(ax, "multiple of the prior precision", "log marginal likelihood")

    def _only(self, *, regression: bool, method: str) -> Mapping[str, Any]:
        """Refuses a picture of another likelihood."""
        if (self.residuals is not None) != regression:
            other = "plot_reliability or plot_risk_coverage" if regression else "plot_residuals or plot_pit"
            words = "regression" if regression else "classes"
            raise OptionError(f"{method} is for {words}: use {other}.", "BAD_COMBINATION")
        return self.residuals or {}


_RELIABILITY = ("confidence", "share of right answers")


def _bins(histogram: Mapping[str, Any]) -> tuple[list[float], list[float]]:
    """Shares, and one edge more than there are shares."""
    shares = [float(share) for share in histogram["shares"]]
    start, end = float(histogram["from"]), float(histogram["to"])
    return shares, [start + (end - start) * i / len(shares) for i in range(len(shares) + 1)]


def _axes(ax: Any) -> Any:
    if ax is not None:
        if not hasattr(ax, "get_legend_handles_labels"):
            raise OptionError(
                f"ax must be axes of matplotlib; got a {type(ax).__name__}.", "BAD_OPTION", {"option": "ax"}
            )
        return ax
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ResourceError("Pictures need matplotlib: pip install matplotlib", "MISSING_DEPENDENCY") from error
    return pyplot.subplots(layout="constrained")[1]


def _finished(ax: Any, x: str, y: str) -> Any:
    ax.set(xlabel=x, ylabel=y)
    if ax.get_legend_handles_labels()[1]:
        ax.legend(frameon=False)
    return ax
