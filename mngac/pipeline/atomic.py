"""Files that are whole or not there, whenever the power goes: written beside their place, synchronised, then renamed.

What a killed process left beside a path goes when the path is next written.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mngac.pipeline.processes import Process

LEFT = re.compile(r"\.(?P<pid>[0-9]+)-(?P<started>[0-9]+)-(?P<kernel>[0-9a-f]{12})\.[a-z0-9_]+\.part")
"""How the name of an unfinished file ends: whose it is, and a random part."""


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well, and vanishes when it does not."""
    path = Path(path)
    if path.exists() and not path.is_file() and not path.is_dir():  # a device or a pipe: nothing takes its place
        with tempfile.TemporaryDirectory(prefix="mngac-") as folder:
            yield Path(folder, "content")
            path.write_bytes(Path(folder, "content").read_bytes())
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = beside(path)
    try:
        yield temporary
        synchronise(temporary)
        try:
            temporary.replace(path)
        except OSError as error:
            raise type(error)(error.errno, error.strerror, str(path)) from error
        synchronise(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def beside(path: Path) -> Path:
    """A new, empty file beside `path`, whose name says which process began it; what dead ones began is cleared away."""
    for left in unfinished(path.parent):
        if left.name.startswith(f".{path.name}."):
            left.unlink(missing_ok=True)
    me = Process.here()
    prefix = f".{path.name}.{me.pid}-{me.started:.0f}-{me.kernel}."
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=".part")
    os.close(handle)
    Path(name).chmod(mode_in(path.parent))
    return Path(name)


def write_text(path: str | Path, text: str, changed: int | None = None) -> None:
    """Writes a text file atomically; `changed`: when it is to have changed, in nanoseconds since 1970."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
        if changed is not None:
            os.utime(temporary, ns=(changed, changed))


def synchronise(path: Path) -> None:
    """Waits until a file's bytes, or a folder's names, are on the disk, where the file system can say so."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def unfinished(folder: Path) -> list[Path]:
    """Files directly in a folder that a process began to write and will never finish."""
    found = []
    for entry in os.scandir(folder):
        match = LEFT.search(entry.name) if entry.name.endswith(".part") else None
        if match and Process(int(match["pid"]), "", match["kernel"], float(match["started"])).dead:
            found.append(Path(entry.path))
    return found


def mode_in(folder: Path) -> int:
    """Of a new file: as the umask says, and in a folder that is shared (writable for its group, setgid) as that is."""
    mask = os.umask(0)
    os.umask(mask)
    of_folder = folder.stat().st_mode
    shared = of_folder & stat.S_ISGID and of_folder & stat.S_IWGRP
    return 0o666 & (~mask | (of_folder if shared else 0))
