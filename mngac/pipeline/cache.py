"""The artifact cache: what a stage made, kept under the digest of everything that it was made from.

Both engines and the command line share it, so switching engines, deleting outputs or changing a parameter and back
trains nothing again. It lies outside the workspace (`$MNGAC_CACHE`, by default ~/.cache/mngac). What comes out of it is
what went in, or nothing does. Nothing here imports torch.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mngac.params.errors import UserError, visible
from mngac.pipeline.atomic import atomic, beside, synchronise, write_text
from mngac.pipeline.fingerprint import file_digest
from mngac.pipeline.lease import Held, leased

SCHEMA = 1
OWN = Path(".mngac/cache")
"""Of a workspace whose cache may not be written: what is made there is kept here."""
LATEST = 2.0**32
"""Seconds since 1970 up to which an entry's time is one, and can be printed."""
KEY = re.compile(r"[0-9a-f]{64}")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
"""Names of files in an entry: none leads out of its folder."""


def cache_root() -> Path:
    """The cache's folder: `$MNGAC_CACHE` or ~/.cache/mngac.

    Raises:
        UserError: where there is no home folder to put it into, or something else in its place.
    """
    try:
        root = Path(os.environ.get("MNGAC_CACHE") or Path.home() / ".cache" / "mngac").expanduser().absolute()
    except RuntimeError as error:
        raise UserError("the cache: no home folder is known; set MNGAC_CACHE to a folder") from error
    for path in (root, *root.parents):
        if path.exists() and not path.is_dir():
            raise UserError(
                f"MNGAC_CACHE: found {path}, which is no folder; allowed: a folder, made where it is missing"
            )
    return root


def key_of(parts: dict[str, Any]) -> str:
    """SHA-256 of the parts, written as canonical JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class Damaged(Exception):  # noqa: N818
    """An entry is not what was stored: what is wrong with it, in a few words."""


@dataclass(frozen=True)
class Entry:
    """One cached result."""

    key: str
    folder: Path
    about: dict[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Entry:
        """The entry in a folder, as far as its entry.json can tell.

        Raises:
            Damaged: where that is not an entry's, or another key's.
            UserError: where it was written by another version of the cache.
        """
        about = folder / "entry.json"
        try:
            content = json.loads(about.read_bytes())
        except (FileNotFoundError, IsADirectoryError) as error:
            raise Damaged("entry.json: missing") from error
        except (ValueError, RecursionError) as error:
            raise Damaged("entry.json: no JSON") from error
        if not isinstance(content, dict) or not isinstance(content.get("schema"), int):
            raise Damaged("entry.json: no entry")
        if content["schema"] != SCHEMA:
            other = f"schema {content['schema']!r}; this version reads schema {SCHEMA}"
            raise UserError(f"{about}: {other}; delete its folder, or set MNGAC_CACHE to another")
        parts, outputs = content.get("parts"), content.get("outputs")
        if not isinstance(parts, dict) or key_of(parts) != folder.name:
            raise Damaged("entry.json: of another key")
        if not isinstance(parts.get("stage"), str) or not isinstance(parts.get("wildcards"), dict):
            raise Damaged("entry.json: no stage")
        if not isinstance(outputs, dict) or not all(NAME.fullmatch(name) for name in outputs):
            raise Damaged("entry.json: no outputs")
        stored = content.get("stored")
        if not isinstance(stored, float) or not 0 <= stored < LATEST:
            raise Damaged("entry.json: no time")
        return cls(folder.name, folder, content)

    @property
    def name(self) -> str:
        """Stage and wildcards, such as `train digits mng_ac 0`."""
        parts = self.about["parts"]
        return visible(" ".join([parts["stage"], *map(str, parts["wildcards"].values())]))

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(f.stat().st_size for f in self.folder.iterdir())

    def check(self) -> None:
        """Compares every file with its digest.

        Raises:
            Damaged: naming the first that differs.
        """
        for name, digest in self.about["outputs"].items():
            _check(self.folder / name, name, digest)

    def holds(self, outputs: dict[str, str]) -> bool:
        """Whether files have the bytes of the outputs of these names."""
        digests = self.about["outputs"]
        return digests.keys() == outputs.keys() and all(file_digest(outputs[name]) == digests[name] for name in digests)

    def restore(self, outputs: dict[str, str]) -> None:
        """Puts the outputs in place, all or none.

        Raises:
            Damaged: where a file is not what was stored, or is missing.
        """
        if set(self.about["outputs"]) != set(outputs):
            raise Damaged(f"it has {', '.join(self.about['outputs']) or 'no files'}")
        with contextlib.ExitStack() as stack:
            for name, path in outputs.items():
                temporary = stack.enter_context(atomic(path))
                if (self.folder / name).is_file():
                    shutil.copyfile(self.folder / name, temporary)
                _check(temporary, name, self.about["outputs"][name])  # the copy, which nobody else can change


def _check(path: Path, name: str, digest: str) -> None:
    if not path.is_file() or file_digest(path) != digest:
        raise Damaged(f"{name}: other bytes than were stored")


class Cache:
    """The cache in one folder.

    Where that may not be written, it is still asked; what is made is kept in the workspace (`OWN`).

    Args:
        root: by default `cache_root()`.
        tell: is told in one line what a user should know: on the standard error by default.
    """

    def __init__(self, root: Path | None = None, tell: Callable[[str], None] | None = None):
        self.asked = root or cache_root()
        self.tell = tell or (lambda text: print(f"mngac: {text}", file=sys.stderr))
        self.root = self.asked if _may_write(self.asked) else OWN.absolute()
        """Where entries, leases and checkpoints are written."""

    def folder(self, key: str) -> Path:
        """Where the entry of a key lies."""
        return self.root / "entries" / key[:2] / key

    def work(self, key: str) -> Path:
        """Where a run keeps its checkpoint, under its key: changed parameters never resume another run."""
        return self.root / "work" / key

    @property
    def leases(self) -> Path:
        """Where runs have their leases."""
        return self.root / "leases"

    @contextlib.contextmanager
    def lease(self, key: str, *, wait: bool = True) -> Iterator[None]:
        """The lease of a run; held from before the cache is asked until its outputs are in place.

        Raises:
            Held: where another process has it, and the caller would not wait.
            UserError: where another user's mode forbids it.
        """
        with contextlib.ExitStack() as stack:
            with _explained(self.root):
                stack.enter_context(leased(self.make(self.leases), key, self.tell, wait=wait))
                self._ask_anew(self.folder(key))
            yield

    def _ask_anew(self, folder: Path) -> None:
        """Lets what another host has just put into the cache be found.

        A client of a network file system may remember for a minute that there was no such folder. It asks its server
        again once it has itself written something beside it.
        """
        if not folder.is_dir():
            beside(self.make(folder.parent) / folder.name).unlink()

    def make(self, folder: Path) -> Path:
        """Makes a folder of the cache; where the cache's own is its group's, this one is, too.

        Raises:
            UserError: where another user's mode forbids it.
        """
        with _explained(self.root):
            for path in reversed((folder, *folder.parents)):
                if not path.exists():
                    _make(path, self.root)
            folder.mkdir(exist_ok=True)
        return folder

    def find(self, key: str) -> Entry | None:
        """The entry of a key; a damaged one is dropped, with a line that says so.

        Raises:
            UserError: where the entry was written by another version of the cache, or another user's mode forbids it.
        """
        for root in dict.fromkeys((self.root, self.asked)):
            folder = root / "entries" / key[:2] / key
            with _explained(root):
                if folder.is_dir():
                    try:
                        return Entry.read(folder)
                    except Damaged as damage:
                        self._drop(folder, damage)
        return None

    def restore(self, entry: Entry, outputs: dict[str, str]) -> bool:
        """Puts an entry's outputs in place; False, and the entry is dropped, where it is damaged."""
        try:
            entry.restore(outputs)
        except Damaged as damage:
            self._drop(entry.folder, damage)
            return False
        return True

    def _drop(self, folder: Path, damage: Damaged) -> None:
        if not folder.is_relative_to(self.root):
            self.tell(f"{folder}: damaged ({damage}); it is left out")
            return
        self.tell(f"{folder}: damaged ({damage}); it is dropped and made again")
        _remove(folder)

    def store(self, key: str, parts: dict[str, Any], made: Path) -> Entry:
        """Makes a folder of outputs the key's entry.

        Where another process stored the same key meanwhile, its entry stays and the folder goes.

        Raises:
            UserError: where the cache may not be written.
        """
        digests = {path.name: file_digest(path) for path in sorted(made.iterdir())}
        about = {"schema": SCHEMA, "parts": parts, "outputs": digests, "stored": time.time()}
        write_text(made / "entry.json", json.dumps(about, indent=1))
        for path in made.iterdir():
            synchronise(path)
            _share(path, self.root)
        _share(made, self.root)
        target = self.folder(key)
        self.make(target.parent)
        with _explained(self.root):
            while not _moved(made, target):
                with contextlib.suppress(Damaged):
                    there = Entry.read(target)
                    there.check()
                    if there.about["outputs"].keys() == digests.keys():
                        shutil.rmtree(made)
                        break
                _remove(target)
        synchronise(target.parent)
        return Entry.read(target)

    def done(self, key: str) -> None:
        """Clears away what a run that is over kept to resume from."""
        shutil.rmtree(self.work(key), ignore_errors=True)

    def entries(self) -> list[Entry]:
        """All entries, newest first; those of another version are left out, damaged ones dropped."""
        found = []
        for root in dict.fromkeys((self.root, self.asked)):
            for folder in root.glob("entries/*/*"):
                with contextlib.suppress(UserError):
                    entry = self.find(folder.name) if KEY.fullmatch(folder.name) else None
                    if entry and entry.folder == folder:
                        found.append(entry)
        return sorted(found, key=lambda e: -e.about["stored"])

    def nearest(self, parts: dict[str, Any]) -> Entry | None:
        """The newest entry of the same stage and wildcards."""
        same = [
            e
            for e in self.entries()
            if (e.about["parts"]["stage"], e.about["parts"]["wildcards"]) == (parts["stage"], parts["wildcards"])
        ]
        return same[0] if same else None

    def prune(self, older_than_days: float) -> list[Entry]:
        """Removes entries stored longer ago, and work folders untouched as long; a run in progress keeps its own.

        Returns:
            the entries that are gone.
        """
        limit = time.time() - older_than_days * 86400
        old = [e for e in self.entries() if e.about["stored"] < limit and e.folder.is_relative_to(self.root)]
        idle = [work for work in self.root.glob("work/*") if _touched(work) < limit]
        gone = []
        for entry in old:
            with contextlib.suppress(Held), self.lease(entry.key, wait=False):
                shutil.rmtree(entry.folder, ignore_errors=True)
                gone.append(entry)
        for work in idle:
            with contextlib.suppress(Held), self.lease(work.name, wait=False):
                shutil.rmtree(work, ignore_errors=True)
        return gone


def _touched(folder: Path) -> float:
    """When something in a folder was last written; now, where a run clears it away meanwhile."""
    try:
        return max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
    except FileNotFoundError:
        return time.time()


def _remove(folder: Path) -> None:
    """Removes a damaged entry.

    Raises:
        UserError: where that is not allowed, before anything is computed that could not take its place.
    """
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        raise UserError(f"{folder}: damaged, and may not be removed; remove it as its owner, then run again")


def _may_write(root: Path) -> bool:
    """Whether the folder, or the nearest one above it that exists, may be written."""
    nearest = next(path for path in (root, *root.parents) if path.exists())
    return os.access(nearest, os.W_OK | os.X_OK)


def _moved(folder: Path, target: Path) -> bool:
    """Renames a folder, unless something is in its new place."""
    try:
        folder.rename(target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    return True


def _make(folder: Path, root: Path) -> None:
    """Makes one folder of a cache, its group's from the first moment where the cache is; leaves one that is there."""
    before = os.umask(0)
    os.umask(0 if _shared(root) else before)
    try:
        folder.mkdir(_shared(root) & 0o777 or 0o777)
    except FileExistsError:
        return
    finally:
        os.umask(before)
    _share(folder, root)


def _share(path: Path, root: Path) -> None:
    """Gives a path of a cache that is writable for its group the same mode; others are as the umask says."""
    if mode := _shared(root):
        path.chmod(mode & (0o7777 if path.is_dir() else 0o666))


def _shared(root: Path) -> int:
    """The mode of a cache that is writable for its group; 0 for any other."""
    mode = root.stat().st_mode if root.exists() else 0
    return mode if mode & 0o020 else 0


@contextlib.contextmanager
def _explained(root: Path) -> Iterator[None]:
    """Says how users share a cache, in place of the system's error where they do not.

    Raises:
        UserError: in place of PermissionError.
    """
    try:
        yield
    except PermissionError as error:
        mend = "chgrp -R GROUP . && chmod -R g+rwX . && find . -type d -exec chmod g+s {} +"
        what = "no permission in it; users who share a cache need a group of their own; its owner says in it"
        raise UserError(f"{root}: {what}: {mend}") from error


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """Lines `path: old -> new` for every leaf in which two nested dictionaries differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = dict.fromkeys([*old, *new])
        lines = [differences(old.get(k), new.get(k), f"{path}.{k}" if path else str(k)) for k in keys]
        return [line for group in lines for line in group]
    return [] if old == new else [f"{path}: {json.dumps(old)} -> {json.dumps(new)}"]
