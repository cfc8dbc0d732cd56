"""What a `Laplace` object holds, and how it speaks with the server about it."""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

from ._arguments import CheckedArguments
from ._client import Client
from ._data import Array, batches, flat_labels, is_array_like, to_array
from ._examples import Examples, concatenated, to_examples
from ._exceptions import DataError, LaplaceError, LaplaceWarning, OptionError, StateError, TrainingWarning
from ._models import NetworkParams, fingerprint, is_live, network_params, size_of, with_input_size
from ._options import as_noise, unwrapped
from ._own_likelihood import OwnLikelihood, own_rows
from ._progress import ProgressOption
from ._remote import Remote, create, maker
from ._row_labels import refuse_reordered
from ._warnings import warn_user

#: A fit of networks and data up to this size carries the network with it. Larger ones go before, to be sent once only.
ONE_MESSAGE = 2**20

#: The subset that leaves subset, structure, prior and noise to the fit, where they are not given.
AUTO = "auto"

#: What belongs to one process and one server, and is therefore in no pickle.
TRANSIENT = ("_client", "_network", "_posterior", "_progress", "_cache", "_training")

#: How notes begin that must not be missed: network and data contradict each other.
_WARNING = "Warning: "

#: Notes name so many classes at most.
_MOST_NAMED_CLASSES = 20

_fitted: weakref.WeakSet[PosteriorState] = weakref.WeakSet()


class PosteriorState(CheckedArguments):
    """The state that the parts of `Laplace` share."""

    model: Any
    likelihood: str
    subset_of_weights: str
    hessian_structure: str
    _client: Client
    _options: dict[str, Any]
    _prior: dict[str, Any]
    #: A likelihood of the user's own, where the likelihood is 'custom'.
    _own: OwnLikelihood | None = None
    #: The entries of `_prior` that the user has given. With subset 'auto' a fit finds the others.
    _given: set[str]
    #: The classes of an estimator, in the order of the outputs, where they are not numbers from 0 on.
    _class_names: Sequence[str] = ()
    #: Whether 'marglik' has been compared with 'auto' once.
    _compared: bool = False
    _hints: dict[str, Any]
    _network_params: NetworkParams | None
    #: What the network was when it was last read.
    _network_key: bytes = b""
    _network: Remote | None
    #: Whether a fit has carried the network: further ones use its handle.
    _network_read: bool
    _posterior: Remote | None
    _summary: dict[str, Any]
    #: The posterior as bytes, once it has been saved. It must be dropped whenever the posterior changes.
    _blob: bytes | None
    #: Quantities that come with every new posterior, by their names of the protocol: one message in place of two.
    _wanted: Sequence[str] = ()
    #: Quantities of the present posterior that have been asked for.
    _cache: dict[str, Any]
    #: What the last fit was given, unless it can be read only once.
    #: The data of the fit and how often each row counts, where they can be read again.
    _training: tuple[Any, Any, Any] | None
    _progress: ProgressOption
    #: The key of the labels in batches that are mappings.
    _label_key: str = "labels"

    def _connect(self, client: Client, progress: ProgressOption = None) -> None:
        """Sets everything in `TRANSIENT` to that of an object without a posterior."""
        self._client = client
        self._network = None
        self._posterior = None
        self._progress = progress
        self._cache = {}
        self._training = None

    def _network_for(self, example: Examples | None, more_bytes: int = 0) -> dict[str, Any]:
        """The network of a fit: the first time in the same message, when both are small; else by its handle."""
        if self.likelihood == "reward_modeling" and example is not None:
            # The network takes single rows; those of the fit are pairs.
            example = example[:, 0]
        self._read_model(example)
        if self._network is None:
            if self._network_params is None:
                raise StateError(
                    f"A {type(self.model).__name__} is read by running it on some rows, and this object has seen none: "
                    "call fit or fit_partial, or give rows as it takes them, fit_merged(parts, example=X[:4]).",
                    "NOT_FITTED",
                )
            params = with_input_size(self._network_params, example)
            data_bytes = more_bytes + (0 if example is None else example.nbytes)
            if not self._network_read and size_of(params) + data_bytes <= ONE_MESSAGE:
                self._network_read = True
                return {"network": params}
            params = {**params, "brief": True}
            self._network, _ = create(self._client, "readNetwork", params, maker("readNetwork", params))
        return {"model": self._network.handle()}

    def _network_parameters(self, X: Any) -> list[dict[str, Any]]:
        """The parameters of a network that is read by rows of data, as the server has them."""
        example = self._examples(X)
        self._read_model(example)
        params = with_input_size(self._network_params or {}, example)
        self._network, answer = create(self._client, "readNetwork", params, maker("readNetwork", params))
        return list(answer["summary"]["parameters"])

    def _read_model(self, example: Examples | None) -> None:
        """Reads the model as it is now: modules and estimators may have been trained further since the last fit."""
        # A pickled object has kept what the model was, and not the model.
        if self._network_params is not None and (self.model is None or not is_live(self.model)):
            return
        params = network_params(self.model, self._hints, example)
        if params is None or (key := fingerprint(params)) == self._network_key:
            return
        # In one step: a Ctrl-C in between would leave the old network's handle beside the new one's parameters.
        vars(self).update(_network_params=params, _network_key=key, _network=None, _network_read=False)

    def _fit_options(self) -> dict[str, Any]:
        """Options and prior of a fit, under the server's names."""
        given = self._prior if self.subset_of_weights != AUTO else {key: self._prior[key] for key in self._given}
        # A noise that every fit finds stands among the options; what the last one found is not given to the next.
        return {**given, **self._options}

    # Every new posterior comes in here, so that nothing of the old one (bytes, quantities) can be taken for its own.
    def _adopt(self, remote: Remote, summary: Mapping[str, Any], *, same_fit: bool = False) -> None:
        """Takes a new posterior; the old one stays valid until this has succeeded.

        Args:
            same_fit: whether it comes from the present one without a new fit; what that was told is not told again.
        """
        told = self._summary.get("notes", []) if same_fit else []
        prior = dict(self._prior)
        if (precision := summary.get("priorPrecision")) is not None:
            prior["priorPrecision"] = unwrapped(precision)
        for key in ("sigmaNoise", "temperature"):
            if summary.get(key) is not None:
                prior[key] = as_noise(summary[key], key)
        mark_fitted(self)
        summary = dict(summary)
        values = dict(summary.pop("values", {}))
        # In one step: a Ctrl-C in between would leave a part of the old posterior beside the new one.
        vars(self).update(_posterior=remote, _summary=summary, _blob=None, _cache=values, _prior=prior)
        news = [str(note) for note in self._summary.get("notes", []) if note not in told]
        for note in (self._with_classes(note) for note in news):
            grave = note.startswith(_WARNING)
            warn_user(note.removeprefix(_WARNING), TrainingWarning if grave else LaplaceWarning)

    def _with_classes(self, note: str) -> str:
        """A note that counts classes from 0, with the classes that it means."""
        names = self._class_names
        if "(counted from 0)" not in note or not 0 < len(names) <= _MOST_NAMED_CLASSES:
            return note
        return f"{note} Here {', '.join(f'{i} is {name!r}' for i, name in enumerate(names))}."

    def _handle(self) -> str:
        """The handle of the posterior on the present server."""
        if self._posterior is None:
            raise StateError("The posterior has not been fitted yet: call fit first.", "NOT_FITTED")
        return self._posterior.handle()

    def _call(self, method: str, params: Mapping[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        """Calls a method of the posterior."""
        return self._client.call(method, {"posterior": self._handle(), **(params or {})}, **options)

    def _get(self, name: str) -> Any:
        """A quantity of the present posterior; asked for once."""
        if name not in self._cache:
            self._cache[name] = self._call("get", {"names": [name]})[name]
        return self._cache[name]

    def _made(self, method: str, params: dict[str, Any], **options: Any) -> tuple[Remote, dict[str, Any]]:
        """A new posterior and the brief form of its summary; the rest is asked for when it is needed."""
        wanted = {"values": list(self._wanted)} if self._wanted else {}
        remote, answer = create(self._client, method, {**params, "brief": True, **wanted}, **options)
        return remote, {**answer.get("summary", {}), "values": answer.get("values", {})}

    def _examples(self, X: Any, name: str = "X", rows: int | None = None) -> Examples:
        """Examples as they are sent: one array, or one for each input of the network."""
        counts = [len(names) for key in ("inputs", "declaredInputs") if (names := self._summary.get(key)) is not None]
        return to_examples(X, name, rows=rows, inputs=counts or None, without=self._label_key)

    def _joined(self, loader: Any, name: str) -> dict[str, Any]:
        """All batches of a loader as examples x and labels y."""
        parts = [self._data(x, y, ("x", "y")) for x, y in batches(loader, self._label_key, name)]
        if not parts:
            raise DataError(f"The {name} has no batches.", "EMPTY_DATA")
        return {
            "x": Examples.joined([part["x"] for part in parts]),
            "y": concatenated([part["y"] for part in parts]),
        }

    def _data(self, X: Any, y: Any, names: tuple[str, str] = ("X", "y")) -> dict[str, Any]:
        """Examples x (n, ...) and labels y (n,) or (n, C) as they are sent; `names`: of the user's arguments."""
        if y is None:
            if isinstance(X, Mapping) and self._label_key in X:
                return self._data(X, X[self._label_key], names)
            if not isinstance(X, Examples) and not is_array_like(X):
                return self._joined(X, "data")
            raise OptionError(
                f"{names[1]} is missing: give fit({names[0]}, {names[1]}), or an iterable of (x, y) batches.",
                "BAD_OPTION",
                {"option": "y"},
            )
        refuse_reordered({names[0]: X, names[1]: y})
        if self._own is not None:
            return self._own_data(X, to_array(y, names[1]), names[0])
        labels = flat_labels(to_array(y, names[1]), self.likelihood)
        return {"x": self._examples(X, names[0], len(labels) if labels.ndim else None), "y": labels}

    def _own_data(self, X: Any, y: Array, name: str) -> dict[str, Any]:
        """Examples, and what a likelihood of the user's own says of them at the network's outputs."""
        assert self._own is not None
        x = self._examples(X, name, len(y) if y.ndim else None)
        f = self._outputs_of(x)
        rows = own_rows(self._own, f, y)
        self._options["roots"] = (rows.shape[1] - 1 - f.shape[1]) // f.shape[1]
        return {"x": x, "y": rows}

    def _outputs_of(self, x: Examples) -> Array:
        """The plain network's outputs, (n, C)."""
        raise NotImplementedError

    def _saved(self, *, network: bool) -> bytes:
        """The posterior as bytes."""
        labels = {"labels": list(self._class_names)} if self._class_names else {}
        return bytes(self._call("save", {"network": network, **labels})["data"])

    def _keep_copy(self) -> None:
        """Keeps the blob here, so that the posterior outlives its server."""
        if self._posterior is None or not self._posterior.alive:
            return
        if self._blob is None:
            self._blob = self._saved(network=True)
        self._posterior.set_remake(maker("load", {"data": self._blob}))


def mark_fitted(posterior: PosteriorState) -> None:
    """Notes an object that must outlive a fork with its posterior."""
    _fitted.add(posterior)


def _before_fork() -> None:
    """A forked child has a server of its own: it makes the posteriors again from copies."""
    for la in list(_fitted):
        try:
            la._keep_copy()
        except LaplaceError:
            continue


def _after_fork() -> None:
    """In the child: locks may have been held by threads that are not here."""
    for la in list(_fitted):
        for remote in (la._network, la._posterior):
            if remote is not None:
                remote.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork)
