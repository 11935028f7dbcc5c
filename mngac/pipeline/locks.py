"""Locks of files, which the kernel gives back when their holder dies, where the file system has them."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

from mngac.pipeline.atomic import mode_in

POLL = 0.1
"""Seconds between two tries."""
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)
"""What a file system answers that has no locks: NFS without its lock manager, or Lustre mounted so."""


def lock_in(folder: Path, name: str) -> FileLock:
    """A lock in a folder, of the folder's group where it is shared."""
    return FileLock(folder / name, mode=mode_in(folder), fallback_to_soft=False)


def acquired(lock: FileLock, *, wait: bool = True) -> bool:
    """Takes a lock; False where the file system has none.

    Raises:
        filelock.Timeout: where somebody has it, and the caller would not wait.
    """
    try:
        lock.acquire(blocking=wait, poll_interval=POLL)
    except NotImplementedError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        return False
    return True


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Within the block no other process is in such a block for the same folder, where the file system has locks."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = lock_in(folder, ".lock")
    acquired(lock)
    try:
        yield
    finally:
        lock.release()
