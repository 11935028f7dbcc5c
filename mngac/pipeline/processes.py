"""Who a process is, so that another can tell later whether it still lives: a number alone is soon another's."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

CLOCK = 2.0
"""Seconds by which two readings of one process's start may differ: they follow the clock, which may be set."""


@functools.cache
def kernel() -> str:
    """The system that gives this process its number: host, boot and namespace, as twelve hexadecimal digits."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text())
    with contextlib.suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Process:
    """A process of some host."""

    pid: int
    host: str
    kernel: str
    started: float
    """Seconds since 1970."""

    @classmethod
    def of(cls, pid: int) -> Process:
        """A living process of this system.

        Raises:
            psutil.NoSuchProcess: where there is none.
        """
        import psutil

        return cls(pid, socket.gethostname(), kernel(), psutil.Process(pid).create_time())

    @classmethod
    def here(cls) -> Process:
        """This one."""
        return cls.of(os.getpid())

    @classmethod
    def of_dict(cls, content: Any) -> Process | None:
        """What `as_dict` gave; None for anything else."""
        kinds = {"pid": int, "host": str, "kernel": str, "started": float}
        if not isinstance(content, dict) or any(
            not isinstance(content.get(name), kind) for name, kind in kinds.items()
        ):
            return None
        return cls(**{name: content[name] for name in kinds})

    def as_dict(self) -> dict[str, Any]:
        """For a JSON file."""
        return asdict(self)

    @property
    def ours(self) -> bool:
        """Whether it is of this system: of another one nobody here can tell whether it lives."""
        return self.kernel == kernel()

    @property
    def dead(self) -> bool:
        """Whether it is of this system and has ended."""
        import psutil

        if not self.ours:
            return False
        try:
            found = psutil.Process(self.pid)
            return found.status() == psutil.STATUS_ZOMBIE or abs(found.create_time() - self.started) > CLOCK
        except psutil.NoSuchProcess:
            return True
