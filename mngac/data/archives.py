"""Folders, tar files and zip files read alike: one entry after the other, nothing trusted, nothing left on disk.

An archive is refused, not repaired, where an entry has an absolute or `..` path, or is a link or a device.
"""

from __future__ import annotations

import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from mngac.params.errors import DataError
from mngac.pipeline.files import demand, explained, files, refuse_html

BROKEN = (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, EOFError)
BLOCK = 1 << 20


@dataclass(frozen=True)
class Entry:
    """A regular file: its path inside the source, and how to open it until the next entry is asked for."""

    source: Path
    name: str
    open: Callable[[], IO[bytes]]

    @property
    def place(self) -> str:
        """Where it is, for messages."""
        return str(self.source / self.name) if self.source.is_dir() else f"{self.source}: {self.name}"

    @contextmanager
    def reading(self) -> Iterator[IO[bytes]]:
        """Its content as a file; what goes wrong while it is read is said in one line."""
        with whole(self.source), explained(self.place), self.open() as file:
            yield file

    def read(self) -> bytes:
        """Its content."""
        with self.reading() as file:
            return file.read()


def entries(source: str | Path) -> Iterator[Entry]:
    """Every regular file of a folder (sorted) or of a tar or zip file (in its order).

    Raises:
        DataError: for a source that is missing, unreadable, truncated or dangerous.
    """
    path = demand(source)
    if path.is_dir():
        for file in files(path):
            yield Entry(path, file.relative_to(path).as_posix(), lambda file=file: file.open("rb"))  # type: ignore[misc]
        return
    refuse_html(path)
    with whole(path):
        if zipfile.is_zipfile(path):
            yield from _zip_entries(path)
        else:
            yield from _tar_entries(path)


@contextmanager
def whole(path: Path) -> Iterator[None]:
    """Says of what reading a broken archive raises that it is broken."""
    try:
        yield
    except BROKEN as error:
        raise _broken(path, str(error)) from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise _broken(path, str(error)) from error


def _broken(path: Path, why: str) -> DataError:
    why = " ".join(why.split()) or "ends too early"
    return DataError(f"{path}: truncated, broken or no tar or zip file ({why}); get the file again")


def _tar_entries(path: Path) -> Iterator[Entry]:
    with tarfile.open(path, "r:*") as archive:
        while (member := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]
            if member.isdir():
                continue
            if not member.isreg():
                what = "a link" if member.issym() or member.islnk() else "a device or special file"
                raise DataError(f"{path}: {member.name!r} is {what}; archives may hold folders and files alone")
            name = _safe(path, member.name)
            yield Entry(path, name, lambda m=member: archive.extractfile(m))  # type: ignore[misc,arg-type]
        _check_end(path, archive)


def _check_end(path: Path, archive: tarfile.TarFile) -> None:
    """A tar ends with zeros, and its compression with a checksum; either is missing from a truncated file."""
    file = archive.fileobj
    assert file is not None
    file.seek(archive.offset)
    if file.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
        raise _broken(path, "its end is missing")
    while file.read(BLOCK):
        pass


def _zip_entries(path: Path) -> Iterator[Entry]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            mode = info.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                raise DataError(f"{path}: {info.filename!r} is a link or special file; archives may hold files alone")
            if info.flag_bits & 1:
                raise DataError(f"{path}: {info.filename!r} is encrypted; unpack it and give the folder")
            yield Entry(path, _safe(path, info.filename), lambda i=info: archive.open(i))  # type: ignore[misc]


def _safe(path: Path, name: str) -> str:
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or (parts.parts and parts.parts[0].endswith(":")):
        raise DataError(f"{path}: {name!r} leads out of the archive; refused, get it from somebody you trust")
    return parts.as_posix()


def unpack(source: str | Path, wanted: list[str], folder: Path) -> list[str]:
    """Puts the wanted files, wherever in a tar or zip they stand, into a folder; returns those that were not there.

    Raises:
        DataError: for an archive that `entries` refuses, or a folder that can't be written.
    """
    missing = list(wanted)
    for entry in entries(source):
        name = next((w for w in missing if f"/{entry.name}".endswith(f"/{w}")), None)
        if name is None:
            continue
        target = folder / name
        with explained(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file, entry.reading() as content:
                shutil.copyfileobj(content, file, BLOCK)
        missing.remove(name)
    return missing
