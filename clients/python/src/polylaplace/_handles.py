"""Handles, and what tells that nobody holds one any more."""

from __future__ import annotations

import weakref


class Handle(str):
    """The name of an object on a server, and which server it is of.

    The thread that reads the answer makes it. So the object is freed whatever happens to the call that waits for it: a
    Ctrl-C may end that at any instant.
    """

    generation: int

    def __new__(cls, name: str, generation: int) -> Handle:
        handle = super().__new__(cls, name)
        handle.generation = generation
        return handle

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str.__str__(self),)


class Watch(weakref.ref[Handle]):
    """Outlives a handle and knows its name.

    Its callback must be written in C, as `deque.append` is. A Ctrl-C that comes within one in Python, or within a
    `__del__`, is printed and dropped, and the object would stay on the server for ever.
    """

    __slots__ = ("generation", "name")

    generation: int
    name: str
