"""The exceptions.

LaplaceError
├── ShapeError                 an array does not have the shape that is needed
├── DataError                  data that cannot be used: empty, not finite, labels of the wrong kind
├── OptionError                a wrong option; the message names the nearest right one
├── GraphError                 a network that cannot be run or differentiated
├── NumericalError             linear algebra or an iteration failed
├── UntrustedInputError        a file or message is malformed, or of an unsupported kind
├── ProtocolError              client and server do not understand each other
│   └── ServerCrashedError     the server ended while it was needed
├── CancelledError             the work was cancelled, or ran out of time
├── ResourceError              memory or an optional package is missing
│   └── NodeNotFoundError      no usable Node.js on this machine
├── StateError                 an operation that the present state does not allow
└── InternalError              a fault of this library

Classes and codes follow one table, core/errors/errors.ts, from which `_error_table.py` is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._error_table import ERROR_TABLE


class LaplaceError(Exception):
    """The root of every error that this package raises on purpose.

    `code` is the word in the table (docs/errors.md), `number` its number, `data` the details for machines.
    """

    code: str
    number: int
    data: dict[str, Any]

    def __init__(self, message: str, code: str | None = None, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code if code is not None else _first_code(type(self))
        self.number = ERROR_TABLE.get(self.code, (0, "", ""))[0]
        self.data = dict(data or {})

    @property
    def message(self) -> str:
        """The sentence for the user."""
        return str(self.args[0])

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.args[0], self.code, self.data)


class ShapeError(LaplaceError, ValueError):
    """An array does not have the shape that the network or the call needs."""


class DataError(LaplaceError, ValueError):
    """Data that cannot be used."""


class OptionError(LaplaceError, ValueError):
    """An option that is not known, or has a value that is not allowed."""


class GraphError(LaplaceError, ValueError):
    """A network that cannot be run or differentiated."""


class NumericalError(LaplaceError, ArithmeticError):
    """Linear algebra or an iteration failed; `data` carries the numbers."""


class UntrustedInputError(LaplaceError, ValueError):
    """A file or a message is malformed, exceeds a limit, or is of an unsupported kind."""


class ProtocolError(LaplaceError):
    """Client and server do not understand each other."""


class ServerCrashedError(ProtocolError, ConnectionError):
    """The server ended while it was needed; the message holds its last words."""


class CancelledError(LaplaceError):
    """The work was cancelled or ran out of time; what was there before is untouched."""


class ResourceError(LaplaceError):
    """Memory or an optional package is missing."""


class NodeNotFoundError(ResourceError):
    """There is no usable Node.js on this machine."""


class StateError(LaplaceError, RuntimeError):
    """An operation that the present state does not allow, such as predicting before fitting."""


class InternalError(LaplaceError):
    """A fault of this library; please report it."""


#: By the names of the table's classes.
FAMILIES: dict[str, type[LaplaceError]] = {
    cls.__name__: cls
    for cls in (
        ShapeError,
        DataError,
        OptionError,
        GraphError,
        NumericalError,
        UntrustedInputError,
        ProtocolError,
        CancelledError,
        ResourceError,
        StateError,
        InternalError,
    )
}


def _first_code(cls: type[LaplaceError]) -> str:
    names = {base.__name__ for base in cls.__mro__}
    return next((code for code, (_, family, _) in ERROR_TABLE.items() if family in names), "INTERNAL")


def error_from_wire(err: Mapping[str, Any]) -> LaplaceError:
    """The exception for the `err` of an answer. A code of a newer server becomes the root class."""
    code = str(err.get("name", "INTERNAL"))
    family = ERROR_TABLE[code][1] if code in ERROR_TABLE else ""
    return FAMILIES.get(family, LaplaceError)(str(err.get("message", code)), code, err.get("data") or {})


class LaplaceWarning(UserWarning):
    """Something the server noticed that the user should know."""


class TrainingWarning(LaplaceWarning):
    """Network and training data contradict each other: labels in another order, targets on another scale, ..."""


class PriorWarning(LaplaceWarning):
    """A way of tuning the prior that does not fit this network; the text names a better one."""
