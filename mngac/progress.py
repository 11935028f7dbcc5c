"""What a running stage says: lines to its log and to the terminal, a live bar only where somebody watches."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from tqdm import tqdm


class Log:
    """Lines with the time in a file, and on the terminal as they are; a bar on the terminal alone."""

    def __init__(self, file: TextIO | None = None, name: str = ""):
        self.file = file
        self.name = name

    def line(self, text: str) -> None:
        """One line to the file and to the terminal."""
        if self.file:
            self.file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
            self.file.flush()
        tqdm.write(text, file=sys.stderr)

    def bar(self, total: int, done: int, unit: str, scale: bool = False) -> tqdm:
        """A progress bar with rate and time left; silent where stderr is no terminal."""
        return tqdm(
            total=total,
            initial=done,
            unit=unit,
            unit_scale=scale,
            desc=self.name,
            leave=False,
            dynamic_ncols=True,
            disable=not sys.stderr.isatty(),
        )


@contextlib.contextmanager
def log_to(path: str) -> Iterator[Log]:
    """The log of a stage, in a file under logs/."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        yield Log(file, Path(path).stem)
