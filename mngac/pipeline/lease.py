"""Who works on a key: one process at a time, on any host, and one that died holds nothing.

Two parts, since neither is enough. A file lock for each system, which the kernel gives back when its holder dies; it
says nothing of other hosts, and some file systems have none. A file that all hosts see, with its holder's name, which
the holder touches every few seconds: one that is not touched for two minutes has lost its holder. How long that is,
each waits by its own clock.

A client of a network file system answers from memory where it may. So nothing here rests on a file's attributes but
those of a file that was just opened, which is when a client asks its server, and whether a lease is free is asked by
making a link, which only the server can answer.
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
from mngac.pipeline.locks import acquired, lock_in
from mngac.pipeline.processes import Process

HEARTBEAT = 5.0
"""Seconds between two touches."""
SILENT = 120.0
"""Seconds without a touch after which a holder on another host counts as dead: twice what an NFS client may remember a
file's attributes for (`acregmax`), were it told not to ask at opening (`nocto`)."""
SETTLE = 1.0
"""Seconds after which one who took over from a dead holder looks whether another host did so at the same moment."""
LOOK = 1.0
"""Seconds between two looks at another host's lease: each asks the server."""
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)
"""What a file system answers that has no hard links, and sshfs also where the name is taken."""


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
        return Look.at(path).holder

    @classmethod
    def parse(cls, text: bytes) -> Holder | None:
        """Whom a file with this content names; None for anything that `write` did not write."""
        try:
            content = json.loads(text)
            process = Process.of_dict(content["process"])
            return cls(process, float(content["since"]), str(content["mark"])) if process else None
        except (ValueError, TypeError, KeyError):
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
            return Holder.read(path) == self  # whose first answer was lost, and which were asked again
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            return self._create_here(path)
        finally:
            own.unlink(missing_ok=True)
        return True

    def _create_here(self, path: Path) -> bool:
        """The same in two steps: a file that is still empty is somebody's, too."""
        try:
            number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode_in(path.parent))
        except OSError:
            if path.exists():
                return False
            raise
        with open(number, "w") as file:
            file.write(self._text())
        return True

    def _text(self) -> str:
        return json.dumps({"process": self.process.as_dict(), "since": self.since, "mark": self.mark}) + "\n"

    def __str__(self) -> str:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        return f"process {self.process.pid} on {self.process.host}, since {when}"


@dataclass(frozen=True)
class Look:
    """What a lease's file says at one moment."""

    holder: Holder | None
    touched: int | None
    """When, in nanoseconds of the server's clock; None where there is no file."""

    @classmethod
    def at(cls, path: Path) -> Look:
        """Looks at the file, opened anew."""
        try:
            with open(path, "rb") as file:
                return cls(touched=os.fstat(file.fileno()).st_mtime_ns, holder=Holder.parse(file.read()))
        except FileNotFoundError:
            return cls(None, None)
        except OSError:  # one that may not be read, or was replaced on the server just now
            return cls(None, _touched(path))


def _touched(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


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
    with _kernels(lock_in(folder, f"{key}.{me.process.kernel}.lock"), path, tell, wait) as locked:
        _take(path, me, tell, wait, locked)
        done = threading.Event()
        beat = threading.Thread(target=_beat, args=(path, me, done, tell), daemon=True)
        beat.start()
        try:
            yield
        finally:
            done.set()
            beat.join()
            with contextlib.suppress(OSError):  # what cannot be cleared away now is silent from now on
                if Holder.read(path) == me:
                    path.unlink(missing_ok=True)


@contextlib.contextmanager
def _kernels(lock: FileLock, path: Path, tell: Callable[[str], None], wait: bool) -> Iterator[bool]:
    """The lock of this system; yields whether the file system has such locks."""
    try:
        locked = acquired(lock, wait=False)
    except Timeout:
        holder = Holder.read(path)
        if not wait:
            raise Held(f"held by {holder or 'another process'}") from None
        tell(f"waits for {holder or 'another process'}")
        locked = acquired(lock)
    try:
        yield locked
    finally:
        lock.release()


def _take(path: Path, me: Holder, tell: Callable[[str], None], wait: bool, locked: bool) -> None:
    """Writes this process into the file, once nobody else is in it who lives.

    Args:
        locked: whether this process has this system's lock, so that no other of this system lives and is in the file.
    """
    told, last, silent, now = False, None, 0.0, time.monotonic()
    while True:
        look = Look.at(path)
        holder = look.holder
        if locked and holder and holder.process.ours and (holder.process.dead or holder.process == me.process):
            me.write(path)
            return
        if look.touched is None and me.create(path):
            return
        if holder and holder.process.dead:
            if _replace(path, me):
                return
            continue
        if not wait:
            raise Held(f"held by {holder or 'another host'}")
        if not told:
            tell(f"waits for {holder or 'another host'}")
            told = True
        # A look that took long, since the server did not answer, says nothing of how long the holder was silent.
        before, now = now, time.monotonic()
        silent = silent + min(now - before, HEARTBEAT) if look == last else 0.0
        last = look
        if silent > SILENT and _replace(path, me):
            tell(f"takes over from {holder or 'another host'}, silent for {SILENT:.0f} s")
            return
        time.sleep(LOOK)


def _replace(path: Path, me: Holder) -> bool:
    """Writes this process into the file in a dead one's place; False where another one did so at the same moment."""
    me.write(path)
    time.sleep(SETTLE)
    return Holder.read(path) == me


def _beat(path: Path, me: Holder, done: threading.Event, tell: Callable[[str], None]) -> None:
    """Touches the file; writes it anew where somebody cleared it away, and leaves it where it is another's."""
    while not done.wait(HEARTBEAT):
        try:
            os.utime(path)
            holder = Holder.read(path)
            if holder and holder != me:
                tell(f"was thought dead: {holder} has begun the same; both give the same result")
                return
        except FileNotFoundError:
            with contextlib.suppress(OSError):
                me.write(path)
        except OSError:
            continue
