"""Who works on a key: one process at a time, on any host, and one that died holds nothing.

Two parts, since neither is enough. A file lock for each system, which the kernel gives back when its holder dies; it
says nothing of other hosts. A file that all hosts see, with its holder's name, which the holder touches every few
seconds: one that is not touched for a minute has lost its holder. How long that is, each waits by its own clock.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from mngac.pipeline.atomic import atomic, beside, mode_in
from mngac.pipeline.processes import Process

HEARTBEAT = 5.0
"""Seconds between two touches."""
SILENT = 60.0
"""Seconds without a touch after which a holder on another host counts as dead."""
SETTLE = 1.0
"""Seconds after which one who took over from a dead holder looks whether another host did so at the same moment."""
POLL = 0.1
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)
"""What a file system answers that has no hard links: there two hosts that start at one moment may both go on."""


class Held(Exception):  # noqa: N818
    """Another process has it, and the caller would not wait."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lease, and since when."""

    process: Process
    since: float
    mark: str
    """Of this one lease, no other."""

    @classmethod
    def here(cls) -> Holder:
        """This process, from now on."""
        return cls(Process.here(), time.time(), uuid.uuid4().hex)

    @classmethod
    def read(cls, path: Path) -> Holder | None:
        """Whom the file names; None where there is none, or none that can be read."""
        try:
            content = json.loads(path.read_text())
            process = Process.of_dict(content["process"])
            return cls(process, float(content["since"]), str(content["mark"])) if process else None
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def write(self, path: Path) -> None:
        """Makes the file name this one, whomever it named."""
        with atomic(path) as temporary:
            temporary.write_text(self._text())

    def create(self, path: Path) -> bool:
        """Makes the file, unless there is one."""
        own = beside(path)
        try:
            own.write_text(self._text())
            os.link(own, path)  # which is one step on network file systems, too
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            if path.exists():
                return False
            own.replace(path)
        finally:
            own.unlink(missing_ok=True)
        return True

    def _text(self) -> str:
        return json.dumps({"process": self.process.as_dict(), "since": self.since, "mark": self.mark}) + "\n"

    def __str__(self) -> str:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        return f"process {self.process.pid} on {self.process.host}, since {when}"


@contextlib.contextmanager
def leased(folder: Path, key: str, tell: Callable[[str], None], *, wait: bool = True) -> Iterator[None]:
    """Within the block this process alone works on the key.

    Args:
        folder: of all leases, seen by all who share the keys.
        key: a name of letters and digits.
        tell: is told once, in one line, who else has it.
        wait: until it is free; otherwise:

    Raises:
        Held: naming the holder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    me = Holder.here()
    path = folder / f"{key}.json"
    lock = FileLock(folder / f"{key}.{me.process.kernel}.lock", mode=mode_in(folder))
    with _kernels(lock, path, tell, wait):
        _take(path, me, tell, wait)
        done = threading.Event()
        beat = threading.Thread(target=_beat, args=(path, me, done, tell), daemon=True)
        beat.start()
        try:
            yield
        finally:
            done.set()
            beat.join()
            if Holder.read(path) == me:
                path.unlink(missing_ok=True)


@contextlib.contextmanager
def _kernels(lock: FileLock, path: Path, tell: Callable[[str], None], wait: bool) -> Iterator[None]:
    """The lock of this system."""
    try:
        lock.acquire(blocking=False)
    except Timeout:
        holder = Holder.read(path)
        if not wait:
            raise Held(f"held by {holder or 'another process'}") from None
        tell(f"waits for {holder or 'another process'}")
        lock.acquire(poll_interval=POLL)
    try:
        yield
    finally:
        lock.release()


def _take(path: Path, me: Holder, tell: Callable[[str], None], wait: bool) -> None:
    """Writes this process into the file, once nobody on another host is in it who lives."""
    told, touched, since = False, 0, time.monotonic()
    while True:
        holder = Holder.read(path)
        if holder and holder.process.ours:  # and dead: living, it would hold this system's lock
            me.write(path)
            return
        if me.create(path):
            return
        if not wait:
            raise Held(f"held by {holder or 'another host'}")
        if not told:
            tell(f"waits for {holder or 'another host'}")
            told = True
        if _touched(path) != touched:
            touched, since = _touched(path), time.monotonic()
        elif time.monotonic() - since > SILENT:
            me.write(path)
            time.sleep(SETTLE)
            if Holder.read(path) == me:
                tell(f"takes over from {holder or 'another host'}, silent for {SILENT:.0f} s")
                return
        time.sleep(POLL)


def _touched(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _beat(path: Path, me: Holder, done: threading.Event, tell: Callable[[str], None]) -> None:
    """Touches the file; writes it anew where somebody cleared it away, and leaves it where it is another's."""
    while not done.wait(HEARTBEAT):
        try:
            os.utime(path)
            if Holder.read(path) != me:
                tell(f"was thought dead: {Holder.read(path)} has begun the same; both give the same result")
                return
        except FileNotFoundError:
            with contextlib.suppress(OSError):
                me.write(path)
        except OSError:
            continue
