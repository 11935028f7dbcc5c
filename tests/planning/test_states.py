"""Hits and misses foretold: keys chained through the cache's entries, with nothing in the workspace."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import small, small_params
from safetensors.numpy import save_file

from mngac.params.checks import parse
from mngac.pipeline.blocks import Blocks
from mngac.pipeline.cache import Cache, key_of
from mngac.pipeline.jobs import jobs
from mngac.planning.cards import Choice
from mngac.planning.images import read
from mngac.planning.page import text
from mngac.planning.plan import plan
from mngac.planning.states import State, states
from mngac.results.records import read as read_record

RUN = {"methods": ("nat", "adv_linf"), "semi": ("rst_linf",)}


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fill(params):
    """A cache that has every job of a run, as if it had been made."""
    cache, digests = Cache(), {}
    for job in (job for job in jobs(params) if not job.stage.shares):
        inputs = {name: digests[path] for name, path in job.inputs.items() if name not in job.stage.notes}
        parts = {**job.here.stated(), "inputs": inputs}
        made = cache.make(cache.work(key_of(parts)) / "outputs")
        for name, path in job.outputs.items():
            (made / name).write_text(path)
        if job.stage.name == "data":
            save_file({"test.labels": np.zeros(898)}, made / "data")
        entry = cache.store(key_of(parts), parts, made)
        digests.update({path: entry.about["outputs"][name] for name, path in job.outputs.items()})
    return cache


def told(params):
    return {f"{found.job.stage.name} {found.job.name}": found.state for found in states(jobs(params), Cache())}


def test_an_empty_cache_leaves_all_to_make(workspace):
    assert set(told(small_params(**RUN)).values()) == {State.TO_MAKE}


def test_a_full_cache_leaves_nothing_to_make_in_an_empty_workspace(workspace):
    params = small_params(**RUN, seeds=[0, 1])
    fill(params)
    found = told(params)
    assert set(found.values()) == {State.HIT} and len(found) == len(jobs(params)) >= 20
    assert sorted(path.name for path in workspace.iterdir()) == ["cache"]


def test_what_comes_after_a_miss_is_to_make_and_nothing_else(workspace):
    params = small_params(**RUN)
    cache = fill(params)
    gone = next(e for e in cache.entries() if e.name == "train digits nat 0")
    shutil.rmtree(gone.folder)
    made = {name for name, state in told(params).items() if state is State.TO_MAKE}
    after = {"train digits-nat-0", "pseudo_label digits-nat-0", "train_semi digits-rst_linf-0"}
    evaluations = {f"evaluate digits-{method}-0-apgd-standard" for method in ("nat", "rst_linf")}
    ends = {"metrics apgd-standard", "tables tables", "figures figures", "model_figures digits", "report report"}
    assert made == after | evaluations | ends


def test_a_value_that_changed_is_seen_by_what_uses_it(workspace):
    raw = small(**RUN)
    fill(parse(raw))
    raw["methods"]["rst_linf"] |= {"beta": 5}
    made = {name for name, state in told(parse(raw)).items() if state is State.TO_MAKE}
    assert {"train_semi digits-rst_linf-0", "evaluate digits-rst_linf-0-apgd-standard"} <= made
    assert not [name for name in made if name.startswith(("data", "train ", "pseudo", "evaluate digits-nat"))]


def shared(raw):
    """The same with evaluations that two jobs share."""
    raw["evaluation"]["apgd"] |= {"block": 10, "shards": 2}
    return parse(raw)


def test_shards_are_hits_where_the_whole_evaluation_or_their_blocks_are(workspace):
    """20 images: blocks 0 and 1, one a shard."""
    params = shared(small(**RUN))
    cache = fill(params)
    assert set(told(params).values()) == {State.HIT}
    evaluation, shards = "evaluate digits-nat-0-apgd-standard", "evaluate_shard digits-nat-0-apgd-standard"
    (entry,) = [entry for entry in cache.entries() if entry.name == evaluation.replace("-", " ")]
    shutil.rmtree(entry.folder)
    made = {name for name, state in told(params).items() if state is State.TO_MAKE and name.startswith("evaluate")}
    assert made == {evaluation, f"{shards}-1-of-2", f"{shards}-2-of-2"}
    blocks = Blocks(entry.about["parts"], params.evaluation["apgd"], 20, cache)
    assert blocks.count == 2
    blocks.store(1, [], cache.make(cache.work(blocks.key(1)) / "outputs"))
    made = {name for name, state in told(params).items() if state is State.TO_MAKE and name.startswith("evaluate")}
    assert made == {evaluation, f"{shards}-1-of-2"}


def test_keys_of_another_device_are_known_here(workspace):
    params = small_params(**RUN, device="cuda")
    fill(params)
    assert set(told(params).values()) == {State.HIT}


def test_a_key_that_cannot_be_known_is_unknown_and_so_is_what_comes_after(workspace):
    raw = small(**RUN)
    raw["data"]["digits"]["source"] = "not/here"
    found = states(jobs(parse(raw)), Cache())
    assert {one.state for one in found} == {State.UNKNOWN} and {"not/here" in one.why for one in found} == {True}


@pytest.mark.slow
def test_a_real_run_is_a_hit_once_its_workspace_is_gone_and_was_foretold_to_the_operation(workspace):
    """One epoch on the digits: keys as jobs make them, operations and passes as train.json and records count them."""
    params = small_params(methods=("nat", "adv_linf"), epochs=1)
    before = plan(params, Choice("cpu", 0.3, 1, None))
    done = [job for job in jobs(params) if job.stage.name in ("data", "train", "evaluate")]
    for job in done:
        job.run()
    images = read(Path("data/digits.safetensors"))
    assert {line.found.job.stage.name: line for line in before.lines}["data"].space.disk == images.bytes
    for name in ("data", "trained", "records", ".mngac", "logs"):
        shutil.rmtree(name)
    after = plan(params, Choice("cpu", 0.3, 1, None))
    found = {line.found.job.name: line for line in after.lines if line.found.state is State.HIT}
    assert set(found) == {job.name for job in done}
    check_operations(before, found)
    check_speed(small_params(methods=("nat", "adv_linf"), epochs=1, seeds=[0, 1]))


def check_speed(params):
    """Holds what is foretold of another seed's jobs to what this one's took."""
    found = plan(params, Choice("cpu", 0.3, 1, None))
    spent = 0.0
    for line in found.lines:
        if line.found.state is State.HIT and line.found.job.stage.name == "train":
            spent += json.loads((line.found.entry.folder / "train.json").read_text())["process_seconds"]
    left = [line for line in found.lines if line.left and line.found.job.stage.name == "train"]
    assert len(left) == 2 and 3600 * found.hours(left) == pytest.approx(spent)
    page = text(found, "x")
    assert "trainings on digits" in page and "evaluations on digits" in page and "as 2 jobs of the run took" in page
    assert plan(params, Choice("h200", 0.3, 1, None)).taken == {}


def check_operations(before, found):
    """Holds what was foretold to what the entries of the cache say."""
    for line in before.lines:
        name, stage = line.found.job.name, line.found.job.stage.name
        if stage == "train":
            counted = json.loads((found[name].found.entry.folder / "train.json").read_text())
            assert line.work.counted == counted["flops"]
            assert line.work.counted / line.work.forward == pytest.approx(counted["forward_passes"], abs=1e-3)
            classifier = found[name].found.entry.folder / "classifier.safetensors"
            assert line.space.disk < classifier.stat().st_size < 1.1 * line.space.disk + 10_000
        elif stage == "evaluate":
            record = read_record(found[name].found.entry.folder / "record")
            forwards = sum(attack.forwards for attack in record.attacks)
            assert 0 < forwards * line.work.forward < line.work.most
