"""Saving and loading: files, bytes, pickles."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from typing import Any, Self

from ._client import Client
from ._default_client import default_client
from ._examples import to_examples
from ._exceptions import LaplaceWarning, OptionError
from ._files import write_whole
from ._models import NetworkParams, network_params
from ._options import unwrapped
from ._posterior_state import TRANSIENT, PosteriorState, mark_fitted
from ._remote import Remote, create, maker


class Saving(PosteriorState):
    """A posterior as a file, as bytes, and as a pickle."""

    def to_bytes(self, *, network: bool = True) -> bytes:
        """The posterior as a portable blob; without its network it is smaller and needs `model=` when loaded."""
        return self._saved(network=network)

    def save(self, path: str | os.PathLike[str], *, network: bool = True) -> None:
        """Writes the posterior to a file that Node, Python, R and browsers read; whole, or not at all.

        Raises:
            OSError: the disk is full, access is denied, ...; what was at `path` before is still there.
        """
        write_whole(path, self.to_bytes(network=network))

    @property
    def class_names(self) -> list[str]:
        """The classes in the order of the outputs, as the file or an estimator names them; empty where none does."""
        return list(self._class_names)

    @classmethod
    def from_bytes(cls, data: bytes, *, model: Any = None, example: Any = None, client: Client | None = None) -> Self:
        """A posterior from its blob; `model` and `example` as of `load`."""
        connection = client or default_client()
        params: dict[str, Any] = {"data": bytes(data)}
        network: Remote | None = None
        if model is not None:
            network, _ = create(connection, "readNetwork", _params_of(model, example))
            params["model"] = network.handle()
        remote, answer = create(connection, "load", params)
        if model is None:
            remote.set_remake(maker("load", {"data": params["data"]}))
        self = cls._from_remote(remote, answer.get("summary", {}), connection, bytes(data) if model is None else None)
        self._class_names = [str(name) for name in answer.get("labels", ())]
        return self

    @classmethod
    def _from_remote(cls, remote: Remote, summary: Mapping[str, Any], client: Client, blob: bytes | None) -> Self:
        """An object around a posterior on the server, whose network and data are not here."""
        self = cls.__new__(cls)
        self._connect(client)
        self.model = None
        self.likelihood = str(summary["likelihood"])
        self.subset_of_weights = summary["subset"] if isinstance(summary["subset"], str) else "subnetwork"
        self.hessian_structure = str(summary["structure"])
        self._options = {
            key: summary[key]
            for key in ("likelihood", "subset", "structure", "curvature")
            if summary.get(key) is not None
        }
        self._prior = {
            "priorPrecision": 1.0,
            "priorMean": unwrapped(summary.get("priorMean", 0.0)),
            "sigmaNoise": 1.0,
            "temperature": 1.0,
        }
        self._given = set(self._prior)
        self._hints = {}
        self._network_params = None
        self._network_read = False
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LaplaceWarning)
            self._adopt(remote, summary)
        self._blob = blob
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Everything but what belongs to this process; the posterior as bytes."""
        self._keep_copy()
        state = self.__dict__.copy()
        for key in TRANSIENT:
            state.pop(key)
        if self._network_params is not None:
            state["model"] = None
        state["fitted"] = self._posterior is not None
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Makes the posterior again from its bytes, when it is first needed."""
        fitted = state.pop("fitted")
        self.__dict__.update(state)
        # Pickles of version 0.1.0 do not have it: everything was given.
        self.__dict__.setdefault("_given", set(self._prior))
        self._connect(default_client())
        if fitted:
            # On no server: it is loaded when it is first needed.
            self._posterior = Remote(self._client, None, maker("load", {"data": self._blob}))
            mark_fitted(self)


def _params_of(model: Any, example: Any) -> NetworkParams:
    """What readNetwork needs for the network of a posterior that was saved without.

    Raises:
        OptionError: when rows of data are needed to read it.
    """
    params = network_params(model, {}, None if example is None else to_examples(example, "example"))
    if params is None:
        raise OptionError(
            f"A {type(model).__name__} is read by running it: give some rows as it takes them, load(..., model=model, "
            "example=X[:4]).",
            "BAD_OPTION",
            {"option": "example"},
        )
    return params
