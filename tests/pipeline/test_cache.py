"""The artifact cache: hits, misses, damage, locks, and files that are whole or not there."""

import json
import threading

import pytest
from helpers import small_params

from mngac.pipeline.cache import Cache, atomic, differences, key_of
from mngac.pipeline.jobs import job

PARTS = {"stage": "train", "wildcards": {"method": "nat"}, "params": {"beta": 12.0}}


def stored(tmp_path, parts=PARTS, text="weights"):
    out = tmp_path / "out.bin"
    out.write_text(text)
    cache = Cache(tmp_path / "cache")
    cache.store(key_of(parts), parts, {"out": str(out)})
    out.unlink()
    return cache, out


def test_what_was_stored_is_put_back(tmp_path):
    cache, out = stored(tmp_path)
    assert cache.find(key_of(PARTS)).restore({"out": str(out)}) and out.read_text() == "weights"


def test_another_parameter_is_another_key(tmp_path):
    cache, _ = stored(tmp_path)
    assert cache.find(key_of({**PARTS, "params": {"beta": 8.0}})) is None


def test_equal_parameters_of_two_methods_are_two_keys():
    assert key_of(PARTS) != key_of({**PARTS, "wildcards": {"method": "sat"}})


def test_a_damaged_entry_is_a_miss_and_leaves_no_output(tmp_path):
    cache, out = stored(tmp_path)
    (cache.folder(key_of(PARTS)) / "out").write_text("wrong")
    assert not cache.find(key_of(PARTS)).restore({"out": str(out)})
    assert not out.exists() and cache.find(key_of(PARTS)) is None


def test_an_entry_with_a_file_missing_is_a_miss(tmp_path):
    cache, out = stored(tmp_path)
    (cache.folder(key_of(PARTS)) / "out").unlink()
    assert not cache.find(key_of(PARTS)).restore({"out": str(out)})


def test_an_entry_of_another_schema_is_refused(tmp_path):
    cache, _ = stored(tmp_path)
    about = cache.folder(key_of(PARTS)) / "entry.json"
    about.write_text(json.dumps({**json.loads(about.read_text()), "schema": 99}))
    with pytest.raises(ValueError, match="schema 99"):
        cache.find(key_of(PARTS))


def test_an_atomic_write_that_fails_leaves_what_was_there(tmp_path):
    target = tmp_path / "file"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]


def test_prune_takes_old_entries_and_leaves_new_ones(tmp_path):
    cache, _ = stored(tmp_path)
    assert cache.prune(older_than_days=1) == [] and len(cache.entries()) == 1
    assert len(cache.prune(older_than_days=-1)) == 1 and cache.entries() == []


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
    with pytest.raises(ValueError, match=r"data/digits.safetensors: not found.*snakemake data/digits.safetensors"):
        job(small_params(), "train", dataset="digits", method="nat", seed="0").run()
