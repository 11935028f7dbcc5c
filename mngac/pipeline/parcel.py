"""Entries of a cache in one file, for somebody else's cache: a tar archive of <key>/<file>.

What is taken in is checked as what is taken out: each entry's key is the digest of its parts, and its files have the
digests that it states. Whether those files come from those parts, only its sender can know.
"""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path

from mngac.params.errors import UserError, cut, shown
from mngac.pipeline.atomic import atomic
from mngac.pipeline.cache import KEY, NAME, Cache, Damaged, Entry


def pack(entries: Iterable[Entry], path: str | Path) -> int:
    """Writes whole entries into a file; how many.

    Raises:
        UserError: for an entry that is damaged.
    """
    count = 0
    with atomic(path) as temporary, tarfile.open(temporary, "w") as archive:
        for entry in entries:
            try:
                entry.check()
            except Damaged as damage:
                raise UserError(f"{entry.folder}: damaged ({damage}); delete it and run its stage again") from damage
            for name in ("entry.json", *entry.about["outputs"]):
                archive.add(entry.folder / name, f"{entry.key}/{name}", recursive=False)
            count += 1
    return count


def unpack(cache: Cache, path: str | Path) -> tuple[int, int]:
    """Takes the entries of a file into a cache: how many, and how many were there already.

    Raises:
        UserError: for a file that `pack` did not write, or that is damaged; what came before the damage stays.
    """
    new = known = 0
    try:
        with tarfile.open(path, "r:") as archive:
            for key, members in _entries(archive):
                with cache.lease(key):
                    if cache.find(key):
                        known += 1
                        continue
                    _take(cache, key, archive, members)
                    cache.done(key)
                    new += 1
    except (UserError, OSError):
        raise
    except Exception as error:  # rubbish raises anything
        what = "; allowed: a file that `mngac cache export` wrote, whole"
        raise UserError(f"{path}: found {cut(str(error)) or 'no archive'}{what}") from error
    return new, known


def _entries(archive: tarfile.TarFile) -> Iterable[tuple[str, list[tarfile.TarInfo]]]:
    """The members by key.

    Raises:
        Damaged: for a name that could lead elsewhere, or anything but a plain file.
    """
    found: dict[str, list[tarfile.TarInfo]] = {}
    for member in archive.getmembers():
        key, _, name = member.name.partition("/")
        if not KEY.fullmatch(key) or not NAME.fullmatch(name) or not member.isreg() or member.sparse is not None:
            raise Damaged(shown(member.name))
        found.setdefault(key, []).append(member)
    return found.items()


def _take(cache: Cache, key: str, archive: tarfile.TarFile, members: list[tarfile.TarInfo]) -> None:
    """Stores one entry, once it is whole and its own."""
    folder = cache.work(key) / key
    shutil.rmtree(folder, ignore_errors=True)
    cache.make(folder)
    for member in members:
        content = archive.extractfile(member)
        if content is not None:
            with content, open(folder / member.name.partition("/")[2], "wb") as file:
                shutil.copyfileobj(content, file)
    entry = Entry.read(folder)
    entry.check()
    (folder / "entry.json").unlink()
    if {file.name for file in folder.iterdir()} != set(entry.about["outputs"]):
        raise Damaged(f"{key}: other files than it states")
    cache.store(key, entry.about["parts"], folder)
