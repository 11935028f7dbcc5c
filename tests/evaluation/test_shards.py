"""Blocks and shards: an evaluation shared among jobs gives the record that one job gives."""

import json
from pathlib import Path

import pytest
import torch
from evaluation_helpers import RADII, digits, suite, trained
from helpers import run, small, workspace

from mngac.evaluation import tasks
from mngac.evaluation.blocks import batches, share
from mngac.evaluation.loop import evaluate, evaluate_share
from mngac.params.checks import parse
from mngac.params.errors import ParamsError
from mngac.pipeline.jobs import job

MANY = ("batched_apgd_ce linf", "apgd_t linf", "square linf", "brendel_bethge l2", "apgd_ce l2", "pgd_l1 l1")
"""Attacks that draw by batch, that start from other images, and that do neither."""


def blocked(**changes):
    """Short attacks on blocks of 9 of 40 images, in batches of 5."""
    return suite(*MANY, batch_size=5, block=9, **changes)


def test_batches_hold_neighbours_of_one_block_that_are_left():
    left = torch.tensor([1, 1, 0, 1, 0, 1, 1, 1, 0, 0, 0, 1], dtype=torch.bool)
    found = [(b.name, b.positions, b.block) for b in batches(left, suite("pgd linf", batch_size=2, block=4))]
    assert found == [
        ("0.0", [0, 1], (0, 4)),
        ("0.1", [3], (0, 4)),
        ("1.0", [5, 6], (4, 8)),
        ("1.1", [7], (4, 8)),
        ("2.0", [11], (8, 12)),
    ]
    whole = [(b.name, b.positions) for b in batches(left, suite("pgd linf", batch_size=4))]
    assert whole == [("0", [0, 1, 3, 5]), ("1", [6, 7, 11])]


@pytest.mark.parametrize("shards", [1, 2, 3, 7])
def test_shards_divide_the_blocks_among_themselves(shards):
    given = suite("pgd linf", block=4, shards=shards)
    mine = torch.stack([share(14, given, number) for number in range(1, shards + 1)])
    assert mine.sum(0).tolist() == [1] * 14
    blocks = mine.float().split(4, dim=1)
    assert all(bool((block.mean(1) % 1 == 0).all()) for block in blocks)
    assert mine.any(1).tolist() == [number <= 4 for number in range(1, shards + 1)]


@pytest.mark.parametrize("mode", ["survivors", "all"])
@pytest.mark.parametrize("shards", [2, 7])
def test_what_shards_find_is_what_the_whole_finds(mode, shards, monkeypatch):
    x, y = digits()
    given = blocked(mode=mode, shards=shards)
    whole = evaluate(trained(), x, y, given, RADII)
    found = [
        finding
        for number in range(1, shards + 1)
        for finding in evaluate_share(trained(), x, y, given, RADII, share(40, given, number))
    ]
    monkeypatch.setattr(tasks.Runner, "run", lambda self, task: pytest.fail(f"{task.name} was run again"))
    gathered = evaluate(trained(), x, y, given, RADII, known=found)
    assert gathered.clean == whole.clean and gathered.flags == whole.flags
    assert gathered.attacks == whole.attacks


def test_a_block_is_attacked_as_if_there_were_no_other():
    x, y = digits()
    whole = evaluate(trained(), x, y, blocked(), RADII)
    for first in range(0, 40, 9):
        there = slice(first, first + 9)
        alone = evaluate(trained(), x[there], y[there], suite(*MANY, batch_size=5), RADII)
        assert [a.correct for a in alone.attacks] == [a.correct[there] for a in whole.attacks]


def test_without_blocks_what_is_left_of_all_images_is_packed_together():
    """Else the test before would hold for any evaluation."""
    x, y = digits()
    whole = evaluate(trained(), x, y, suite(*MANY, batch_size=5), RADII)
    parts = [
        evaluate(trained(), x[i : i + 9], y[i : i + 9], suite(*MANY, batch_size=5), RADII) for i in range(0, 40, 9)
    ]
    assert sum(a.forwards for a in whole.attacks) != sum(a.forwards for part in parts for a in part.attacks)


def test_a_finding_of_other_images_is_not_taken():
    x, y = digits()
    given = blocked(shards=2)
    whole = evaluate(trained(), x, y, given, RADII)
    wrong = [tasks.Finding("apgd_t linf 0.0", [0, 1], [tasks.Outcome.BROKEN] * 2, 1, 0.0)]
    assert evaluate(trained(), x, y, given, RADII, known=wrong).attacks == whole.attacks


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory):
    """A workspace with a trained classifier."""
    folder = workspace(tmp_path_factory.mktemp("shards") / "w", small(methods=("nat",), epochs=5))
    for command in ("mngac data --dataset digits", "mngac train --dataset digits --method nat --seed 0"):
        run(folder, *command.split())
    return folder


WHO = {"dataset": "digits", "method": "nat", "seed": "0", "suite": "apgd", "profile": "standard"}


@pytest.fixture
def evaluation(trained_once, tmp_path, monkeypatch):
    """The evaluation's job and its shards', in a workspace with an empty cache and no record."""
    for name in ("data", "trained"):
        (tmp_path / name).symlink_to(trained_once / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNGAC_CACHE", str(tmp_path / "cache"))
    raw = small(methods=("nat",), epochs=5)
    raw["evaluation"]["apgd"] |= {"block": 6, "shards": 3, "batch_size": 4}
    params = parse(raw)
    whole = job(params, "evaluate", **WHO)
    return whole, [job(params, "evaluate_shard", **WHO, shard=name) for name in whole.shards]


def record(whole):
    """The record that the job has written, without times."""
    content = json.loads(Path(whole.outputs["record"]).read_text())
    del content["timing"]
    return json.dumps(content)


def said(whole):
    """The job's log."""
    return Path(whole.log).read_text()


def alone(whole, monkeypatch, tmp_path):
    """The record of one job that does it all, with a cache of its own."""
    monkeypatch.setenv("MNGAC_CACHE", str(tmp_path / "other"))
    assert whole.run() == "made"
    monkeypatch.setenv("MNGAC_CACHE", str(tmp_path / "cache"))
    text = record(whole)
    Path(whole.outputs["record"]).unlink()
    Path(whole.log).unlink()
    return text


def test_a_sharded_record_is_the_unsharded_one(evaluation, monkeypatch, tmp_path):
    whole, shards = evaluation
    wanted = alone(whole, monkeypatch, tmp_path)
    assert [shard.run() for shard in shards] == ["made"] * 3
    monkeypatch.setattr(tasks.Runner, "run", lambda self, task: pytest.fail(f"{task.name} was run again"))
    assert whole.run() == "made"
    assert record(whole) == wanted and '"shards"' not in wanted and '"block": 6' in wanted


def test_another_number_of_shards_is_the_same_evaluation(evaluation):
    whole, shards = evaluation
    raw = small(methods=("nat",), epochs=5)
    raw["evaluation"]["apgd"] |= {"block": 6, "batch_size": 4}
    assert job(parse(raw), "evaluate", **WHO).key_parts() == whole.key_parts()
    assert len({json.dumps(shard.key_parts()) for shard in shards}) == 3


def damage(path):
    path.write_text(path.read_text()[:-40])


def of_another(path):
    path.write_text(path.read_text().replace('"key": "', '"key": "0'))


def empty(path):
    path.write_text(json.dumps({"schema": 1, "key": json.loads(path.read_text())["key"], "findings": [{}]}))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda path: path.unlink(), "2 of 3 shards are there; the rest is"),
        (damage, "2-of-3.json: Unterminated string"),
        (of_another, "2-of-3.json: of another evaluation"),
        (empty, "2-of-3.json: found no findings in it"),
    ],
    ids=["missing", "damaged", "of another evaluation", "empty"],
)
def test_what_a_shard_does_not_bring_is_attacked_by_the_evaluation(evaluation, monkeypatch, tmp_path, spoil, told):
    whole, shards = evaluation
    wanted = alone(whole, monkeypatch, tmp_path)
    for shard in shards:
        shard.run()
    spoil(Path(shards[1].outputs["findings"]))
    whole.run()
    assert record(whole) == wanted
    (line,) = [line for line in said(whole).splitlines() if "attacked here" in line]
    assert told in line


def test_shards_of_a_record_that_is_known_have_nothing_to_do(evaluation, monkeypatch):
    whole, shards = evaluation
    whole.run()
    monkeypatch.setattr(tasks.Runner, "run", lambda self, task: pytest.fail(f"{task.name} was run again"))
    for shard in shards:
        shard.run()
        assert "nothing to do, the whole evaluation is in the cache" in said(shard)
        assert json.loads(Path(shard.outputs["findings"]).read_text())["findings"] == []


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            {"shards": 4},
            "evaluation.apgd.shards: found 4; allowed: 1, or a block too: without one all images that are left are "
            "packed together, as AutoAttack does",
        ),
        ({"block": 0}, "evaluation.apgd.block: found 0; allowed: greater than 0"),
    ],
)
def test_shards_without_a_block_are_refused(change, line):
    raw = small()
    raw["evaluation"]["apgd"] |= change
    with pytest.raises(ParamsError) as refused:
        parse(raw)
    assert str(refused.value) == line


@pytest.mark.parametrize(
    ("shards", "line"),
    [
        (3, '--shard: found "4-of-3"; allowed: 1-of-3, 2-of-3, 3-of-3'),
        (1, '--shard: found "4-of-3"; allowed: none, since evaluation.apgd.shards is 1'),
    ],
)
def test_a_shard_that_there_is_not_is_refused(shards, line):
    raw = small()
    raw["evaluation"]["apgd"] |= {"block": 6, "shards": shards}
    with pytest.raises(ParamsError) as refused:
        job(parse(raw), "evaluate_shard", **WHO, shard="4-of-3")
    assert str(refused.value) == line


@pytest.mark.slow
def test_snakemake_scatters_and_gathers_and_dvc_gives_the_same_record(tmp_path):
    raw = small(methods=("nat",), epochs=5)
    raw["evaluation"]["apgd"] |= {"block": 5, "shards": 2, "batch_size": 4}
    records = []
    for name, command in (
        ("scattered", ("snakemake", "--cores", "2", "results/tables/metrics-apgd-standard.json")),
        ("one", ("dvc", "repro", "evaluate")),
    ):
        folder = workspace(tmp_path / name, raw)
        run(folder, "git", "init", "-q")
        run(folder, *command)
        path = folder / "records/digits/nat/seed0/apgd-standard.json"
        content = json.loads(path.read_text())
        assert len(list(folder.glob("shards/**/*.json"))) == (2 if name == "scattered" else 0)
        records.append({key: value for key, value in content.items() if key != "timing"})
    assert records[0]["attacks"] == records[1]["attacks"] and records[0] == records[1]
