"""Handles that free what they name when nobody holds them any more."""

from __future__ import annotations

from collections import deque


class Handle(str):
    """The name of an object on a server.

    The thread that reads the answer makes it. So the object is freed whatever happens to the call that waits for it: a
    Ctrl-C may end that at any instant.
    """

    #: Which server it is of.
    generation: int
    _garbage: deque[tuple[int, str]]

    def __new__(cls, name: str, generation: int, garbage: deque[tuple[int, str]]) -> Handle:
        handle = super().__new__(cls, name)
        handle.generation = generation
        handle._garbage = garbage
        return handle

    def kept(self) -> str:
        """The name alone, whose object is freed by hand."""
        self._garbage = deque(maxlen=0)
        return str.__str__(self)

    def __del__(self) -> None:
        self._garbage.append((self.generation, str.__str__(self)))

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str.__str__(self),)
