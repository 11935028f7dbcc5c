"""The artifact cache: hits, misses, damage, locks, and files that are whole or not there."""

import errno
import json
import os
import shutil
import threading
from pathlib import Path

import pytest
from helpers import small_params
from nfs import Client, mounted

from mngac.params.errors import UserError
from mngac.pipeline.cache import Cache, differences, key_of
from mngac.pipeline.fingerprint import code_digest, forget
from mngac.pipeline.jobs import Job, job
from mngac.training.trainer import Trainer

PARTS = {"stage": "train", "wildcards": {"method": "nat"}, "params": {"beta": 12.0}}


def stored(tmp_path, parts=PARTS, text="weights"):
    """A cache with one entry, what it was told, and the path of the entry's output."""
    said = []
    cache = Cache(tmp_path / "cache", said.append)
    made = cache.make(cache.work(key_of(parts)) / "outputs")
    (made / "out").write_text(text)
    cache.store(key_of(parts), parts, made)
    assert not made.exists()
    return cache, said, tmp_path / "out.bin"


def test_what_was_stored_is_put_back(tmp_path):
    cache, said, out = stored(tmp_path)
    assert cache.restore(cache.find(key_of(PARTS)), {"out": str(out)}) and out.read_text() == "weights"
    assert not said


def test_what_another_host_has_just_stored_is_found_under_the_lease(tmp_path, monkeypatch):
    client, cache, out = Client(tmp_path / "cache", lambda: 0.0), Cache(tmp_path / "cache"), tmp_path / "out.bin"
    with mounted(client, monkeypatch):
        assert cache.find(key_of(PARTS)) is None
    stored(tmp_path)
    with mounted(client, monkeypatch):
        assert cache.find(key_of(PARTS)) is None  # as this host's client of the network file system remembers
        with cache.lease(key_of(PARTS)):
            assert cache.restore(cache.find(key_of(PARTS)), {"out": str(out)})
    assert out.read_text() == "weights"
    assert sorted(path.name for path in (tmp_path / "cache/entries").glob("*/*")) == [key_of(PARTS)]


def test_another_parameter_is_another_key(tmp_path):
    cache, _, _ = stored(tmp_path)
    assert cache.find(key_of({**PARTS, "params": {"beta": 8.0}})) is None


def test_equal_parameters_of_two_methods_are_two_keys():
    assert key_of(PARTS) != key_of({**PARTS, "wildcards": {"method": "sat"}})


def changed(about, **values):
    about.write_text(json.dumps({**json.loads(about.read_text()), **values}))


def replaced(path, make):
    path.unlink()
    make(path)


DAMAGE = {
    "another byte": (lambda folder: (folder / "out").write_text("weighty"), "out: other bytes than were stored"),
    "a file missing": (lambda folder: (folder / "out").unlink(), "out: other bytes than were stored"),
    "cut": (lambda folder: os.truncate(folder / "entry.json", 40), "entry.json: no JSON"),
    "empty": (lambda folder: os.truncate(folder / "entry.json", 0), "entry.json: no JSON"),
    "no UTF-8": (lambda folder: (folder / "entry.json").write_bytes(b"\xff\xfe{"), "entry.json: no JSON"),
    "gone": (lambda folder: (folder / "entry.json").unlink(), "entry.json: missing"),
    "no dictionary": (lambda folder: (folder / "entry.json").write_text("[1]"), "entry.json: no entry"),
    "no schema": (lambda folder: (folder / "entry.json").write_text("{}"), "entry.json: no entry"),
    "another's": (lambda folder: changed(folder / "entry.json", parts={}), "entry.json: of another key"),
    "no outputs": (lambda folder: changed(folder / "entry.json", outputs=None), "entry.json: no outputs"),
    "no time": (lambda folder: changed(folder / "entry.json", stored="now"), "entry.json: no time"),
    "too deep": (lambda folder: (folder / "entry.json").write_text("[" * 100_000), "entry.json: no JSON"),
    "a folder": (lambda folder: replaced(folder / "entry.json", Path.mkdir), "entry.json: missing"),
    "a pipe": (lambda folder: replaced(folder / "out", os.mkfifo), "out: other bytes than were stored"),
    "a time that never comes": (lambda f: changed(f / "entry.json", stored=1e300), "entry.json: no time"),
    "a way out": (lambda f: changed(f / "entry.json", outputs={"../out": "0"}), "entry.json: no outputs"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_entry_is_dropped_with_one_line_and_leaves_no_output(tmp_path, what):
    cache, said, out = stored(tmp_path)
    damage, why = DAMAGE[what]
    folder = cache.folder(key_of(PARTS))
    damage(folder)
    entry = cache.find(key_of(PARTS))
    assert entry is None or not cache.restore(entry, {"out": str(out)})
    assert said == [f"{folder}: damaged ({why}); it is dropped and made again"]
    assert not folder.exists() and sorted(tmp_path.iterdir()) == [tmp_path / "cache"]


def test_one_damaged_file_of_two_leaves_neither(tmp_path):
    cache = Cache(tmp_path / "cache", lambda text: None)
    made = cache.make(tmp_path / "cache/work/outputs")
    for name in ("a", "b"):
        (made / name).write_text(name)
    entry = cache.store(key_of(PARTS), PARTS, made)
    (entry.folder / "b").write_text("c")
    assert not cache.restore(entry, {name: str(tmp_path / name) for name in ("a", "b")})
    assert sorted(tmp_path.iterdir()) == [tmp_path / "cache"]


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
def test_an_entry_that_cannot_be_read_for_a_moment_is_not_dropped(tmp_path, monkeypatch, number):
    cache, said, out = stored(tmp_path)
    entry = cache.find(key_of(PARTS))

    def fails(path, *args, **further):
        raise OSError(number, os.strerror(number), str(path))

    with monkeypatch.context() as patch:
        patch.setattr("mngac.pipeline.cache.shutil.copyfile", fails)
        with pytest.raises(OSError, match=os.strerror(number)):
            cache.restore(entry, {"out": str(out)})
    assert cache.restore(entry, {"out": str(out)}) and not said


def test_an_entry_of_another_schema_is_refused(tmp_path):
    cache, _, _ = stored(tmp_path)
    changed(cache.folder(key_of(PARTS)) / "entry.json", schema=99)
    with pytest.raises(ValueError, match="schema 99"):
        cache.find(key_of(PARTS))
    assert cache.entries() == []


def test_of_two_who_store_one_key_the_first_stays_unless_it_is_damaged(tmp_path):
    cache, said, out = stored(tmp_path, text="first")
    for text, kept in (("second", "first"), ("third", "third")):
        made = cache.make(tmp_path / "cache/work/outputs")
        (made / "out").write_text(text)
        if text == "third":
            (cache.folder(key_of(PARTS)) / "out").write_text("damaged")
        assert cache.restore(cache.store(key_of(PARTS), PARTS, made), {"out": str(out)})
        assert out.read_text() == kept
    assert not said


def test_a_cache_that_is_a_file_or_lies_under_one_is_refused(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        monkeypatch.setenv("MNGAC_CACHE", str(path))
        with pytest.raises(UserError, match=r"MNGAC_CACHE: found .*/file, which is no folder; allowed: a folder"):
            Cache()


def test_a_cache_that_may_not_be_written_is_asked_and_what_is_made_stays_in_the_workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    params = small_params()
    monkeypatch.setenv("MNGAC_CACHE", str(tmp_path / "shared"))
    assert job(params, "data", dataset="digits").run() == "made"
    shared = {p: p.stat().st_mtime_ns for p in (tmp_path / "shared").rglob("*")}
    monkeypatch.setattr("mngac.pipeline.cache._may_write", lambda root: root != tmp_path / "shared")
    Path("data/digits.safetensors").unlink()
    assert job(params, "data", dataset="digits").run() == "cached"
    train = job(params, "train", dataset="digits", method="nat", seed="0")
    assert [train.run(), train.run()] == ["made", "cached"]
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "shared").rglob("*")} == shared
    own = tmp_path / ".mngac/cache"
    assert [entry.name for entry in Cache(own).entries()] == ["train digits nat 0"]
    said = Path("logs/train/digits-nat-0.log").read_text()
    assert f"{tmp_path / 'shared'} may not be written; what is made is kept in {own}" in said


def test_a_cache_of_a_group_stays_one_whatever_the_umask(tmp_path):
    root = tmp_path / "cache"
    root.mkdir()
    root.chmod(0o2775)
    before = os.umask(0o077)
    try:
        cache, _, _ = stored(tmp_path)
        with cache.lease("a" * 64):
            modes = {path: path.stat().st_mode for path in root.rglob("*")}
    finally:
        os.umask(before)
    for path, mode in modes.items():
        wanted = 0o2775 if path.is_dir() else 0o664
        assert mode & 0o7777 == wanted, path
    assert {path.suffix for path in modes if path.parent.name == "leases"} == {".json", ".lock"}


def test_of_a_cache_whose_group_may_not_write_the_user_is_told_how_to_share_it(tmp_path, monkeypatch):
    cache, _, _ = stored(tmp_path)

    def refused(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refused)
    with pytest.raises(
        UserError, match=r"no permission in it; users who share a cache need a group of their own; .*: chgrp"
    ):
        cache.make(cache.root / "entries/zz")


def test_an_output_that_cannot_be_put_in_place_is_not_made_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("data").write_text("in the way")
    data = job(small_params(), "data", dataset="digits")
    with pytest.raises(OSError, match="data"):
        data.run()
    Path("data").unlink()
    assert data.run() == "cached"


def test_a_cache_that_is_cleared_away_in_mid_run_changes_no_result(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "cache"
    monkeypatch.setenv("MNGAC_CACHE", str(root))
    params = small_params(epochs=2)
    job(params, "data", dataset="digits").run()
    train = job(params, "train", dataset="digits", method="nat", seed="0")
    line = Trainer._line

    def cleared(self):
        shutil.rmtree(root, ignore_errors=True)
        return line(self)

    monkeypatch.setattr(Trainer, "_line", cleared)
    assert [train.run(), train.run()] == ["made", "cached"]


def test_an_entry_that_may_not_be_removed_is_told_of_before_anything_is_computed(tmp_path, monkeypatch):
    cache, _, _ = stored(tmp_path)
    (cache.folder(key_of(PARTS)) / "entry.json").write_text("[1]")
    monkeypatch.setattr("mngac.pipeline.cache.shutil.rmtree", lambda folder, ignore_errors=False: None)
    with pytest.raises(UserError, match="damaged, and may not be removed; remove it as its owner, then run again"):
        cache.find(key_of(PARTS))
    made = cache.make(tmp_path / "cache/work/outputs")
    (made / "out").write_text("again")
    with pytest.raises(UserError, match="may not be removed"):
        cache.store(key_of(PARTS), PARTS, made)


def test_an_entry_with_other_files_than_are_stored_makes_room(tmp_path):
    cache, _, _ = stored(tmp_path)
    made = cache.make(tmp_path / "cache/work/outputs")
    (made / "other").write_text("more")
    assert cache.store(key_of(PARTS), PARTS, made).about["outputs"].keys() == {"other"}


def test_code_that_changed_while_a_job_waited_is_not_stored_under_the_key_of_what_was_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data, parts = job(small_params(), "data", dataset="digits"), Job._parts_now
    monkeypatch.setattr(Job, "_parts_now", lambda self: {**parts(self), "code": {}})
    with pytest.raises(UserError, match="its code or inputs changed while it waited; start the same command again"):
        data.run()
    assert Cache().entries() == [] and not Path("data").exists()
    looks = []

    def changes_later(self):
        looks.append(parts(self))
        return looks[-1] if len(looks) == 1 else {}

    monkeypatch.setattr(Job, "_parts_now", changes_later)
    assert data.run() == "made"
    assert "code or inputs changed while it ran; kept as made by what was there" in Path(data.log).read_text()


def test_the_parts_of_a_key_are_those_of_the_files_as_they_are_now(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("own_code.py").write_text("VALUE = 1\n")
    before = code_digest(["own_code"])
    Path("own_code.py").write_text("VALUE = 2\n")
    assert code_digest(["own_code"]) == before
    forget()
    assert code_digest(["own_code"]) != before


def test_outputs_that_were_cleared_away_are_not_stored(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    params = small_params()
    job(params, "data", dataset="digits").run()
    write = Trainer.write

    def cleared(self, outputs):
        write(self, outputs)
        Path(outputs["train.json"]).unlink()

    monkeypatch.setattr(Trainer, "write", cleared)
    with pytest.raises(UserError, match="cleared away while it was filled; start the same command again"):
        job(params, "train", dataset="digits", method="nat", seed="0").run()
    assert [entry.name for entry in Cache().entries()] == ["data digits"]


def test_what_a_run_kept_goes_at_the_next_hit_and_prune_looks_at_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = job(small_params(), "data", dataset="digits")
    data.run()
    cache = Cache()
    work = cache.make(cache.work(cache.entries()[0].key))
    (work / "checkpoint").write_text("left")
    os.utime(work, (0, 0))
    cache.prune(older_than_days=1)
    assert work.exists()
    assert data.run() == "cached" and not work.exists()


def test_prune_takes_old_entries_and_leaves_new_ones(tmp_path):
    cache, _, _ = stored(tmp_path)
    assert cache.prune(older_than_days=1) == [] and len(cache.entries()) == 1
    assert len(cache.prune(older_than_days=-1)) == 1 and cache.entries() == []


def test_prune_leaves_what_is_in_use(tmp_path):
    cache, _, _ = stored(tmp_path)
    with cache.lease(key_of(PARTS)):
        assert cache.prune(older_than_days=-1) == []
    assert len(cache.entries()) == 1


def test_the_difference_of_two_keys_names_the_leaf():
    new = {**PARTS, "params": {"beta": 8.0}}
    assert differences(PARTS, new) == ["params.beta: 12.0 -> 8.0"]


def test_a_job_that_waited_for_its_twin_becomes_a_hit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = []
    jobs = [job(small_params(), "data", dataset="digits") for _ in range(2)]
    threads = [threading.Thread(target=lambda j=j: results.append(j.run())) for j in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["cached", "made"]


def test_a_missing_input_says_which_and_who_makes_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"digits.safetensors: not found.*snakemake --cores 1 data/digits.safetensors"):
        job(small_params(), "train", dataset="digits", method="nat", seed="0").run()


def test_a_work_folder_that_a_run_clears_away_meanwhile_does_not_end_a_prune(tmp_path, monkeypatch):
    cache = Cache(tmp_path)
    work = cache.make(cache.work("a" * 64))
    (work / "checkpoint").write_text("")
    iterdir = Path.iterdir

    def cleared(self):
        for path in [*iterdir(self)]:
            if self == work:
                path.unlink()
            yield path

    monkeypatch.setattr(Path, "iterdir", cleared)
    assert cache.prune(0) == [] and work.exists()
