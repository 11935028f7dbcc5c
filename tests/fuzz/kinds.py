"""Kinds of files that are spoilt: what is written for a case, who reads it in process, and which command does."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import random
import shutil
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from bad_input.project import changed_tensors
from fuzz.spoilt import ODD, Planted, respelt, spoilt
from PIL import Image
from tiny_data import pixels

from mngac import tensors
from mngac.data import store
from mngac.data.archives import entries
from mngac.data.images import Decoder
from mngac.data.pool import read_pool
from mngac.data.pseudo_labels import load_pseudo_labels
from mngac.exchange.model_card import results
from mngac.models.foreign import load_foreign
from mngac.models.opened import open_classifier
from mngac.params.checks import load
from mngac.pipeline.cache import Cache, key_of
from mngac.pipeline.parcel import unpack
from mngac.pipeline.progress import Log
from mngac.results import records
from mngac.results.compare import report

SHAPE = (1, 8, 8)
DATA = "data/digits.safetensors"
LABELS = "trained/digits/pseudo_labels/seed0.safetensors"
FOREIGN = "evaluate --dataset digits --suite pgd --n 2 --model wrn_10_1 --out r.json --checkpoint"
OWN = "data --dataset mine --loader folder --out out/mine.safetensors --source"
PARTS = {"stage": "train", "wildcards": {"dataset": "digits", "method": "nat", "seed": "0"}, "params": {"beta": 12.0}}


@dataclass(frozen=True)
class Kind:
    """A kind of file: `write` puts a spoilt one into the folder, `read` reads it, and so does `command`."""

    write: Callable[[Path, Path, random.Random], None]
    """(the right project, the folder, random numbers)"""
    read: Callable[[Path], object]
    command: str


def binary(*names: str) -> Callable[[Path, Path, random.Random], None]:
    """Bytes of one of several files spoilt, under the first one's name."""

    def write(right: Path, folder: Path, rng: random.Random) -> None:
        (folder / names[0]).write_bytes(spoilt((right / rng.choice(names)).read_bytes(), rng))

    return write


def _params(right: Path, folder: Path, rng: random.Random) -> None:
    content = (right / "params.yaml").read_bytes()
    if rng.random() < 0.5:
        content = yaml.safe_dump(respelt(yaml.safe_load(content), rng), sort_keys=False).encode(errors="replace")
    (folder / "params.yaml").write_bytes(spoilt(content, rng) if rng.random() < 0.5 else content)


def _record(right: Path, folder: Path, rng: random.Random) -> None:
    content = (right / "a.json").read_bytes()
    if rng.random() < 0.7:
        content = json.dumps(respelt(json.loads(content), rng), ensure_ascii=rng.random() < 0.5).encode()
    (folder / "a.json").write_bytes(spoilt(content, rng) if rng.random() < 0.3 else content)


def _read_record(folder: Path) -> None:
    record = records.read(folder / "a.json")
    results(record)
    report([record], [record], images=True)


def _of_tensors(name: str, *, digest: bool = False) -> Callable[[Path, Path, random.Random], None]:
    """Facts and tensors of a file spoilt, or its bytes; with `digest`, that of the data set set right again."""

    def write(right: Path, folder: Path, rng: random.Random) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if rng.random() < 0.3:
            return binary(name)(right, folder, rng)
        shutil.copy(right / name, folder / name)
        content, about = tensors.read(right / name)
        chosen = rng.sample(sorted(content), min(len(content), rng.randrange(3)))
        changes = {key: _other_tensor(content[key], rng) for key in chosen}
        if digest and rng.random() < 0.7:
            try:
                parts = {**content, **changes}
                splits = {s: store.Split(*(parts[f"{s}.{f}"] for f in store.FIELDS)) for s in store.SPLITS}
                about["digest"] = store.digest_of(splits)
            except (AttributeError, TypeError, RuntimeError):
                pass  # a tensor that has no digest
        about = respelt(about, rng) if rng.random() < 0.6 else about
        return changed_tensors(folder / name, about if isinstance(about, dict) else {}, **changes)

    return write


def _labels(right: Path, folder: Path, rng: random.Random) -> None:
    """Pseudo-labels spoilt, beside data that are right."""
    shutil.copy(right / DATA, folder / DATA)
    _of_tensors(LABELS)(right, folder, rng)


def _other_tensor(tensor: torch.Tensor, rng: random.Random) -> torch.Tensor | None:
    kinds: list[Callable[[], torch.Tensor | None]] = [
        lambda: None,
        lambda: tensor[:0] if tensor.ndim else tensor,
        lambda: tensor.reshape(-1),
        lambda: tensor.to(rng.choice((torch.float32, torch.int64, torch.uint8, torch.bool, torch.float16))),
        lambda: torch.full_like(tensor, rng.choice((0, 1, 7, 200))),
        lambda: tensor[None],
        lambda: torch.full(tensor.shape, float("nan")),
    ]
    return rng.choice(kinds)()


def _torch_file(right: Path, folder: Path, rng: random.Random) -> None:
    if rng.random() < 0.5:
        return binary("w.pt", "legacy.pth")(right, folder, rng)
    weights = dict(torch.load(right / "legacy.pth", weights_only=True))
    for name in rng.sample(sorted(weights), 2):
        weights[name] = rng.choice((_other_tensor(weights[name], rng), Planted(), rng.choice(ODD)))
    content: Any = rng.choice((weights, {"state_dict": weights, "epoch": rng.choice(ODD)}, Planted(), [weights]))
    torch.save(content, folder / "w.pt", _use_new_zipfile_serialization=rng.random() < 0.5)
    if rng.random() < 0.3:
        (folder / "w.pt").write_bytes(spoilt((folder / "w.pt").read_bytes(), rng))
    return None


def _entry(right: Path, folder: Path, rng: random.Random) -> None:
    """A cache with one entry, spoilt in its entry.json or its output."""
    root = folder / "cache"
    shutil.rmtree(root, ignore_errors=True)
    parts = respelt(PARTS, rng) if rng.random() < 0.5 else PARTS
    key = key_of(parts) if isinstance(parts, dict) else key_of({})
    home = root / "entries" / key[:2] / key
    home.mkdir(parents=True)
    (home / "out").write_bytes(b"weights")
    digest = "9e1b7b4c4cd8d5b1d5b8a9f5f35c6a8f" * 2
    about: Any = {"schema": 1, "parts": parts, "outputs": {"out": digest}, "stored": 1.7e9}
    about = respelt(about, rng) if rng.random() < 0.6 else about
    content = json.dumps(about).encode()
    (home / "entry.json").write_bytes(spoilt(content, rng) if rng.random() < 0.4 else content)


def _parcel(right: Path, folder: Path, rng: random.Random) -> None:
    """An exported cache of one entry, spoilt."""
    shutil.rmtree(folder / "cache", ignore_errors=True)
    about = {"schema": 1, "parts": PARTS, "outputs": {"out": hashlib.sha256(b"weights").hexdigest()}, "stored": 1.7e9}
    about = respelt(about, rng) if rng.random() < 0.5 else about
    names = [f"{key_of(PARTS)}/{name}" for name in ("entry.json", "out")]
    with tarfile.open(folder / "parcel", "w", format=rng.choice((tarfile.GNU_FORMAT, tarfile.PAX_FORMAT))) as archive:
        for name, content in zip(names, (json.dumps(about).encode(), b"weights"), strict=True):
            member = tarfile.TarInfo(name if rng.random() < 0.9 else rng.choice(("../x", f"{name}/x", "x" * 300)))
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    if rng.random() < 0.5:
        (folder / "parcel").write_bytes(spoilt((folder / "parcel").read_bytes(), rng))


def _read_cache(folder: Path) -> None:
    """A damaged entry is dropped with a line, and its output never comes out."""
    cache = Cache(folder / "cache", lambda text: None)
    for entry in cache.entries():
        print(entry.name, entry.size, file=io.StringIO())
    cache.nearest(PARTS)
    entry = cache.find(key_of(PARTS))
    if entry:
        assert not cache.restore(entry, {"out": str(folder / "restored")})


def _archive(right: Path, folder: Path, rng: random.Random) -> None:
    if rng.random() < 0.6:
        return binary("tree.zip", "tree.tar", "tree.tar.gz")(right, folder, rng)
    names = ["train/ant/0.png", "../x", "/x", "train/ant/a\nb.png", "train//ant/0.png", "x" * 3000, "", ".", "train"]
    types = (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE)
    with tarfile.open(folder / "tree.zip", rng.choice(("w", "w:gz"))) as archive:
        for _ in range(rng.randrange(1, 6)):
            member = tarfile.TarInfo(rng.choice(names))
            member.type = rng.choice(types)
            member.linkname = rng.choice(names)
            content = rng.randbytes(rng.randrange(600))
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    if rng.random() < 0.5:
        (folder / "tree.zip").write_bytes(spoilt((folder / "tree.zip").read_bytes(), rng))
    return None


def _read_archive(folder: Path) -> None:
    for entry in entries(folder / "tree.zip"):
        entry.read(1 << 20)


def _image(right: Path, folder: Path, rng: random.Random) -> None:
    out = io.BytesIO()
    modes = ("L", "RGB", "RGBA", "P", "1", "CMYK", "I;16")
    form = rng.choice(("PNG", "JPEG", "GIF", "TIFF", "WEBP"))
    image = Image.fromarray(pixels(rng.randrange(99), rng.choice((1, 8, 9))))
    try:
        image.convert(rng.choice(modes)).save(out, form, save_all=rng.random() < 0.2, append_images=[image])
    except (OSError, ValueError, TypeError, KeyError):
        image.save(out, "PNG")
    (folder / "x.png").write_bytes(spoilt(out.getvalue(), rng) if rng.random() < 0.8 else out.getvalue())


def _read_image(folder: Path) -> None:
    content = (folder / "x.png").read_bytes()
    for decoder in (Decoder(), Decoder(8, rgb=True)):
        decoder("x.png", content)


def _pickle(right: Path, folder: Path, rng: random.Random) -> None:
    good = {"data": np.zeros((3, 8, 8, 1), np.uint8), "extrapolated_targets": np.arange(3)}
    other: list[Any] = [Planted(), *ODD, np.array([Planted()], dtype=object), np.zeros(3), {"data": Planted()}]
    content = {**good, rng.choice(("data", "extrapolated_targets", "extra")): rng.choice(other)}
    whole = rng.choice((content, content, good, rng.choice(other)))
    made = pickle.dumps(whole, protocol=rng.randrange(6))
    (folder / "pool.pkl").write_bytes(spoilt(made, rng) if rng.random() < 0.7 else made)


def _array(right: Path, folder: Path, rng: random.Random) -> None:
    out = io.BytesIO()
    made = rng.choice((np.zeros((3, 8, 8, 1), np.uint8), np.zeros(3), np.array([Planted()], dtype=object)))
    if rng.random() < 0.1:
        np.savez(out, made)
    else:
        np.save(out, made, allow_pickle=True)
    (folder / "pool.npy").write_bytes(spoilt(out.getvalue(), rng) if rng.random() < 0.8 else out.getvalue())


def _zip(right: Path, folder: Path, rng: random.Random) -> None:
    """A zip whose heads lie: spoilt near its end, where its list of files stands."""
    out = io.BytesIO()
    with (
        warnings.catch_warnings(action="ignore"),
        zipfile.ZipFile(out, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA))) as archive,
    ):
        archive.writestr("train/ant/0.png", bytes(rng.randrange(5000)))
        archive.writestr(rng.choice(("../x", "train/ant/1.png", "train/ant/0.png")), b"x")
    content = out.getvalue()
    (folder / "tree.zip").write_bytes(content[:-300] + spoilt(content[-300:], rng))


KINDS = {
    "params": Kind(_params, lambda f: load(str(f / "params.yaml")), "explain data --dataset digits"),
    "record": Kind(_record, _read_record, "compare a.json a.json"),
    "own checkpoint": Kind(
        _of_tensors("own.safetensors"),
        lambda f: open_classifier(f / "own.safetensors", None, 10, SHAPE),
        "evaluate --dataset digits --suite pgd --n 2 --out r.json --checkpoint own.safetensors",
    ),
    "foreign checkpoint": Kind(
        _torch_file, lambda f: load_foreign(f / "w.pt", "wrn_10_1", 10, 1, 8), f"{FOREIGN} w.pt"
    ),
    "cache entry": Kind(_entry, _read_cache, "cache list"),
    "parcel": Kind(_parcel, lambda f: unpack(Cache(f / "cache", print), f / "parcel"), "cache import parcel"),
    "data": Kind(
        _of_tensors(DATA, digest=True), lambda f: store.load(f / DATA), "train --dataset digits --method nat --seed 0"
    ),
    "pseudo-labels": Kind(
        _labels,
        lambda f: load_pseudo_labels(f / LABELS, store.load(f / DATA)),
        "train_semi --dataset digits --method rst_linf --seed 0",
    ),
    "archive": Kind(_archive, _read_archive, f"{OWN} tree.zip"),
    "zip": Kind(_zip, _read_archive, f"{OWN} tree.zip"),
    "image": Kind(_image, _read_image, f"{OWN} tree"),
    "pickle": Kind(_pickle, lambda f: read_pool(str(f / "pool.pkl"), SHAPE, 10, None, Log()), "data --dataset pickled"),
    "array": Kind(_array, lambda f: read_pool(str(f / "pool.npy"), SHAPE, 10, None, Log()), "data --dataset arrays"),
}
