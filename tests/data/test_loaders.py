"""The loaders run on tiny archives in each official layout."""

import io
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_data import (
    md5,
    pack,
    pixels,
    serving,
    source,
    workspace,
    write_cifar10,
    write_svhn,
    write_tiny_imagenet,
    write_tree,
)
from torchvision.datasets import CIFAR10, SVHN

from mngac.data.loaders import cifar10, digits, folder, svhn, tiny_imagenet
from mngac.data.pool import read_pool
from mngac.params.errors import DataError
from mngac.pipeline.progress import Log


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def assert_same(a, b):
    for name in ("train_images", "train_labels", "test_images", "test_labels"):
        assert torch.equal(getattr(a, name), getattr(b, name)), name
    assert a.classes == b.classes


def test_cifar10_is_the_same_from_archive_folder_inner_folder_and_download(tmp_path, monkeypatch):
    top = write_cifar10(tmp_path / "extracted", monkeypatch)
    archive = pack(top, tmp_path / CIFAR10.filename).with_name(CIFAR10.filename)
    here = workspace(tmp_path)
    raw = cifar10.load(source("cifar10", archive), here)
    assert raw.train_images.shape == (100, 3, 32, 32) and raw.test_images.shape == (20, 3, 32, 32)
    assert raw.train_images.dtype == torch.uint8 and raw.classes[3] == "class 3"
    rows = np.random.default_rng(5).integers(0, 256, (20, 3072), dtype=np.uint8)
    assert np.array_equal(raw.test_images.numpy().reshape(20, 3072), rows)
    for place in (top, top / CIFAR10.base_folder):
        assert_same(raw, cifar10.load(source("cifar10", place), here))
    with serving(archive.read_bytes()) as server:
        monkeypatch.setattr(CIFAR10, "url", server.url)
        monkeypatch.setattr(CIFAR10, "tgz_md5", md5(archive))
        assert_same(raw, cifar10.load(source("cifar10", None), here))
        assert_same(raw, cifar10.load(source("cifar10", None), here))
    assert server.asked == [None], "a file that is there is not fetched again"


def test_cifar10_refuses_a_tree_of_images_with_a_reason(tmp_path):
    archive = pack(write_tree(tmp_path / "tree"), tmp_path / "jpeg.tar.xz")
    with pytest.raises(DataError, match=r"jpeg\.tar\.xz: no cifar-10-batches-py/.*loader: folder"):
        cifar10.load(source("cifar10", archive), workspace(tmp_path))


@pytest.mark.parametrize("form", ["folder", "archive", "download"])
def test_svhn_images_stand_upright_and_the_digit_zero_has_label_zero(tmp_path, monkeypatch, form):
    written = write_svhn(tmp_path / "mat", monkeypatch)
    place = {"folder": tmp_path / "mat", "archive": tmp_path / "svhn.zip", "download": None}[form]
    if form == "archive":
        pack(tmp_path / "mat", place)
    if form == "download":
        shutil.copytree(tmp_path / "mat", tmp_path / "downloads")
    raw = svhn.load(source("svhn", place, unlabelled="extra"), workspace(tmp_path))
    pairs = {"train": raw.train_images, "test": raw.test_images, "extra": raw.pool[0]}
    for part, images in pairs.items():
        assert np.array_equal(images.numpy(), written[part].transpose(0, 3, 1, 2)), part
        assert images.is_contiguous()
    assert raw.train_labels[:11].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert raw.classes == [str(digit) for digit in range(10)]


def test_svhn_without_extra_does_not_need_its_file(tmp_path, monkeypatch):
    write_svhn(tmp_path / "mat", monkeypatch)
    (tmp_path / "mat" / SVHN.split_list["extra"][1]).unlink()
    assert svhn.load(source("svhn", tmp_path / "mat"), workspace(tmp_path)).pool is None


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tar.xz", "zip", "folder"])
def test_tiny_imagenet_sorts_classes_and_labels_val_by_the_annotations(tmp_path, ending):
    tree = write_tiny_imagenet(tmp_path / "tree")
    place = tree if ending == "folder" else pack(tree, tmp_path / f"tiny.{ending}")
    raw = tiny_imagenet.load(source("tiny_imagenet", place, classes=2), workspace(tmp_path))
    assert raw.classes == ["n01", "n02"] and raw.grouped
    assert raw.train_images.shape == (8, 3, 64, 64) and raw.test_images.shape == (4, 3, 64, 64)
    assert raw.train_labels.tolist() == [0] * 4 + [1] * 4
    assert raw.test_labels.tolist() == [1, 0, 1, 0], "wnids.txt says n02 first; val alternates from it"
    first = Image.open(tree / "tiny-imagenet-200" / "train" / "n01" / "images" / "n01_0.JPEG")
    assert np.array_equal(raw.train_images[0].numpy(), np.asarray(first).transpose(2, 0, 1))
    grey = raw.train_images[4]
    assert torch.equal(grey[0], grey[1]) and torch.equal(grey[0], grey[2])


def test_tiny_imagenet_downloads_the_official_archive(tmp_path, monkeypatch):
    archive = pack(write_tiny_imagenet(tmp_path / "tree"), tmp_path / "tiny.zip")
    with serving(archive.read_bytes()) as server:
        published = tiny_imagenet.Published(server.url, "tiny-imagenet-200.zip", md5(archive))
        monkeypatch.setattr(tiny_imagenet, "ARCHIVE", published)
        raw = tiny_imagenet.load(source("tiny_imagenet", None), workspace(tmp_path))
    assert len(raw.train_images) == 8


@pytest.mark.parametrize("missing", ["wnids.txt", "val/val_annotations.txt"])
def test_tiny_imagenet_without_a_text_is_refused_by_its_name(tmp_path, missing):
    tree = write_tiny_imagenet(tmp_path / "tree")
    (tree / "tiny-imagenet-200" / missing).unlink()
    with pytest.raises(DataError, match=f"no {missing.split('/')[-1]} in it"):
        tiny_imagenet.load(source("tiny_imagenet", tree), workspace(tmp_path))


def test_tiny_imagenet_class_without_images_is_named(tmp_path):
    tree = write_tiny_imagenet(tmp_path / "tree")
    shutil.rmtree(tree / "tiny-imagenet-200" / "train" / "n01")
    with pytest.raises(DataError, match="class n01 has no images in train/"):
        tiny_imagenet.load(source("tiny_imagenet", tree), workspace(tmp_path))


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tar.xz", "zip", "folder"])
def test_folder_reads_any_tree_sorted_by_path(tmp_path, ending):
    tree = write_tree(tmp_path / "tree" / "around").parent
    (tree / "around" / "README.txt").write_text("no image")
    (tree / "around" / "train" / "ant" / ".hidden").write_text("no image")
    place = tree if ending == "folder" else pack(tree, tmp_path / f"mine.{ending}")
    raw = folder.load(source("folder", place), workspace(tmp_path))
    assert raw.classes == ["ant", "bee"] and raw.grouped
    assert raw.train_labels.tolist() == [0] * 6 + [1] * 6 and raw.test_labels.tolist() == [0] * 3 + [1] * 3
    assert np.array_equal(raw.train_images[7].numpy(), pixels(1001).transpose(2, 0, 1))
    assert np.array_equal(raw.test_images[2].numpy(), pixels(502).transpose(2, 0, 1))


def test_folder_resizes_on_request_as_pil_does(tmp_path):
    tree = write_tree(tmp_path / "tree")
    big = pixels(3, 20)
    Image.fromarray(big).save(tree / "train" / "ant" / "0.png")
    raw = folder.load(source("folder", tree, size=6), workspace(tmp_path))
    assert raw.train_images.shape == (12, 3, 6, 6)
    expected = Image.fromarray(big).resize((6, 6), Image.Resampling.BILINEAR)
    assert np.array_equal(raw.train_images[0].numpy(), np.asarray(expected).transpose(2, 0, 1))


def test_folder_says_what_it_leaves_out(tmp_path):
    tree = write_tree(tmp_path / "tree")
    for left in ("val/ant", "train/.thumbnails"):
        shutil.copytree(tree / "train/ant", tree / left)
    (tree / "__MACOSX/train/ant").mkdir(parents=True)
    (tree / "__MACOSX/train/ant/._0.png").write_text("no image")
    here, said = workspace(tmp_path), []
    here.log.line = said.append
    assert folder.load(source("folder", tree), here).classes == ["ant", "bee"]
    assert said == [f"{tree}: left out, hidden or not in train or test: train/.thumbnails, val/ant"]


def test_folder_mixes_no_two_trees(tmp_path):
    first = write_tree(tmp_path / "around" / "a")
    shutil.copytree(first, tmp_path / "around" / "b")
    with pytest.raises(DataError, match="found a/train, a/test, b/train, b/test; allowed: one tree"):
        folder.load(source("folder", tmp_path / "around"), workspace(tmp_path))


def test_one_class_is_nothing_to_learn(tmp_path):
    tree = write_tree(tmp_path / "tree")
    for part in ("train", "test"):
        shutil.rmtree(tree / part / "bee")
    with pytest.raises(DataError, match='found one class, "ant"; allowed: two or more'):
        folder.load(source("folder", tree), workspace(tmp_path))


def test_grey_trees_have_one_channel(tmp_path):
    tree = write_tree(tmp_path / "tree")
    for file in tree.rglob("*.png"):
        Image.fromarray(np.asarray(Image.open(file))[..., 0]).save(file)
    assert folder.load(source("folder", tree), workspace(tmp_path)).train_images.shape == (12, 1, 8, 8)


def test_digits_refuse_a_source(tmp_path):
    with pytest.raises(DataError, match=r"data\.mine\.source: found 'x'; allowed: null"):
        digits.load(source("digits", "x"), workspace(tmp_path))


def test_a_pool_is_a_folder_of_images_at_any_depth_or_an_array(tmp_path):
    write_tree(tmp_path / "pool", train=2, test=1)
    images, labels = read_pool(str(tmp_path / "pool"), (3, 8, 8), 3, None, Log())
    assert images.shape == (6, 3, 8, 8) and labels.tolist() == [-1] * 6
    array = np.stack([pixels(i) for i in range(5)])
    np.save(tmp_path / "pool.npy", array)
    images, _ = read_pool(str(tmp_path / "pool.npy"), (3, 8, 8), 3, None, Log())
    assert np.array_equal(images.numpy(), array.transpose(0, 3, 1, 2))
    for shape in ((1, 8, 8), (3, 9, 9)):
        with pytest.raises(DataError, match=r"pool"):
            read_pool(str(tmp_path / "pool.npy"), shape, 3, None, Log())
    with pytest.raises(DataError, match="the training set has 9x9"):
        read_pool(str(tmp_path / "pool"), (3, 9, 9), 3, None, Log())
    buffer = io.BytesIO()
    np.save(buffer, np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "pickled.npy").write_bytes(buffer.getvalue())
    with pytest.raises(DataError, match=r"pickled\.npy"):
        read_pool(str(tmp_path / "pickled.npy"), (3, 8, 8), 3, None, Log())
