"""How one thing in the project's folder is spoiled: functions of the folder, for the tables of cases beside this file.

A case is a line: (name, command, what the error's line says, how the folder is spoiled). The command is split as a
shell would; where a function of the folder has a second argument, it is pytest's monkeypatch.
"""

from __future__ import annotations

import errno
import io
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import torch
import yaml
from bad_input.project import changed_json, changed_tensors
from PIL import Image
from tiny_data import encoded, pixels

Spoil = Callable[..., object]
Case = tuple[str, str, list[str], Spoil]

DATA = "data --dataset digits"
OWN = "data --dataset mine --loader folder --out out/mine.safetensors --source"
TRAIN = "train --dataset digits --method nat --seed 0"
SEMI = "train_semi --dataset digits --method rst_linf --seed 0"
EVALUATE = "evaluate --dataset digits --suite pgd --n 3 --out r.json --checkpoint"
FOREIGN = f"{EVALUATE} w.pt --model wrn_10_1"
COMPARE = "compare a.json b.json"
EXPORT = "export --checkpoint own.safetensors --record a.json --out exported"
IMPORT = "import-checkpoint w.pt --model wrn_10_1 --dataset digits --out new.safetensors"


class Planted:
    """A pickle of it writes a file when somebody runs it."""

    def __reduce__(self):
        return os.system, ("touch planted",)


def nothing(folder: Path) -> None:
    """Everything is right in the folder."""


def params(path: str, value: object) -> Spoil:
    """Another value, or a new key, at a dotted path of params.yaml."""

    def spoil(folder: Path) -> None:
        raw = yaml.safe_load((folder / "params.yaml").read_text())
        *above, last = path.split(".")
        node = raw
        for key in above:
            node = node[key]
        node[last] = value
        (folder / "params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))

    return spoil


def text(old: str, new: str) -> Spoil:
    """Another text in params.yaml."""

    def spoil(folder: Path) -> None:
        content = (folder / "params.yaml").read_text()
        assert old in content
        (folder / "params.yaml").write_text(content.replace(old, new, 1))

    return spoil


def file(name: str, content: bytes | Callable[[], bytes]) -> Spoil:
    """A file of another content."""
    return lambda folder: (folder / name).write_bytes(content if isinstance(content, bytes) else content())


def gone(name: str) -> Spoil:
    return lambda folder: (folder / name).unlink()


def halved(name: str) -> Spoil:
    return lambda folder: os.truncate(folder / name, (folder / name).stat().st_size // 2)


def in_place_of(name: str) -> Spoil:
    """A folder where a file should be."""

    def spoil(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).mkdir()

    return spoil


def json_of(name: str, **changes: object) -> Spoil:
    return lambda folder: changed_json(folder / name, **changes)


def tensors_of(name: str, about: dict | None = None, **changes: torch.Tensor | None) -> Spoil:
    return lambda folder: changed_tensors(folder / name, about or {}, **changes)


def torch_file(name: str, content: object) -> Spoil:
    return lambda folder: torch.save(content, folder / name)


def tar(name: str, *members: tuple[tarfile.TarInfo, bytes]) -> Spoil:
    def spoil(folder: Path) -> None:
        with tarfile.open(folder / name, "w:gz") as archive:
            for member, content in members:
                archive.addfile(member, io.BytesIO(content))

    return spoil


def member(name: str, content: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, content


def zip_of_zeros(folder: Path, patch) -> None:
    patch.setattr("mngac.data.archives.UNSUSPECTED", 1000)
    with zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train/ant/0.png", bytes(1 << 20))


def animation() -> bytes:
    out = io.BytesIO()
    frames = [Image.fromarray(pixels(key)) for key in (1, 2)]
    frames[0].save(out, "PNG", save_all=True, append_images=frames[1:])
    return out.getvalue()


def wide_image() -> bytes:
    """A PNG whose head says 60,000 x 60,000 pixels."""
    head = bytearray(encoded(pixels(1)))
    head[16:24] = (60_000).to_bytes(4, "big") * 2
    head[29:33] = zlib.crc32(head[12:29]).to_bytes(4, "big")
    return bytes(head)


def raising(name: str, error: Exception) -> Spoil:
    """A function of the package, or of the library, that raises."""

    def refuse(*_: object, **__: object) -> None:
        raise error

    return lambda folder, patch: patch.setattr(name, refuse)


def full_disk(name: str) -> Spoil:
    return raising(name, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))


def no_home(folder: Path, patch) -> None:
    patch.delenv("MNGAC_CACHE")
    patch.delenv("HOME")
    patch.setattr("os.path.expanduser", lambda path: path)


def cache_at(path: str) -> Spoil:
    return lambda folder, patch: patch.setenv("MNGAC_CACHE", path)


def deep(depth: int) -> str:
    return "[" * depth + "]" * depth
