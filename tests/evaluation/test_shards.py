"""Blocks and shards: an evaluation shared among jobs gives the record that one job gives."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from evaluation_helpers import RADII, digits, suite, trained
from helpers import run, small, workspace, write_params

from mngac.evaluation import tasks
from mngac.evaluation.blocks import batches, in_block
from mngac.evaluation.loop import attacked_blocks, evaluate
from mngac.params.checks import parse
from mngac.params.errors import ParamsError
from mngac.pipeline.blocks import Blocks
from mngac.pipeline.cache import Cache, key_of
from mngac.pipeline.jobs import job
from mngac.pipeline.stopping import Stopped

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
def test_shards_divide_the_blocks_among_themselves(shards, tmp_path):
    blocks = Blocks({"wildcards": {}}, suite("pgd linf", block=4), 14, Cache(tmp_path))
    mine = [blocks.of_shard(f"{number}-of-{shards}") for number in range(1, shards + 1)]
    assert sorted(number for numbers in mine for number in numbers) == [0, 1, 2, 3]
    assert max(map(len, mine)) - min(map(len, mine)) <= 1
    images = torch.stack([in_block(14, suite("pgd linf", block=4), number) for number in range(4)])
    assert images.sum(0).tolist() == [1] * 14 and images.sum(1).tolist() == [4, 4, 4, 2]


@pytest.mark.parametrize("mode", ["survivors", "all"])
def test_what_blocks_find_is_what_the_whole_finds(mode, monkeypatch):
    x, y = digits()
    whole = evaluate(trained(), x, y, blocked(mode=mode), RADII)
    with attacked_blocks(trained(), x, y, blocked(mode=mode), RADII) as attack:
        found = [finding for number in (3, 0, 4, 2, 1) for finding in attack(number, None)]
    monkeypatch.setattr(tasks.Runner, "run", lambda self, task: pytest.fail(f"{task.name} was run again"))
    gathered = evaluate(trained(), x, y, blocked(mode=mode), RADII, known=found)
    assert gathered.clean == whole.clean and gathered.flags == whole.flags
    assert gathered.attacks == whole.attacks


@pytest.mark.slow
def test_worker_processes_know_what_is_predicted_in_each_block(monkeypatch):
    """brendel_bethge starts from images that are put in another class."""
    x, y = digits(16)
    given = suite("brendel_bethge l2", batch_size=2, block=4)
    whole = evaluate(trained(), x, y, given, RADII)
    monkeypatch.setattr("mngac.evaluation.loop.as_many_as_fit", lambda processes: processes)
    with attacked_blocks(trained(), x, y, given.model_copy(update={"processes": 2}), RADII) as attack:
        found = [finding for number in range(4) for finding in attack(number, None)]
    assert evaluate(trained(), x, y, given, RADII, known=found).attacks == whole.attacks


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
    given = blocked()
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


def clear():
    """Takes away what was made, but for the cache."""
    for name in ("records", "shards", "logs"):
        shutil.rmtree(name, ignore_errors=True)


@pytest.fixture
def alone(evaluation, monkeypatch, tmp_path):
    """The record of one job that does it all, without blocks that are kept, in a cache of its own."""
    monkeypatch.setenv("MNGAC_CACHE", str(tmp_path / "other"))
    with monkeypatch.context() as patch:
        patch.setattr("mngac.evaluation.stage.findings", lambda *given: ())
        assert evaluation[0].run() == "made"
    monkeypatch.setenv("MNGAC_CACHE", str(tmp_path / "cache"))
    text = record(evaluation[0])
    clear()
    return text


@pytest.fixture
def attacks_nothing(monkeypatch):
    """From when it is called, an attack is a failure."""
    return lambda: monkeypatch.setattr(tasks.Runner, "run", lambda self, task: pytest.fail(f"{task.name} was run"))


def test_a_sharded_record_is_the_unsharded_one(evaluation, alone, attacks_nothing):
    whole, shards = evaluation
    assert [shard.run() for shard in shards] == ["made"] * 3
    attacks_nothing()
    assert whole.run() == "made"
    assert record(whole) == alone and '"shards"' not in alone and '"block": 6' in alone
    assert [Path(shard.outputs["receipt"]).read_text() for shard in shards] == [f"{s.command}\n" for s in shards]


def test_one_job_that_does_it_all_keeps_each_block(evaluation, alone, attacks_nothing, tmp_path):
    whole, shards = evaluation
    whole.run()
    assert record(whole) == alone
    cache = Cache(tmp_path / "cache")
    shutil.rmtree(cache.folder(key_of(whole.key_parts())))
    clear()
    attacks_nothing()
    assert [shard.run() for shard in shards] == ["cached"] * 3
    whole.run()
    assert record(whole) == alone


def with_shards(count):
    """The parameters with another number of shards."""
    raw = small(methods=("nat",), epochs=5)
    raw["evaluation"]["apgd"] |= {"block": 6, "batch_size": 4, "shards": count}
    return parse(raw)


def test_other_shards_take_up_what_the_first_ones_have_finished(evaluation, alone, monkeypatch):
    whole, shards = evaluation
    shards[0].run()  # blocks 0 and 3 of 4
    ran = []
    run_task = tasks.Runner.run
    monkeypatch.setattr(tasks.Runner, "run", lambda self, task: (ran.append(task.block), run_task(self, task))[1])
    other = with_shards(2)
    for name in ("1-of-2", "2-of-2"):
        job(other, "evaluate_shard", **WHO, shard=name).run()
    assert set(ran) == {(6, 12), (12, 18)}
    again = job(other, "evaluate", **WHO)
    assert again.key_parts() == whole.key_parts()
    again.run()
    assert record(again) == alone


@pytest.mark.parametrize("how", ["gone", "damaged"])
def test_a_block_that_the_cache_lost_is_attacked_again(evaluation, alone, monkeypatch, tmp_path, how):
    whole, shards = evaluation
    for shard in shards:
        shard.run()
    cache = Cache(tmp_path / "cache")
    (entry,) = [e for e in cache.entries() if e.name == "evaluate_block digits nat 0 apgd standard 2"]
    if how == "gone":
        shutil.rmtree(entry.folder)
    else:
        path = entry.folder / "findings.json"
        path.write_text(path.read_text().replace('"broken"', '"held"', 1))
    ran = []
    run_task = tasks.Runner.run
    monkeypatch.setattr(tasks.Runner, "run", lambda self, task: (ran.append(task.block), run_task(self, task))[1])
    whole.run()
    assert record(whole) == alone and set(ran) == {(12, 18)}


def test_what_lies_in_the_workspace_changes_no_record(evaluation, alone):
    whole, shards = evaluation
    for shard in shards:
        shard.run()
        Path(shard.outputs["receipt"]).write_text('{"findings": [{"outcomes": ["held"]}]}')
    whole.run()
    assert record(whole) == alone


def test_shards_of_a_record_that_is_known_need_nothing_but_the_cache(evaluation, tmp_path, monkeypatch):
    """Not torch, and not the device: the blocks may be gone, and the machine have no GPU."""
    whole, shards = evaluation
    whole.run()
    for entry in Cache(tmp_path / "cache").entries():
        if entry.name.startswith("evaluate_block"):
            shutil.rmtree(entry.folder)
    monkeypatch.setattr("mngac.pipeline.jobs.computing", lambda *given: pytest.fail("a device was asked for"))
    assert [shard.run() for shard in shards] == ["cached"] * 3
    assert "cached, nothing is left to do" in Path(shards[0].log).read_text()


def test_a_shard_without_a_block_needs_no_device_either(evaluation, monkeypatch):
    monkeypatch.setattr("mngac.pipeline.jobs.computing", lambda *given: pytest.fail("a device was asked for"))
    assert job(with_shards(9), "evaluate_shard", **WHO, shard="7-of-9").run() == "cached"


def test_a_stopped_shard_goes_on_where_it_was(evaluation, alone, monkeypatch):
    whole, shards = evaluation
    run_task, ran = tasks.Runner.run, []

    def stop_at_the_fourth(self, task):
        if len(ran) == 3:
            raise KeyboardInterrupt
        ran.append((task.name, task.positions))
        return run_task(self, task)

    monkeypatch.setattr(tasks.Runner, "run", stop_at_the_fourth)
    with pytest.raises(Stopped, match="what was finished is saved, and the same command resumes from there"):
        shards[0].run()
    first = list(ran)
    monkeypatch.setattr(tasks.Runner, "run", lambda self, task: (ran.append(task), run_task(self, task))[1])
    for each in shards:
        each.run()
    assert not {name for name, _ in first} & {task.name for task in ran[3:]}
    whole.run()
    assert record(whole) == alone


def test_a_shards_log_says_which_images_its_shares_are_of(evaluation):
    _, shards = evaluation
    shards[1].run()
    assert " % of images 6-11 correct" in Path(shards[1].log).read_text()


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


def sharded(folder, **changes):
    """A workspace whose evaluations are shared by two jobs."""
    raw = small(methods=("nat",))
    raw["evaluation"]["apgd"] |= {"block": 5, "shards": 2, "batch_size": 4, **changes}
    made = workspace(folder, raw)
    run(made, "git", "init", "-q")
    return made


def record_in(folder):
    """The record's bytes but for times."""
    content = json.loads((folder / "records/digits/nat/seed0/apgd-standard.json").read_text())
    del content["timing"]
    return json.dumps(content)


TABLE = "results/tables/metrics-apgd-standard.json"


@pytest.mark.slow
def test_snakemake_scatters_and_gathers_and_dvc_gives_the_same_record(tmp_path):
    scattered, one = sharded(tmp_path / "scattered"), sharded(tmp_path / "one")
    done = run(scattered, "snakemake", "--quiet", "host", "--cores", "2", TABLE)
    assert done.stderr.count("rule evaluate_shard:") == 2
    assert not list(scattered.glob("shards/**/*.txt"))
    run(one, "dvc", "repro", "metrics")
    assert record_in(scattered) == record_in(one)
    for folder in (scattered, one):
        assert "Nothing to be done" in (done := run(folder, "snakemake", "-n", TABLE)).stdout, done.stdout


@pytest.mark.slow
def test_a_finished_evaluation_is_not_shared_anew(tmp_path):
    folder = sharded(tmp_path / "w")
    run(folder, "dvc", "repro", "metrics")
    for name in (".mngac", ".snakemake", "shards", "logs"):
        shutil.rmtree(folder / name, ignore_errors=True)
    assert "Nothing to be done" in (done := run(folder, "snakemake", "-n", TABLE)).stdout, done.stdout
    raw = yaml.safe_load((folder / "params.yaml").read_text())
    raw["evaluation"]["apgd"]["shards"] = 3
    write_params(folder, raw)
    shutil.rmtree(folder / "records")
    run(folder, "snakemake", "--cores", "2", "records/digits/nat/seed0/apgd-standard.json")
    logs = [path.read_text() for path in folder.glob("logs/evaluate_shard/*.log")]
    assert len(logs) == 3 and all("cached, nothing is left to do" in text for text in logs)
