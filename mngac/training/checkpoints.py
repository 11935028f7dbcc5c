"""A training's checkpoints: written whole, with a digest, and the one before kept in case the last cannot be read."""

from __future__ import annotations

import contextlib
import hashlib
import io
import time
from pathlib import Path
from typing import Any

import torch

from mngac.pipeline.atomic import atomic
from mngac.pipeline.files import mended
from mngac.pipeline.progress import Log

LEAST_SECONDS = 5.0
"""Between two checkpoints, at least;"""
TIMES_WRITING = 50.0
"""and at least so many times what writing the last one took, so that all of them cost 2 % of the time."""


class Checkpoints:
    """The checkpoints in a folder.

    Args:
        folder: a training's own.
        log: is told what was damaged, or could not be written.
    """

    def __init__(self, folder: Path, log: Log):
        self.last, self.previous = folder / "checkpoint", folder / "checkpoint.previous"
        self.log = log
        self.written, self.cost = time.monotonic(), 0.0

    def due(self) -> bool:
        """Whether it is time for the next one."""
        return time.monotonic() - self.written > max(LEAST_SECONDS, TIMES_WRITING * self.cost)

    def write(self, state: dict[str, Any]) -> bool:
        """Writes a state, or says in the log why it could not: a training outlives a disk that is full for a while."""
        started = time.monotonic()
        buffer = io.BytesIO()
        torch.save(state, buffer)
        content = buffer.getbuffer()
        try:
            with atomic(self.last) as temporary:
                with open(temporary, "wb") as file:
                    file.write(hashlib.sha256(content).digest())
                    file.write(content)
                with contextlib.suppress(FileNotFoundError):
                    self.last.replace(self.previous)
        except OSError as error:
            self.log.line(f"{self.log.name}: no checkpoint could be written: {mended(error)}")
            return False
        finally:
            self.written = time.monotonic()
            self.cost = self.written - started
        return True

    def read(self, device: str) -> dict[str, Any] | None:
        """The last state that is whole, its tensors on a device; None where there is none."""
        for path in (self.last, self.previous):
            try:
                content = path.read_bytes()
            except FileNotFoundError:
                continue
            if hashlib.sha256(memoryview(content)[32:]).digest() == content[:32]:
                return torch.load(io.BytesIO(memoryview(content)[32:]), map_location=device, weights_only=True)
            self.log.line(f"{self.log.name}: {path} is damaged and left out")
        return None
