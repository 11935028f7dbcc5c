"""Archives and folders are read alike; nothing dangerous or broken is."""

import io
import stat
import tarfile
import zipfile

import pytest
from tiny_data import pack, write_tree

from mngac.data.archives import entries, unpack
from mngac.params.errors import DataError
from mngac.pipeline.files import identity


def contents(path):
    return {entry.name: entry.read(1 << 20) for entry in entries(path)}


def tar_with(path, name, kind=tarfile.REGTYPE, link=""):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(member, io.BytesIO())
    return path


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tar.xz", "zip"])
def test_an_archive_reads_as_the_folder_it_was_made_of(tmp_path, ending):
    tree = write_tree(tmp_path / "tree")
    assert contents(pack(tree, tmp_path / f"a.{ending}")) == contents(tree)


@pytest.mark.parametrize("name", ["/etc/passwd", "../outside", "a/../../outside", "C:\\x", "..\\x"])
@pytest.mark.parametrize("form", ["tar", "zip"])
def test_paths_that_lead_out_are_refused(tmp_path, name, form):
    path = tmp_path / f"evil.{form}"
    if form == "tar":
        tar_with(path, name)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, b"")
    with pytest.raises(DataError, match=rf"evil\.{form}: .* leads out of the archive"):
        contents(path)
    with pytest.raises(DataError, match="leads out"):
        unpack(path, ["outside", "passwd", "x"], tmp_path / "in")


KINDS = {tarfile.SYMTYPE: "link", tarfile.LNKTYPE: "link", tarfile.CHRTYPE: "device", tarfile.FIFOTYPE: "device"}


@pytest.mark.parametrize("kind", KINDS)
def test_links_and_devices_are_refused(tmp_path, kind):
    with pytest.raises(DataError, match=f'"train/a" is a {KINDS[kind]}'):
        contents(tar_with(tmp_path / "a.tar.gz", "train/a", kind, "elsewhere"))


def test_links_in_a_zip_are_refused(tmp_path):
    info = zipfile.ZipInfo("train/a")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, b"/etc/passwd")
    with pytest.raises(DataError, match="is a link or special file"):
        contents(tmp_path / "a.zip")


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tar.xz", "zip"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_a_truncated_archive_is_never_taken_for_a_whole_one(tmp_path, ending, share):
    path = pack(write_tree(tmp_path / "tree"), tmp_path / f"a.{ending}")
    whole = path.read_bytes()
    kept = min(int(share * len(whole)), len(whole.rstrip(b"\0")) if ending == "tar" else len(whole))
    path.write_bytes(whole[:kept])
    with pytest.raises(
        DataError, match=rf"a\.{ending}: truncated, broken or no tar or zip file .*; get the file again"
    ):
        contents(path)


def test_a_tar_cut_between_two_entries_is_truncated_too(tmp_path):
    path = pack(write_tree(tmp_path / "tree"), tmp_path / "a.tar")
    with tarfile.open(path) as archive:
        second = archive.getmembers()[2].offset
    path.write_bytes(path.read_bytes()[:second])
    with pytest.raises(DataError, match="its end is missing"):
        contents(path)


@pytest.mark.parametrize("ending", ["tar.gz", "tar.xz", "zip"])
def test_a_changed_byte_is_found(tmp_path, ending):
    path = pack(write_tree(tmp_path / "tree", train=40), tmp_path / f"a.{ending}")
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"a\.{ending}"):
        contents(path)


@pytest.mark.parametrize("start", ["<!DOCTYPE html>", "\n <html>", "\ufeff<HTML lang=en>"])
def test_a_web_page_is_recognised(tmp_path, start):
    (tmp_path / "a.tar.gz").write_text(f"{start}<body>Sign in</body>", encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.tar\.gz: an HTML page, not the archive"):
        contents(tmp_path / "a.tar.gz")


def test_folders_linked_in_a_circle_end(tmp_path):
    tree = write_tree(tmp_path / "tree")
    (tree / "train" / "again").symlink_to(tree, target_is_directory=True)
    assert len(contents(tree)) == 18


def test_the_identity_of_a_source_follows_its_content(tmp_path):
    tree = write_tree(tmp_path / "tree")
    archive = pack(tree, tmp_path / "a.tar")
    before = identity(tree), identity(archive)
    assert before == (identity(tree), identity(archive))
    (tree / "train" / "ant" / "0.png").write_bytes(b"other")
    pack(tree, archive)
    assert identity(tree) != before[0] and identity(archive) != before[1]
    with pytest.raises(DataError, match="nowhere: not found"):
        identity(tmp_path / "nowhere")
