"""Additional images: an .npz file in place, its images mapped, its form and labels refused in one line where wrong."""

import io
import struct
import zipfile
import zlib

import numpy as np
import pytest
import torch

from mngac.data.additional import read_additional
from mngac.data.batches import Batches
from mngac.params.errors import DataError

SHAPE = (3, 4, 4)


def arrays(n=6, dtype=np.int64):
    draws = np.random.default_rng(0)
    return {"image": draws.integers(256, size=(n, 4, 4, 3), dtype=np.uint8), "label": np.arange(n).astype(dtype) % 3}


def read(path, tmp_path, classes=3):
    return read_additional(str(path), SHAPE, classes, tmp_path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.int32, ">i4"])
def test_images_and_labels_are_those_that_numpy_wrote(tmp_path, save, dtype):
    given = arrays(dtype=dtype)
    save(tmp_path / "more.npz", **given, anything=np.ones(3))
    found = read(tmp_path / "more.npz", tmp_path)
    assert torch.equal(found.images, torch.from_numpy(given["image"]).permute(0, 3, 1, 2))
    assert found.labels.tolist() == given["label"].tolist() and found.labels.dtype == torch.int64
    assert found.index.tolist() == list(range(6))
    assert (tmp_path / "additional.npy").exists() == (save is np.savez_compressed)


def test_what_is_stored_stays_in_its_file_and_a_batch_copies_its_own_images_alone(tmp_path):
    """A file whose images are a hole of 256 GiB, more than the memory: only what a batch asks for is read."""
    n, row = (1 << 38) // (320 * 192), 320 * 192
    path, head = tmp_path / "vast.npz", io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": False, "shape": (n, 320, 192, 1)})
    labels = io.BytesIO()
    np.save(labels, np.zeros(n, np.uint8))
    written(path, {"image.npy": (head.getvalue(), n * row), "label.npy": (labels.getvalue(), 0)})
    found = read_additional(str(path), (1, 320, 192), 2, tmp_path)
    batches = Batches(found, 4, seed=0, name="additional", device="cpu", mapped=True)
    assert batches.images.data_ptr() == found.images.data_ptr()
    images = found.images[torch.tensor([0, n // 2, n - 1])]
    assert images.shape == (3, 1, 320, 192) and not images.any()


def written(path, members):
    """A zip file of members stored as they are: content, and how many zeros follow that take no room on the disk.

    Sizes are in the extra fields of files above 4 GB; zipfile writes none without writing all bytes.
    """
    entries, unsaid = [], 2**32 - 1
    with open(path, "wb") as file:
        for name, (content, zeros) in members.items():
            size, at, crc = len(content) + zeros, file.tell(), zlib.crc32(content)
            extra = struct.pack("<HHQQ", 1, 16, size, size)
            head = (0x04034B50, 45, 0, 0, 0, 33, crc, unsaid, unsaid, len(name), len(extra))
            file.write(struct.pack("<IHHHHHIIIHH", *head) + name.encode() + extra + content)
            file.seek(zeros, 1)
            entries.append((name, size, at, crc))
        first = file.tell()
        for name, size, at, crc in entries:
            extra = struct.pack("<HHQQQ", 1, 24, size, size, at)
            head = (0x02014B50, 45, 45, 0, 0, 0, 33, crc, unsaid, unsaid, len(name), len(extra), 0, 0, 0, 0, unsaid)
            file.write(struct.pack("<IHHHHHHIIIHHHHHII", *head) + name.encode() + extra)
        record, count = file.tell(), len(entries)
        file.write(struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, count, count, record - first, first))
        file.write(struct.pack("<IIQI", 0x07064B50, 0, record, 1))
        file.write(struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, count, count, unsaid, unsaid, 0))


def saved(path, **changes):
    np.savez(path, **{name: value for name, value in {**arrays(), **changes}.items() if value is not None})


def objects():
    return np.array([{"a": 1}] * 6, dtype=object)


WRONG = [
    (dict(image=None), "found no image; allowed: an .npz file with image uint8 (n, height, width, channels) and label"),
    (dict(label=None), "found no label; allowed: an .npz file with"),
    (dict(image=np.zeros((6, 3, 4, 4), np.uint8)), "image: found uint8 (6, 3, 4, 4); allowed: uint8 (n, 4, 4, 3), as"),
    (dict(image=np.zeros((6, 4, 4, 3))), "image: found float64 (6, 4, 4, 3); allowed: uint8 (n, 4, 4, 3)"),
    (dict(image=np.zeros((4, 4, 3), np.uint8)), "image: found uint8 (4, 4, 3); allowed: uint8 (n, 4, 4, 3)"),
    (dict(label=np.zeros(5, int)), "found 6 images and 5 labels; allowed: as many of both, at least one"),
    (dict(image=np.zeros((0, 4, 4, 3), np.uint8)), "image: ends too early, or holds nothing; get it again"),
    (dict(label=np.zeros(6)), "label: found float64 (6,); allowed: integers (n,)"),
    (dict(label=np.zeros((6, 1), int)), "label: found int64 (6, 1); allowed: integers (n,)"),
    (dict(label=np.full(6, 3)), "label: found 3 to 3; allowed: 0 to 2, its classes"),
    (dict(label=np.full(6, -1)), "label: found -1 to -1; allowed: 0 to 2, its classes"),
    (dict(label=objects()), "label: found object in C order; allowed: numbers in C order"),
    (dict(image=objects()), "image: found object in C order; allowed: numbers in C order"),
]


@pytest.mark.parametrize(("changes", "said"), WRONG, ids=[said[:40] for _, said in WRONG])
def test_a_file_of_another_form_is_refused_in_one_line(tmp_path, changes, said):
    saved(tmp_path / "more.npz", **changes)
    with pytest.raises(DataError) as error:
        read(tmp_path / "more.npz", tmp_path)
    assert str(error.value).startswith(f"{tmp_path}/more.npz: {said}") and "\n" not in str(error.value)


@pytest.mark.parametrize("keep", [0.3, 0.7, 0.99])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_file_that_was_cut_is_refused_in_one_line(tmp_path, save, keep):
    save(tmp_path / "more.npz", **arrays(50))
    content = (tmp_path / "more.npz").read_bytes()
    (tmp_path / "more.npz").write_bytes(content[: int(keep * len(content))])
    with pytest.raises(DataError) as error:
        read(tmp_path / "more.npz", tmp_path)
    assert "\n" not in str(error.value) and f"{tmp_path}/more.npz" in str(error.value)


def test_images_that_end_before_their_head_says_are_refused(tmp_path):
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": False, "shape": (6, 4, 4, 3)})
    labels = io.BytesIO()
    np.save(labels, np.zeros(6, np.uint8))
    with zipfile.ZipFile(tmp_path / "more.npz", "w") as file:
        file.writestr("image.npy", head.getvalue() + bytes(100))
        file.writestr("label.npy", labels.getvalue())
    with pytest.raises(DataError, match="image: ends too early"):
        read(tmp_path / "more.npz", tmp_path)
