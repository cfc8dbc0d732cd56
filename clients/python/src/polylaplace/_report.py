"""Reports of a posterior on rows that it has not seen: one HTML page, and its pictures one by one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ._figures import Figures
from ._files import write_whole
from ._intervals import Intervals


class Report(Intervals):
    """The part of `Laplace` that draws."""

    def figures(self, X: Any, y: Any, *, outliers: Any = None, timeout: float | None = None) -> Figures:
        """What a report draws, as numbers that can be plotted.

        Args:
            X, y: rows and labels that neither the network nor the fit has seen.
            outliers: rows that are no data, without labels. None: these rows, every column shuffled by itself.
        """
        params = self._data_and_outliers(X, y, outliers)
        answer = self._call("figures", params, timeout=timeout, progress=self._progress)
        return Figures.from_wire(answer["figures"])

    def report(
        self,
        path: str | os.PathLike[str],
        X: Any,
        y: Any,
        *,
        outliers: Any = None,
        classes: Sequence[Any] | None = None,
        title: str | None = None,
        timeout: float | None = None,
    ) -> Path:
        """Writes one HTML page that loads nothing: what was fitted, scores side by side, pictures, the unsure rows.

        Args:
            path: where the page goes.
            X, y, outliers: as for `figures`.
            classes: names of the classes, in the order of the outputs.
            title: heading of the page.

        Returns:
            The path.
        """
        params = self._data_and_outliers(X, y, outliers)
        if classes is not None:
            params["classes"] = [str(name) for name in classes]
        if title is not None:
            params["title"] = title
        answer = self._call("report", params, timeout=timeout, progress=self._progress)
        write_whole(path, str(answer["html"]).encode())
        return Path(path)

    def plot_reliability(self, X: Any, y: Any, *, ax: Any = None) -> Any:
        """See `Figures.plot_reliability`; where several pictures are wanted, take `figures(X, y)` once."""
        return self.figures(X, y).plot_reliability(ax)

    def plot_certainty(self, X: Any, y: Any, *, of: str = "posterior", outliers: Any = None, ax: Any = None) -> Any:
        """See `Figures.plot_certainty`."""
        return self.figures(X, y, outliers=outliers).plot_certainty(of, ax)

    def plot_risk_coverage(self, X: Any, y: Any, *, ax: Any = None) -> Any:
        """See `Figures.plot_risk_coverage`."""
        return self.figures(X, y).plot_risk_coverage(ax)

    def plot_residuals(self, X: Any, y: Any, *, ax: Any = None) -> Any:
        """See `Figures.plot_residuals`."""
        return self.figures(X, y).plot_residuals(ax)

    def plot_pit(self, X: Any, y: Any, *, ax: Any = None) -> Any:
        """See `Figures.plot_pit`."""
        return self.figures(X, y).plot_pit(ax)

    def plot_prior(self, X: Any, y: Any, *, ax: Any = None) -> Any:
        """See `Figures.plot_prior`."""
        return self.figures(X, y).plot_prior(ax)
