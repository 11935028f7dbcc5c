"""What a running stage says: one line an epoch in its log; on a terminal, a live line of its own with the time left.

Stages that run beside each other under one engine share the terminal: each takes the first free line, held by a file
lock, and a lock of all of them keeps their writing apart.
"""

from __future__ import annotations

import contextlib
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from filelock import FileLock, Timeout
from tqdm import tqdm

LINES = Path(".mngac/lines")
MOST = 64
"""Live lines that one terminal can have."""


def watched() -> bool:
    """Whether somebody watches: stderr is a terminal."""
    return sys.stderr.isatty()


TIME = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ")
"""How a line of a log begins."""


class Log:
    """Lines with the time in a file, and on the terminal as they are; a live line on the terminal alone."""

    def __init__(self, file: TextIO | None = None, name: str = "", place: int = 0):
        self.file = file
        self.name = name
        self.place = place
        """Which of the terminal's live lines is this stage's."""

    def line(self, text: str) -> None:
        """One line to the file and to the terminal."""
        self.keep(text)
        _show(text)

    def step(self, text: str) -> None:
        """One line to the file; to the terminal only where no live line says the same."""
        self.keep(text)
        if not watched():
            _show(text)

    def keep(self, text: str) -> None:
        """One line to the file alone; work outlives a disk that has no room for its log."""
        if self.file:
            with contextlib.suppress(OSError):
                self.file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
                self.file.flush()

    def bar(self, total: int, done: int, unit: str, scale: bool = False) -> tqdm:
        """The live line, with rate and time left; silent where stderr is no terminal."""
        return tqdm(
            total=total,
            initial=done,
            unit=unit,
            unit_scale=scale,
            desc=self.name,
            leave=False,
            dynamic_ncols=True,
            position=self.place,
            disable=not watched(),
        )


@contextlib.contextmanager
def terminal_line() -> Iterator[int]:
    """The first live line of the terminal that no other stage has."""
    LINES.mkdir(parents=True, exist_ok=True)
    tqdm.set_lock(FileLock(LINES / "terminal.lock"))
    for place in range(MOST):
        lock = FileLock(LINES / f"{place}.lock")
        try:
            with lock.acquire(timeout=0):
                yield place
                return
        except Timeout:
            continue
    yield 0


def _show(text: str) -> None:
    """Shows a line where somebody may see it; work outlives the pipe, the disk or the terminal that it went to."""
    with contextlib.suppress(OSError):
        tqdm.write(text, file=sys.stderr)


def _close(file: TextIO) -> None:
    """Closes a log, with or without what its disk had no room for."""
    with contextlib.suppress(OSError):
        file.close()


@contextlib.contextmanager
def log_to(path: str) -> Iterator[Log]:
    """The log of a stage, in a file under logs/."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        file = open(path, "a", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115
        stack.callback(_close, file)
        place = stack.enter_context(terminal_line()) if watched() else 0
        yield Log(file, Path(path).stem, place)
