"""Files that somebody put in place: who they are, for the cache's key, and what is wrong at first sight.

Nothing here imports torch: the key of a data set is asked for before anything heavy is.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mngac.params.errors import DataError
from mngac.pipeline.fingerprint import file_digest

_ROOM = "free space or choose another place, then run again"
_RIGHTS = "no permission; make it accessible to this user (chmod), or choose another place"
_IN_THE_WAY = "a file stands where a folder is wanted; correct the path, or move that file"
TO_DO = {
    errno.ENOENT: "not found; put the file or folder there, or correct the path",
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EROFS: f"{os.strerror(errno.EROFS)}; choose another place",
    **{number: f"{os.strerror(number)}; {_ROOM}" for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)},
    errno.ENOTDIR: _IN_THE_WAY,
    errno.EEXIST: _IN_THE_WAY,
    errno.EISDIR: "found a folder; name a file",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
    errno.ELOOP: "links lead in a circle; name what they should lead to",
    errno.EMFILE: "too many files are open; raise the limit (ulimit -n), or lower run.threads and processes",
}
"""What is wrong and what to do, by the number of the system's error."""


def identity(path: str | Path) -> Any:
    """What a source is: a file's SHA-256, or names, bytes and times of a folder's files.

    Raises:
        DataError: where it does not exist or may not be read.
    """
    path = demand(path)
    if path.is_file():
        with explained(path):
            status = path.stat()
            return _digest(path, status.st_size, status.st_mtime_ns)
    return [[str(f.relative_to(path)), f.stat().st_size, f.stat().st_mtime_ns] for f in files(path)]


@functools.cache
def _digest(path: Path, size: int, changed: int) -> str:
    """A file's SHA-256, once in a process for a size and time: many jobs ask, and files can be large."""
    return file_digest(path)


def demand(path: str | Path) -> Path:
    """The path, which must be there.

    Raises:
        DataError: where it is not.
    """
    try:
        path = Path(path).expanduser()
    except RuntimeError as error:
        raise DataError(f"{path}: no home folder is known for it; write the path out") from error
    with explained(path):
        path.stat()
    return path


def writable(path: str | Path, keep: Iterable[str | Path | None] = ()) -> str:
    """The path, where a file can be put as far as can be seen before there is one.

    Args:
        path: of what is written.
        keep: files that are read, or written too; None stands for none.

    Raises:
        DataError: where a folder is there, a file stands in the place of one above it, the name is too long, or it is
            one of the files to keep.
    """
    if any(kept is not None and os.path.realpath(kept) == os.path.realpath(path) for kept in keep):
        raise DataError(f"{path}: would be written over, and is read or written otherwise; choose another place")
    with explained(path), contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(Path(path).stat().st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return str(path)


def files(folder: Path) -> Iterator[Path]:
    """Every file under a folder, sorted by name, links followed, none of its folders twice.

    Raises:
        DataError: for a folder that may not be read.
    """
    seen: set[tuple[int, int]] = set()
    todo = [folder]
    while todo:
        here = todo.pop()
        with explained(here):
            about = here.stat()
            if (about.st_dev, about.st_ino) in seen:
                continue
            seen.add((about.st_dev, about.st_ino))
            inside = sorted(here.iterdir())
        folders = [p for p in inside if p.is_dir()]
        todo += reversed(folders)
        yield from (p for p in inside if p.is_file())


@contextlib.contextmanager
def explained(path: str | Path) -> Iterator[None]:
    """Turns the system's errors on a file into one line that says what to do.

    Raises:
        DataError: in place of every OSError that has a number.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise DataError(mended(error, path)) from error


def mended(error: OSError, path: str | Path | None = None) -> str:
    """One line on an error of the system: the file, what is wrong with it, what to do.

    Args:
        error: of the system.
        path: of the file, where it is known better than the error knows it.
    """
    if error.errno is None:
        return str(error)
    what = TO_DO.get(error.errno) or f"{os.strerror(error.errno)}; look after the disk or the network, then run again"
    where = path or error.filename
    return f"{os.fsdecode(where)}: {what}" if isinstance(where, (str, bytes, os.PathLike)) else what


def looks_like_html(start: bytes) -> bool:
    """Whether a file's first bytes are a web page's."""
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return text.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml"))


def refuse_html(path: Path, origin: str | None = None) -> None:
    """Recognises a web page saved in an archive's place.

    Raises:
        DataError: for an HTML page, with where to get the file from where that is known.
    """
    with explained(path), open(path, "rb") as file:
        start = file.read(512)
    if looks_like_html(start):
        place = f" from {origin}" if origin else ""
        raise DataError(f"{path}: an HTML page, not the archive (a login page?); delete it, get it again{place}")
