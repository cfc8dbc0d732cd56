"""Fitting: to arrays, to batches, to parts of the data on different machines."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np

from ._batching import exceeds_one_message, row_batches, slices
from ._data import Array, batches, is_array_like, masked, to_array
from ._examples import Examples, to_examples
from ._exceptions import DataError, InternalError, OptionError
from ._forecast import Forecast, forecast_of
from ._partial import Partial, merge, partial_of
from ._posterior_state import ONE_MESSAGE, PosteriorState
from ._progress import ProgressOption
from ._remote import Remote, create
from ._weights import WeightsInTurn, as_weights

#: Options of an object that hold for a tuned fit too, which brings the others itself.
_KEPT_OPTIONS = (
    "engine",
    "precision",
    "threads",
    "batchSize",
    "memoryLimit",
    "seed",
    "input",
    "output",
    "lastLayerName",
    "kfacApprox",
    "positions",
    "classAxis",
    "labelSmoothing",
    "classWeight",
)


#: Partial fits of batches that are added in one call.
_MERGED_AT_ONCE = 16


class Fitting(PosteriorState):
    """Ways to fit a posterior."""

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        sample_weight: Any = None,
        mask: Any = None,
        override: bool = True,
        progress_bar: bool | None = None,
        timeout: float | None = None,
    ) -> Self:
        """Fits the posterior to data.

        Args:
            X: rows of examples (n, ...); or an iterable of (x, y) batches such as a DataLoader, and then no y.
            y: class numbers (n,), 0/1 labels (n, C), or targets (n,) or (n, C); of a network that answers at several
                positions of an example one label a position, (n, positions), where -100 (targets: NaN) leaves one out.
            sample_weight: how often each row counts, (n,): 2 is the row twice, 0 no row; of batches
                those of all rows, one after another. Where the fit chooses the posterior (subset 'auto') whole numbers.
            mask: which positions of y count, (n, positions); the others are left out.
            override: False adds the data to those of the earlier fit, under its prior (structures 'kron', 'full' and
                'diag' whose prior is given, or tuned by 'marglik' or 'gridsearch'); `forget` takes rows away again.
            progress_bar: True for a bar, if tqdm is installed.
            timeout: seconds.

        Raises:
            LaplaceError: the posterior of an earlier fit is then untouched.
        """
        if mask is not None:
            y = masked(y, mask, self.likelihood)
        if not override and self._posterior is not None:
            return self._changed("addRows", X, y, sample_weight, timeout)
        progress = self._progress if progress_bar is None else progress_bar
        self._adopt(*self._fitted_to(X, y, timeout, progress, sample_weight))
        self._training = _readable_again(X, y, sample_weight)
        return self

    def forget(self, X: Any, y: Any = None, *, sample_weight: Any = None, timeout: float | None = None) -> Self:
        """Takes rows of the fit away again (unlearning): the posterior of the others, under the same prior.

        Their part of the sums is subtracted; what the network has learnt from them stays in its weights.

        Args:
            X, y, sample_weight: the rows as they were given to `fit`.

        Raises:
            DataError: where the sums show that the rows were not among them.
            OptionError: for posteriors that are no sums, or whose prior comes from their rows ('auto', 'linearized').
        """
        return self._changed("forget", X, y, sample_weight, timeout)

    def _changed(self, method: str, X: Any, y: Any, weight: Any, timeout: float | None) -> Self:
        """Adopts the posterior of more rows, or of fewer, when all batches went well."""
        parts = batches(X, self._label_key) if y is None and not is_array_like(X) else [(X, y)]
        take = WeightsInTurn(weight)
        handle, made = self._handle(), None
        for x, labels in parts:
            data = self._data(x, labels)
            data.update(take.next(len(data["y"])))
            made = self._made(method, {"posterior": handle, **data}, timeout=timeout, progress=self._progress)
            handle = made[0].handle()
        if made is None:
            raise _no_batches()
        take.end()
        self._adopt(*made)
        self._training = None
        return self

    def forecast(
        self,
        rows: Any,
        *,
        batch: int | None = None,
        predict: int | None = None,
        samples: int | None = None,
    ) -> Forecast:
        """What a fit to so many rows will take, its predictions and its file: bytes and seconds. Nothing is computed.

        Args:
            rows: how many rows; or the rows themselves, (n, ...), which networks that are traced need.
            batch: rows that are given at a time, where they come in batches.
            predict: rows of one prediction, by default as many as are fitted, 1,000 at most.
            samples: draws of the outputs of these rows.

        Raises:
            ResourceError: one example alone is beyond `memory_limit`.

        >>> import numpy as np
        >>> from polylaplace import Laplace
        >>> la = Laplace({"0.weight": np.eye(2), "0.bias": np.zeros(2)}, "classification")
        >>> la.forecast(50_000).seconds < 60
        True
        """
        example = to_examples(rows, "rows") if is_array_like(rows) else None
        counts = {
            "rows": len(rows) if example is not None else rows,
            "batch": batch,
            "predict": predict,
            "samples": samples,
        }
        given = {name: _as_count(value, name) for name, value in counts.items() if name == "rows" or value is not None}
        params = {**self._network_for(example), "options": self._fit_options(), **given}
        return forecast_of(self._client.call("forecast", params))

    def _fitted_to(
        self, X: Any, y: Any, timeout: float | None, progress: ProgressOption, weight: Any = None
    ) -> tuple[Remote, dict[str, Any]]:
        """A posterior of the data, in as many messages as they need."""
        if y is None and not is_array_like(X):
            return self._fit_stream(X, timeout, progress, weight)
        data = self._data(X, y)
        if exceeds_one_message(data["x"], data["y"]):
            labels = data["y"] if self._own is None else to_array(y, "y")
            return self._fit_stream(slices(data["x"], labels), timeout, progress, weight)
        data.update(as_weights(weight, len(data["y"])))
        params = {**self._network_for(data["x"], data["y"].nbytes), "options": self._fit_options(), **data}
        return self._made("fit", params, timeout=timeout, progress=progress)

    def _fit_stream(
        self, loader: Iterable[Any], timeout: float | None, progress: ProgressOption, weight: Any = None
    ) -> tuple[Remote, dict[str, Any]]:
        """A posterior of (x, y) batches, one message each."""
        fit: Remote | None = None
        take = WeightsInTurn(weight)
        for x, y in batches(loader, self._label_key):
            data = self._data(x, y, ("x", "y"))
            data.update(take.next(len(data["y"])))
            if fit is None:
                fit, _ = create(
                    self._client, "fitBegin", {**self._network_for(data["x"]), "options": self._fit_options()}
                )
            self._client.call("fitBatch", {"fit": fit.handle(), **data}, timeout=timeout)
        if fit is None:
            raise _no_batches()
        take.end()
        return self._made("fitEnd", {"fit": fit.handle()}, timeout=timeout, progress=progress)

    def tuned_fit(
        self,
        X: Any,
        y: Any,
        options: Mapping[str, Any],
        validation: tuple[Any, Any] | float | None = None,
        sample_weight: Any = None,
    ) -> Self:
        """Fits with the server's own options, which tune the prior by default. The estimators' way of fitting.

        Args:
            validation: held-out rows and their labels, or the share of the rows that is to be held out of this fit. A
                network that has seen them in training makes that share useless.
        """
        data: dict[str, Any] = {}
        data.update(self._data(X, y))
        data.update(as_weights(sample_weight, len(data["y"])))
        if isinstance(validation, tuple):
            data["validation"] = self._data(*validation, names=("X_val", "y_val"))
        elif validation is not None:
            data["validation"] = validation
        keep = {key: self._options[key] for key in _KEPT_OPTIONS if key in self._options}
        params: dict[str, Any] = {**self._network_for(data["x"], data["y"].nbytes), "options": {**keep, **options}}
        params.update(data)
        self._adopt(*self._made("fit", params, progress=self._progress))
        self._training = _readable_again(X, y)
        return self

    def use_likelihood(self, likelihood: str) -> None:
        """The likelihood of fits to come."""
        self.likelihood = self._options["likelihood"] = likelihood

    def use_class_weight(self, class_weight: Any) -> None:
        """How much each class counts in fits to come."""
        if class_weight is not None:
            self._options["classWeight"] = class_weight

    def name_classes(self, names: Sequence[Any]) -> None:
        """The classes that the outputs stand for, for notes that count them from 0."""
        self._class_names = [str(name) for name in names]

    def count_outputs(self, X: Any) -> int:
        """The number of outputs of the network, which is run for the first row of X (n, ...)."""
        rows = self._examples(X)
        if "model" not in (network := self._network_for(rows, ONE_MESSAGE)):
            raise InternalError("The network was not read on its own.", "INTERNAL")
        wanted = {key: self._options[key] for key in ("input", "output", "engine") if key in self._options}
        answer = self._client.call("forward", {**network, "x": rows[:1], "options": wanted})
        return int(answer["outputs"].shape[1])

    def _outputs_of(self, x: Examples) -> Array:
        network = self._network_for(x, ONE_MESSAGE)
        wanted = {
            key: self._options[key]
            for key in ("likelihood", "input", "output", "engine", "positions")
            if key in self._options
        }
        answers = [
            self._client.call("forward", {**network, "x": rows, "options": wanted})["outputs"]
            for rows in row_batches(x)
        ]
        return np.asarray(np.concatenate(answers), dtype=np.float64)

    def fit_partial(
        self, X: Any, y: Any = None, *, sample_weight: Any = None, mask: Any = None, chunk: str | None = None
    ) -> Partial:
        """Sums over a part of the data, a chunk: add the parts and give them to `fit_merged`.

        Args:
            X: rows of examples (n, ...), or an iterable of (x, y) batches, and then no y: each is a chunk.
            y, sample_weight, mask: as for `fit`.
            chunk: a name that tells it from a chunk of equal rows. Parts that hold the same chunk cannot be added.

        Raises:
            DataError: without rows, and for weights that are more or fewer than they.
            OptionError: for structures of which nothing adds up, such as 'lowrank'.
        """
        if mask is not None:
            y = masked(y, mask, self.likelihood)
        parts = batches(X, self._label_key) if y is None and not is_array_like(X) else [(X, y)]
        take = WeightsInTurn(sample_weight)
        waiting: list[Partial] = []
        for x, labels in parts:
            waiting.append(self._chunk(x, labels, chunk, take))
            if len(waiting) == _MERGED_AT_ONCE:
                # Batches of equal rows are all meant: they were given in one call.
                waiting = [merge(waiting, repeats="count", client=self._client)]
        if not waiting:
            raise _no_batches()
        take.end()
        return waiting[0] if len(waiting) == 1 else merge(waiting, repeats="count", client=self._client)

    def _chunk(self, X: Any, y: Any, chunk: str | None, take: WeightsInTurn) -> Partial:
        """The sums over one chunk of data."""
        data = self._data(X, y)
        data.update(take.next(len(data["y"])))
        named = {} if chunk is None else {"chunk": chunk}
        params = {**self._network_for(data["x"], data["y"].nbytes), "options": self._fit_options(), **data, **named}
        return partial_of(self._client.call("fitPartial", params, progress=self._progress))

    def _chunk_digest(self, X: Any, y: Any, chunk: str | None) -> bytes:
        """The digest that the partial fit of a chunk will carry."""
        named = {} if chunk is None else {"chunk": chunk}
        return bytes(self._client.call("digestChunk", {**self._data(X, y), **named})["chunk"])

    def fit_merged(self, partial: Partial, *, example: Any = None) -> Self:
        """Fits the posterior from merged parts.

        Args:
            example: some rows as the network takes them, which a torch module that has code of its own is read with
                where this object has seen no data yet.

        Raises:
            StateError: NOT_FITTED where such rows are needed and not given; when the sums belong to another network or
                other options.
        """
        rows = None if example is None else self._examples(example, "example")
        params = {**self._network_for(rows), "options": self._fit_options(), "partial": partial.to_bytes()}
        self._adopt(*self._made("fitMerged", params, progress=self._progress))
        self._training = None
        return self


def _readable_again(X: Any, y: Any, weight: Any = None) -> tuple[Any, Any, Any] | None:
    """The data of a fit, None where reading it again would find nothing: an iterator is empty after the fit."""
    return None if isinstance(X, Iterator) else (X, y, weight)


def _as_count(value: Any, name: str) -> int:
    try:
        count = operator.index(value)
    except TypeError:
        count = 0
    if count < 1 or isinstance(value, bool):
        raise OptionError(
            f"{name} must be a whole number above 0; got {value!r}.",
            "BAD_OPTION",
            {"option": name, "value": str(value)},
        )
    return count


def _no_batches() -> DataError:
    return DataError("The iterable has no batches. (A generator is empty after it was read once.)", "EMPTY_DATA")
