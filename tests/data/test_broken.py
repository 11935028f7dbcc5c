"""Broken inputs through the command line: one line, status 2, nothing left, and right again once it is mended."""

import contextlib
import errno
import os
import resource
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from tiny_data import (
    encoded,
    md5,
    pack,
    pixels,
    serving,
    write_cifar10,
    write_params,
    write_tiny_imagenet,
    write_tree,
)
from torchvision.datasets import CIFAR10

from mngac import cli, tensors
from mngac.data import download, prepare, store

OUT = Path("out") / "mine.safetensors"


@dataclass
class Case:
    """A command, what its line must name and advise, and how to mend what is wrong."""

    command: list[str]
    says: list[str]
    mend: Callable[[], object]
    out: Path = OUT


def own(loader: str, source: Path | str) -> list[str]:
    return ["data", "--dataset", "mine", "--loader", loader, "--source", str(source), "--out", str(OUT)]


def truncated_archive(tmp, patch):
    archive = pack(write_tree(tmp / "tree"), tmp / "mine.tar.xz")
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    return Case(own("folder", archive), ["mine.tar.xz", "get the file again"], lambda: archive.write_bytes(whole))


def wrong_checksum(tmp, patch):
    top = write_cifar10(tmp / "extracted", patch)
    file = top / CIFAR10.base_folder / "data_batch_3"
    whole, right = file.read_bytes(), md5(file)
    file.write_bytes(whole + b"x")
    says = ["data_batch_3", f"expected {right}", f"found {md5(file)}", "get it again from https://"]
    return Case(own("cifar10", top), says, lambda: file.write_bytes(whole))


def html_as_archive(tmp, patch):
    archive = tmp / "mine.tar.gz"
    archive.write_text("<!doctype html><title>Sign in</title>")
    mend = lambda: pack(write_tree(tmp / "tree"), archive)  # noqa: E731
    return Case(own("folder", archive), ["mine.tar.gz", "an HTML page", "delete it, get it"], mend)


def empty_folder(tmp, patch):
    tree = tmp / "tree"
    tree.mkdir()
    return Case(own("folder", tree), [str(tree), "no train/<class>/", "put them there"], lambda: write_tree(tree))


def corrupt_image(tmp, patch):
    file = write_tree(tmp / "tree") / "train" / "bee" / "3.png"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    says = [str(file), "not a readable PNG or JPEG", "replace or remove it"]
    return Case(own("folder", tmp / "tree"), says, lambda: file.write_bytes(whole))


def mixed_sizes(tmp, patch):
    file = write_tree(tmp / "tree") / "train" / "bee" / "3.png"
    file.write_bytes(encoded(pixels(1, 9)))
    says = [str(file), "9x9 pixels, but", "8x8", "state a size to resize to"]
    return Case(own("folder", tmp / "tree"), says, lambda: file.write_bytes(encoded(pixels(1, 8))))


def images_alike_but_not_square(tmp, patch):
    for number, file in enumerate(write_tree(tmp / "tree").rglob("*.png")):
        file.write_bytes(encoded(pixels(number, 10)[:8]))
    case = Case(own("folder", tmp / "tree"), [str(tmp / "tree"), "10x8 pixels", "square", "a size"], lambda: None)
    case.mend = lambda: case.command.extend(["--size", "8"])
    return case


def mixed_channels(tmp, patch):
    file = write_tree(tmp / "tree") / "test" / "bee" / "1.png"
    file.write_bytes(encoded(pixels(1, 8, channels=1)))
    says = [str(tmp / "tree"), "channels, but", "convert all to RGB"]
    return Case(own("folder", tmp / "tree"), says, lambda: file.write_bytes(encoded(pixels(1, 8))))


def missing_class(tmp, patch):
    tree = write_tree(tmp / "tree")
    shutil.rmtree(tree / "test" / "bee")
    says = [str(tree), "class 'bee' has no images in test/bee", "add some, or remove train/bee"]
    return Case(own("folder", tree), says, lambda: write_tree(tree))


def small_class(tmp, patch):
    tree = write_tree(tmp / "tree")
    for i in range(1, 6):
        (tree / "train" / "bee" / f"{i}.png").unlink()
    says = [str(tree), "train/bee holds 1 images, at least 2", "add some"]
    return Case(own("folder", tree), says, lambda: write_tree(tree))


def path_traversal(tmp, patch):
    tree, archive = write_tree(tmp / "tree"), tmp / "mine.tar.gz"
    with tarfile.open(archive, "w:gz") as evil:
        evil.add(tree / "train" / "ant" / "0.png", "../../evil.png")
    says = ["mine.tar.gz", '"../../evil.png" leads out of the archive', "get it from somebody you trust"]
    return Case(own("folder", archive), says, lambda: pack(tree, archive))


def no_space_left(tmp, patch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    save_file = tensors.save_file
    patch.setattr(tensors, "save_file", full)
    says = [OUT.name, "No space left on device; free space"]
    return Case(own("folder", write_tree(tmp / "tree")), says, lambda: patch.setattr(tensors, "save_file", save_file))


def interrupted_download(tmp, patch):
    archive = pack(write_cifar10(tmp / "extracted", patch), tmp / "c.tar.gz")
    server = tmp.stack.enter_context(serving(archive.read_bytes(), breaks_after=9000, ranges=False))
    patch.setattr(CIFAR10, "url", server.url)
    patch.setattr(CIFAR10, "tgz_md5", md5(archive))
    params = write_params(tmp / "params.yaml", mine={"loader": "cifar10"})

    def mend():
        server.breaks_after, server.ranges = None, True

    command = ["--params", str(params), "data", "--dataset", "mine"]
    says = [server.url, "broke after 9,000 bytes", "run again, it resumes from there"]
    return Case(command, says, mend, Path("data/mine.safetensors"))


def wrong_class_count(tmp, patch):
    tree = write_tiny_imagenet(tmp / "tree")
    entry = {"loader": "tiny_imagenet", "source": str(tree), "classes": 200}
    params = write_params(tmp / "params.yaml", mine=entry)
    says = [str(tree), "2 classes found, data.mine.classes states 200; correct one of them"]
    command = ["--params", str(params), "data", "--dataset", "mine"]
    mend = lambda: write_params(params, mine={**entry, "classes": 2})  # noqa: E731
    return Case(command, says, mend, Path("data/mine.safetensors"))


def missing_source(tmp, patch):
    says = [str(tmp / "tree"), "not found; put the file or folder there"]
    return Case(own("folder", tmp / "tree"), says, lambda: write_tree(tmp / "tree"))


CASES = [
    truncated_archive,
    wrong_checksum,
    html_as_archive,
    empty_folder,
    corrupt_image,
    mixed_sizes,
    images_alike_but_not_square,
    mixed_channels,
    missing_class,
    small_class,
    path_traversal,
    no_space_left,
    interrupted_download,
    wrong_class_count,
    missing_source,
]


class Folder(type(Path())):
    """A path that carries the test's exit stack."""

    stack: contextlib.ExitStack


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("MNGAC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(download, "PAUSE", 0.0)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with contextlib.ExitStack() as stack:
        here = Folder(tmp_path)
        here.stack = stack
        yield here


def assert_refused(case: Case, status: int, said: str):
    lines = said.splitlines()
    assert status == 2
    assert lines[-1].startswith("mngac: ")
    assert not any(line.startswith(("Traceback", "mngac: ")) for line in lines[:-1])
    for text in case.says:
        assert text in lines[-1]
    assert not list(case.out.parent.glob(f"*{case.out.name}*")), "a partial tensor file is left"


@pytest.mark.parametrize("broken", CASES)
def test_a_broken_input_is_one_line_and_a_right_rerun_succeeds(folder, monkeypatch, capfd, broken):
    case = broken(folder, monkeypatch)
    capfd.readouterr()
    assert_refused(case, cli.main(case.command), capfd.readouterr().err)
    case.mend()
    assert cli.main(case.command) == 0
    assert store.load(case.out).classes


def test_a_file_that_can_not_grow_further_leaves_nothing(folder, capfd):
    case = Case(own("folder", write_tree(folder / "tree")), [OUT.name, "File too large"], lambda: None)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        status = cli.main(case.command)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert_refused(case, status, capfd.readouterr().err)
    assert cli.main(case.command) == 0 and len(store.load(case.out).splits["test"]) == 6


@pytest.fixture
def open_folder(monkeypatch):
    """A folder that an unprivileged user may enter; pytest's own is the user's alone."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        (Path(name) / "here" / "out").mkdir(parents=True)
        monkeypatch.chdir(Path(name) / "here")
        monkeypatch.setenv("MNGAC_CACHE", f"{name}/cache")
        yield Path(name)


def unprivileged(command: list[str], said: Path) -> int:
    """The command's status in a child that is nobody where this is root; what it said is in a file."""
    assert prepare and torch, "imported before the child loses the right to"
    file = said.open("w")
    child = os.fork()
    if not child:
        status = 99
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            with file, contextlib.redirect_stderr(file):
                status = cli.main(command)
        finally:
            os._exit(status)
    file.close()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("closed", ["archive", "folder in the tree", "image"])
def test_a_source_without_permission_is_named(open_folder, closed):
    tree = write_tree(open_folder / "tree")
    archive = pack(tree, open_folder / "mine.tar")
    path = {"archive": archive, "folder in the tree": tree / "train", "image": tree / "train" / "ant" / "2.png"}[closed]
    command = own("folder", archive if closed == "archive" else tree)
    mode = path.stat().st_mode
    path.chmod(0)
    case = Case(command, [str(path), "no permission; make it accessible"], lambda: None)
    status = unprivileged(command, open_folder / "said")
    path.chmod(mode)
    assert_refused(case, status, (open_folder / "said").read_text())
    assert cli.main(command) == 0


def test_an_output_folder_without_permission_is_named(open_folder):
    command = own("folder", write_tree(open_folder / "tree"))
    OUT.parent.chmod(0o555)
    case = Case(command, [str(OUT), "no permission"], lambda: None)
    status = unprivileged(command, open_folder / "said")
    OUT.parent.chmod(0o755)
    assert_refused(case, status, (open_folder / "said").read_text())
    assert cli.main(command) == 0
