"""Tiny data sets in every official layout, and a server on 127.0.0.1 that can break off."""

from __future__ import annotations

import contextlib
import hashlib
import io
import pickle
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import yaml
from PIL import Image
from scipy.io import savemat
from torchvision.datasets import CIFAR10, SVHN

from mngac.data.workspace import Workspace
from mngac.params.sections import DataConfig
from mngac.pipeline.progress import Log

REPOSITORY = Path(__file__).parent.parent
CLASSES = ("ant", "bee")


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def pixels(key: int, size: int = 8, channels: int = 3) -> np.ndarray:
    """uint8 (size, size, channels), another for each key."""
    return np.random.default_rng(key).integers(0, 256, (size, size, channels), dtype=np.uint8)


def encoded(array: np.ndarray, form: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.fromarray(array[..., 0] if array.shape[2] == 1 else array).save(out, form)
    return out.getvalue()


def write_tree(folder: Path, train: int = 6, test: int = 3, size: int = 8) -> Path:
    """train/<class>/*.png and test/<class>/*.png."""
    for part, count in (("train", train), ("test", test)):
        for number, name in enumerate(CLASSES):
            for i in range(count):
                file = folder / part / name / f"{i}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(encoded(pixels(1000 * number + i + 500 * (part == "test"), size)))
    return folder


def pack(folder: Path, path: Path) -> Path:
    """A tar or zip of a folder's content, by the path's ending."""
    files = [f for f in sorted(folder.rglob("*")) if f.is_file()]
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in files:
                archive.write(file, file.relative_to(folder).as_posix())
        return path
    mode = {".gz": "w:gz", ".xz": "w:xz", ".tar": "w"}[path.suffix]
    with tarfile.open(path, mode) as archive:
        for file in reversed(files):
            archive.add(file, file.relative_to(folder).as_posix())
    return path


def write_cifar10(folder: Path, monkeypatch, per_batch: int = 20) -> Path:
    """cifar-10-batches-py with its pickles, and torchvision's checksums set to theirs; the folder around it."""
    base = folder / CIFAR10.base_folder
    base.mkdir(parents=True)
    names = [name for name, _ in [*CIFAR10.train_list, *CIFAR10.test_list]]
    for key, name in enumerate(names):
        data = np.random.default_rng(key).integers(0, 256, (per_batch, 3072), dtype=np.uint8)
        content = {"data": data, "labels": [i % 10 for i in range(per_batch)]}
        (base / name).write_bytes(pickle.dumps(content))
    (base / "batches.meta").write_bytes(pickle.dumps({"label_names": [f"class {i}" for i in range(10)]}))
    sums = [[name, md5(base / name)] for name in names]
    monkeypatch.setattr(CIFAR10, "train_list", sums[:5])
    monkeypatch.setattr(CIFAR10, "test_list", sums[5:])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": md5(base / "batches.meta")})
    return folder


def write_svhn(folder: Path, monkeypatch, counts: tuple[int, ...] = (40, 20, 30)) -> dict[str, np.ndarray]:
    """The three .mat files, and torchvision's checksums set to theirs; part -> images (n, height, width, channels)."""
    folder.mkdir(parents=True, exist_ok=True)
    written, published = {}, {}
    for key, (part, count) in enumerate(zip(("train", "test", "extra"), counts, strict=True)):
        images = np.random.default_rng(key).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
        labels = np.array([[i % 10 + 1] for i in range(count)], dtype=np.uint8)
        url, name, _ = SVHN.split_list[part]
        savemat(folder / name, {"X": images.transpose(1, 2, 3, 0), "y": labels}, do_compression=True)
        written[part], published[part] = images, [url, name, md5(folder / name)]
    monkeypatch.setattr(SVHN, "split_list", published)
    return written


def write_tiny_imagenet(folder: Path, train: int = 4, val: int = 2) -> Path:
    """The official tree with two classes; wnids.txt is not sorted, and one training image is grey."""
    top = folder / "tiny-imagenet-200"
    wnids = ["n02", "n01"]
    lines = []
    for number, wnid in enumerate(wnids):
        images = top / "train" / wnid / "images"
        images.mkdir(parents=True)
        for i in range(train):
            grey = number == 0 and i == 0
            array = pixels(100 * number + i, 64, 1 if grey else 3)
            (images / f"{wnid}_{i}.JPEG").write_bytes(encoded(array, "JPEG"))
    (top / "val" / "images").mkdir(parents=True)
    (top / "test" / "images").mkdir(parents=True)
    (top / "test" / "images" / "test_0.JPEG").write_bytes(encoded(pixels(7, 64), "JPEG"))
    for i in range(2 * val):
        (top / "val" / "images" / f"val_{i}.JPEG").write_bytes(encoded(pixels(900 + i, 64), "JPEG"))
        lines.append(f"val_{i}.JPEG\t{wnids[i % 2]}\t0\t0\t9\t9\n")
    (top / "val" / "val_annotations.txt").write_text("".join(lines))
    (top / "wnids.txt").write_text("\n".join(wnids) + "\n")
    return folder


def source(loader: str, path: Path | str | None, **more) -> DataConfig:
    """An entry of `data`."""
    stated = {"loader": loader, "source": path and str(path), "validation": 0.25, "unlabelled": 0.0, **more}
    return DataConfig.model_validate(stated)


def workspace(folder: Path) -> Workspace:
    """Surroundings of a loader under a folder."""
    (folder / "scratch").mkdir(parents=True, exist_ok=True)
    return Workspace("mine", Log(), folder / "downloads", folder / "scratch")


def write_params(path: Path, **data: dict) -> Path:
    """The repository's params.yaml with these entries of `data` added."""
    content = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    for name, entry in data.items():
        content["data"][name] = {"source": None, "validation": 0.25, "unlabelled": 0.0, **entry}
    path.write_text(yaml.safe_dump(content))
    return path


@dataclass
class Server:
    """Serves one file's bytes; `breaks_after` bytes an answer, and the ranges that were asked for."""

    content: bytes
    breaks_after: int | None = None
    ranges: bool = True
    status: int = 200
    kind: str = "application/octet-stream"
    asked: list[str | None] = field(default_factory=list)
    url: str = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range")
        self.asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.ranges else 0
        if start >= len(self.content):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(self.content)}")
            handler.send_header("Content-Length", "0")
            return handler.end_headers()
        handler.send_response(206 if start else self.status)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        handler.send_header("Content-Type", self.kind)
        handler.send_header("Content-Length", str(len(self.content) - start))
        handler.end_headers()
        handler.wfile.write(self.content[start:][: self.breaks_after])
        return None


@contextlib.contextmanager
def serving(content: bytes, **more) -> Iterator[Server]:
    """A server on 127.0.0.1 that goes when the block ends."""
    server = Server(content, **more)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    server.url = f"http://127.0.0.1:{http.server_address[1]}/file"
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
