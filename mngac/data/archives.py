"""Folders, tar files and zip files read alike: one entry after the other, nothing trusted, nothing left on disk.

An archive is refused, not repaired, where an entry has an absolute or `..` path, or is a link or a device, and where it
holds more than its size lets expect.
"""

from __future__ import annotations

import lzma
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Self

from mngac.params.errors import DataError, UserError, cut, shown
from mngac.pipeline.files import demand, explained, files, refuse_html

BROKEN = (
    *(tarfile.TarError, zipfile.BadZipFile, zipfile.LargeZipFile, lzma.LZMAError, zlib.error, EOFError),
    *(ValueError, OverflowError, NotImplementedError, RuntimeError, IndexError, KeyError, struct.error),
)
"""What the standard library raises on archives that are none, or have odd heads."""
HEADS = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
"""Types of entries that say something of another entry: they are read whole into memory."""
BLOCK = 1 << 20
TRUSTED = "refused, get it from somebody you trust, or give a folder"
MOST_ENTRIES = 5_000_000
MOST_NAMES = 1 << 20
"""Bytes of a tar's longest name or list of facts about an entry."""
UNSUSPECTED = 1 << 32
"""Bytes that any archive may unpack to;"""
MOST_TIMES = 100
"""and beyond those, so many times its own."""


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

    def read(self, most: int) -> bytes:
        """Its content.

        Raises:
            DataError: for one of more than `most` bytes.
        """
        with self.reading() as file:
            content = file.read(most + 1)
        if len(content) > most:
            raise DataError(f"{self.place}: more than {most:,} bytes; allowed: fewer; make it smaller or remove it")
        return content


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
    except UserError:
        raise
    except BROKEN as error:
        raise _broken(path, str(error)) from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise _broken(path, str(error)) from error


def _broken(path: Path, why: str) -> DataError:
    why = cut(why) or "ends too early"
    return DataError(f"{path}: truncated, broken or no tar or zip file ({why}); get the file again")


class HeadError(tarfile.TarError):
    """An entry's head says what none says."""


class _Member(tarfile.TarInfo):
    """An entry whose head is looked at before anything that it announces is read."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """The entry of a head of 512 bytes.

        Raises:
            HeadError: for a size that no right archive has.
        """
        member = super().frombuf(buf, encoding, errors)
        if member.size < 0 or (member.type in HEADS and member.size > MOST_NAMES):
            raise HeadError(f"an entry's head says {member.size:,} bytes")
        return member


class _Budget:
    """What an archive may hold, by its own size."""

    def __init__(self, path: Path):
        self.path, self.count = path, 0
        self.most = max(UNSUSPECTED, MOST_TIMES * path.stat().st_size)

    def count_entry(self, unpacked: int) -> None:
        """One more entry, and the bytes up to its end.

        Raises:
            DataError: where there are too many of either.
        """
        self.count += 1
        if self.count > MOST_ENTRIES:
            raise DataError(f"{self.path}: holds more than {MOST_ENTRIES:,} entries; {TRUSTED}")
        self.check(unpacked)

    def check(self, unpacked: int) -> None:
        """Compares the bytes up to here.

        Raises:
            DataError: where the archive is a bomb.
        """
        if unpacked > self.most:
            raise DataError(f"{self.path}: unpacks to more than {self.most:,} bytes (a bomb?); {TRUSTED}")


def _tar_entries(path: Path) -> Iterator[Entry]:
    budget = _Budget(path)
    with tarfile.open(path, "r:*", tarinfo=_Member) as archive:
        while (member := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]
            budget.count_entry(max(archive.offset, member.offset_data + member.size))
            if member.isdir():
                continue
            if not member.isreg():
                what = "a link" if member.issym() or member.islnk() else "a device or special file"
                raise DataError(f"{path}: {shown(member.name)} is {what}; archives may hold folders and files alone")
            name = _safe(path, member.name)
            yield Entry(path, name, lambda m=member: archive.extractfile(m))  # type: ignore[misc,arg-type]
        _check_end(path, archive, budget)


def _check_end(path: Path, archive: tarfile.TarFile, budget: _Budget) -> None:
    """A tar ends with zeros, and its compression with a checksum; either is missing from a truncated file."""
    file = archive.fileobj
    assert file is not None
    file.seek(archive.offset)
    if file.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
        raise _broken(path, "its end is missing")
    while file.read(BLOCK):
        budget.check(file.tell())


def _zip_entries(path: Path) -> Iterator[Entry]:
    budget, unpacked = _Budget(path), 0
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            unpacked += info.file_size
            budget.count_entry(unpacked)
            if info.is_dir():
                continue
            mode = info.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                raise DataError(
                    f"{path}: {shown(info.filename)} is a link or special file; archives may hold files alone"
                )
            if info.flag_bits & 1:
                raise DataError(f"{path}: {shown(info.filename)} is encrypted; unpack it and give the folder")
            yield Entry(path, _safe(path, info.filename), lambda i=info: archive.open(i))  # type: ignore[misc]


def _safe(path: Path, name: str) -> str:
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or (parts.parts and parts.parts[0].endswith(":")):
        raise DataError(f"{path}: {shown(name)} leads out of the archive; refused, get it from somebody you trust")
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
