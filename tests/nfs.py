"""What a client of a network file system remembers, for tests without one: attributes, and names that were not there.

As nfs(5) has it: attributes are taken as known for up to 60 s, but asked for anew when the file is opened (unless the
mount says `nocto`); so is that a name is missing, until this client has itself changed the folder. Links, renames and
new files are the server's to answer.
"""

from __future__ import annotations

import builtins
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

KEPT = 60.0
"""Seconds that an answer is remembered, by default at most (acregmax, acdirmax)."""
CHANGES = ("link", "rename", "replace", "mkdir", "rmdir", "unlink", "remove")


class Client:
    """The memory of one client for files under a folder."""

    def __init__(self, folder: object, clock: Callable[[], float], kept: float = KEPT, asks_at_opening: bool = True):
        self.folder = os.fspath(folder)
        self.clock = clock
        self.kept = kept
        self.asks_at_opening = asks_at_opening
        self.known: dict[str, tuple[float, os.stat_result | None]] = {}
        self.files: dict[int, str] = {}
        self.stat, self.fstat, self.open, self.system_open = os.stat, os.fstat, io.open, os.open

    def answer(self, path: str) -> os.stat_result | None:
        """A file's attributes, or that there is none, as remembered or as the server says."""
        when, found = self.known.get(path, (-2 * self.kept, None))
        if self.clock() - when > self.kept:
            try:
                found = self.stat(path)
            except FileNotFoundError:
                found = None
            self.known[path] = (self.clock(), found)
        return found

    def about(self, path: Any, **further: Any) -> os.stat_result:
        """In place of os.stat."""
        if not self.has(path):
            return self.stat(path, **further)
        found = self.answer(os.fspath(path))
        if found is None:
            raise FileNotFoundError(2, "remembered as missing", os.fspath(path))
        return found

    def about_open(self, number: int) -> os.stat_result:
        """In place of os.fstat."""
        path = self.files.get(number)
        return self.about(path) if path else self.fstat(number)

    def opened(self, path: Any, mode: str = "r", *args: Any, **further: Any) -> Any:
        """In place of open."""
        if not self.has(path):
            return self.open(path, mode, *args, **further)
        path = os.fspath(path)
        if mode[0] != "r":
            self.forget_beside(path)
        for above in (path, os.path.dirname(path)):  # noqa: PTH120
            self.about(above)
        if self.asks_at_opening:
            self.known.pop(path, None)
        file = self.open(path, mode, *args, **further)
        self.files[file.fileno()] = path
        return file

    def system_opened(self, path: Any, flags: int, *args: Any, **further: Any) -> int:
        """In place of os.open."""
        if self.has(path) and flags & os.O_CREAT:
            self.forget_beside(os.fspath(path))
        number = self.system_open(path, flags, *args, **further)
        self.files.pop(number, None)
        return number

    def has(self, path: Any) -> bool:
        """Whether a path is one of this file system's."""
        return isinstance(path, (str, os.PathLike)) and os.fspath(path).startswith(self.folder)

    def forget_beside(self, path: str) -> None:
        """What this client has changed in a folder lets it ask for that folder, and for names that it lacked."""
        above = os.path.dirname(path)  # noqa: PTH120
        for name in [name for name in self.known if name in (above, path) or os.path.dirname(name) == above]:  # noqa: PTH120
            del self.known[name]


@contextmanager
def mounted(client: Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """Within the block this process sees the client's folder as the client does."""

    def changing(change: Callable[..., Any]) -> Callable[..., Any]:
        def changed(*paths: Any, **further: Any) -> Any:
            for path in paths:
                if client.has(path):
                    client.forget_beside(os.fspath(path))
            return change(*paths, **further)

        return changed

    with monkeypatch.context() as patch:
        for name in CHANGES:
            patch.setattr(os, name, changing(getattr(os, name)))
        patch.setattr(os, "stat", client.about)
        patch.setattr(os, "fstat", client.about_open)
        patch.setattr(os, "open", client.system_opened)
        patch.setattr(io, "open", client.opened)
        patch.setattr(builtins, "open", client.opened)
        yield client
