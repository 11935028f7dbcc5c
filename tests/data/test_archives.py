"""Archives and folders are read alike; nothing dangerous or broken is."""

import gzip
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


def limited(patch, **limits):
    for name, limit in limits.items():
        patch.setattr(f"mngac.data.archives.{name}", limit)


@pytest.mark.parametrize("ending", ["tar.gz", "tar.xz", "zip"])
def test_an_archive_that_unpacks_to_far_more_than_it_holds_is_refused_before_it_is_read(tmp_path, monkeypatch, ending):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/zeros").write_bytes(bytes(1 << 22))
    path = pack(tmp_path / "tree", tmp_path / f"a.{ending}")
    if ending == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(tmp_path / "tree/zeros", "zeros")
    assert len(next(entries(path)).read(1 << 22)) == 1 << 22
    limited(monkeypatch, UNSUSPECTED=1000, MOST_TIMES=10)
    with pytest.raises(DataError, match=r"unpacks to more than [\d,]+ bytes \(a bomb\?\); refused"):
        next(entries(path))


def test_zeros_behind_the_end_of_an_archive_count_too(tmp_path, monkeypatch):
    path = pack(write_tree(tmp_path / "tree"), tmp_path / "a.tar")
    path.write_bytes(gzip.compress(path.read_bytes() + bytes(1 << 24)))
    limited(monkeypatch, UNSUSPECTED=1 << 20, MOST_TIMES=2)
    with pytest.raises(DataError, match="a bomb"):
        contents(path)


def test_more_entries_than_allowed_are_refused(tmp_path, monkeypatch):
    path = pack(write_tree(tmp_path / "tree"), tmp_path / "a.tar")
    limited(monkeypatch, MOST_ENTRIES=18)
    assert len(contents(path)) == 18
    limited(monkeypatch, MOST_ENTRIES=17)
    with pytest.raises(DataError, match="holds more than 17 entries"):
        contents(path)


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_a_long_name_or_list_of_facts_is_refused_before_it_is_read(tmp_path, kind):
    member = tarfile.TarInfo("x")
    member.type, member.size = kind, 1 << 40
    (tmp_path / "a.tar").write_bytes(member.tobuf(tarfile.GNU_FORMAT) + bytes(10_240))
    with pytest.raises(DataError, match="an entry's head says 1,099,511,627,776 bytes"):
        contents(tmp_path / "a.tar")


def test_an_entry_that_goes_back_ends(tmp_path):
    member = tarfile.TarInfo("x")
    member.size = -1024
    (tmp_path / "a.tar").write_bytes(member.tobuf(tarfile.GNU_FORMAT) + bytes(10_240))
    with pytest.raises(DataError, match="an entry's head says -1,024 bytes"):
        contents(tmp_path / "a.tar")


def test_an_entry_larger_than_what_is_wanted_is_refused(tmp_path):
    every = entries(pack(write_tree(tmp_path / "tree"), tmp_path / "a.tar"))
    entry = next(every)
    size = len(entry.read(1 << 20))
    assert len(entry.read(size)) == size
    with pytest.raises(DataError, match=rf"more than {size - 1} bytes; allowed: fewer"):
        entry.read(size - 1)
