"""The artifact cache: what a stage made, kept under the digest of everything that it was made from.

Both engines and the command line share it, so switching engines, deleting outputs or changing a parameter and back
trains nothing again. It lies outside the workspace (`$MNGAC_CACHE`, by default ~/.cache/mngac). Nothing here imports
torch.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mngac.params.errors import UserError
from mngac.pipeline.fingerprint import file_digest

SCHEMA = 1


def cache_root() -> Path:
    """The cache's folder: `$MNGAC_CACHE` or ~/.cache/mngac."""
    return Path(os.environ.get("MNGAC_CACHE") or Path.home() / ".cache" / "mngac").absolute()


def key_of(parts: dict[str, Any]) -> str:
    """SHA-256 of the parts, written as canonical JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well, and vanishes when it does not."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Writes a text file atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@dataclass(frozen=True)
class Entry:
    """One cached result."""

    key: str
    folder: Path
    about: dict[str, Any]

    @property
    def name(self) -> str:
        """Stage and wildcards, such as `train digits mng_ac 0`."""
        return " ".join([self.about["parts"]["stage"], *map(str, self.about["parts"]["wildcards"].values())])

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(f.stat().st_size for f in self.folder.iterdir())

    def restore(self, outputs: dict[str, str]) -> bool:
        """Puts the outputs in place; False, and the entry is gone, where its files are not what they were."""
        digests = self.about["outputs"]
        if set(digests) != set(outputs):
            return False
        if not all(self._intact(name, digest) for name, digest in digests.items()):
            shutil.rmtree(self.folder)
            return False
        for name, path in outputs.items():
            with atomic(path) as temporary:
                shutil.copyfile(self.folder / name, temporary)
        return True

    def _intact(self, name: str, digest: str) -> bool:
        stored = self.folder / name
        return stored.exists() and file_digest(stored) == digest


class Cache:
    """The cache in one folder."""

    def __init__(self, root: Path | None = None):
        self.root = root or cache_root()

    def folder(self, key: str) -> Path:
        """Where the entry of a key lies."""
        return self.root / "entries" / key[:2] / key

    def work(self, key: str) -> Path:
        """Where a run keeps its checkpoint, under its key: changed parameters never resume another run."""
        return self.root / "work" / key

    def lock(self, key: str) -> FileLock:
        """The lock of a run; held from before the cache is asked until its outputs are in place."""
        locks = self.root / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        return FileLock(locks / f"{key}.lock")

    def find(self, key: str) -> Entry | None:
        """The entry of a key.

        Raises:
            UserError: where the entry was written by another version of the cache.
        """
        about = self.folder(key) / "entry.json"
        if not about.exists():
            return None
        content = json.loads(about.read_text())
        if content.get("schema") != SCHEMA:
            raise UserError(f"{about}: schema {content.get('schema')!r}; this version reads schema {SCHEMA}")
        return Entry(key, about.parent, content)

    def store(self, key: str, parts: dict[str, Any], outputs: dict[str, str]) -> None:
        """Keeps a stage's outputs; a file that is there already under the key is replaced as a whole."""
        target = self.folder(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(dir=target.parent, prefix=".new-"))
        try:
            digests = {}
            for name, path in outputs.items():
                shutil.copyfile(path, staging / name)
                digests[name] = file_digest(staging / name)
            about = {"schema": SCHEMA, "parts": parts, "outputs": digests, "stored": time.time()}
            (staging / "entry.json").write_text(json.dumps(about, indent=1))
            if target.exists():
                shutil.rmtree(target)
            staging.replace(target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        shutil.rmtree(self.work(key), ignore_errors=True)

    def entries(self) -> list[Entry]:
        """All entries, newest first; those of another version are left out."""
        readable = []
        for about in self.root.glob("entries/*/*/entry.json"):
            with contextlib.suppress(UserError):
                entry = self.find(about.parent.name)
                if entry:
                    readable.append(entry)
        return sorted(readable, key=lambda e: -e.about["stored"])

    def nearest(self, parts: dict[str, Any]) -> Entry | None:
        """The newest entry of the same stage and wildcards."""
        same = [
            e
            for e in self.entries()
            if (e.about["parts"]["stage"], e.about["parts"]["wildcards"]) == (parts["stage"], parts["wildcards"])
        ]
        return same[0] if same else None

    def prune(self, older_than_days: float) -> list[Entry]:
        """Removes entries stored longer ago, and work folders untouched as long; a run in progress keeps its own."""
        limit = time.time() - older_than_days * 86400
        gone = [e for e in self.entries() if e.about["stored"] < limit]
        idle = [work for work in self.root.glob("work/*") if work.stat().st_mtime < limit]
        for folder in [*(entry.folder for entry in gone), *idle]:
            with contextlib.suppress(Timeout), self.lock(folder.name).acquire(blocking=False):
                shutil.rmtree(folder, ignore_errors=True)
        return gone


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """Lines `path: old -> new` for every leaf in which two nested dictionaries differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = dict.fromkeys([*old, *new])
        lines = [differences(old.get(k), new.get(k), f"{path}.{k}" if path else str(k)) for k in keys]
        return [line for group in lines for line in group]
    return [] if old == new else [f"{path}: {json.dumps(old)} -> {json.dumps(new)}"]
