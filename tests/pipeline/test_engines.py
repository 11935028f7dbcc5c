"""Both engines run for real, on few methods and one epoch: one cache, equal bytes, each sees the other's changes."""

import json
import shutil
from pathlib import Path

import pytest
from helpers import run, small, workspace, write_params

from mngac.pipeline.cache import Cache

pytestmark = pytest.mark.slow


def made(cache, stage):
    """Names of the entries of a stage in a cache."""
    return sorted(e.name for e in Cache(cache).entries() if e.about["parts"]["stage"] == stage)


RESULTS = ("metrics", "tables", "figures", "model_figures", "report")


def counts(cache):
    return {stage: len(made(cache, stage)) for stage in ("data", "train", "evaluate", *RESULTS)}


def planned(folder):
    """Rules and their numbers that `snakemake -n` lists."""
    done = run(folder, "snakemake", "-n")
    table = [line.split() for line in (done.stdout + done.stderr).splitlines()]
    jobs = {words[0]: int(words[1]) for words in table if len(words) == 2 and words[1].isdigit()}
    return {rule: count for rule, count in jobs.items() if rule.isidentifier() and rule != "total"}


BETA_ONLY = {"train": 1, "evaluate": 1, **dict.fromkeys(RESULTS, 1), "all": 1}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Two workspaces, each run by one engine from an empty cache of its own."""
    folders = {}
    for engine, command in (("snakemake", ["snakemake", "--cores", "1"]), ("dvc", ["dvc", "repro"])):
        folder = workspace(tmp_path_factory.mktemp(engine) / "w", small())
        run(folder, "git", "init", "-q")
        run(folder, *command)
        folders[engine] = folder
    return folders


def wipe(folder):
    for name in ("trained", "records", "results"):
        shutil.rmtree(folder / name)


def change(folder, **values):
    """Writes the small parameters, changed where `values` says so: `training__svhn__epochs=3`."""
    raw = small()
    for path, value in values.items():
        *sections, last = path.split("__")
        node = raw
        for section in sections:
            node = node[section]
        node[last] = value
    write_params(folder, raw)


def test_the_engines_train_byte_identical_classifiers(both):
    for method in ("nat", "mng_ac"):
        for name in ("classifier.safetensors", "generator.safetensors"):
            path = Path("trained/digits", method, "seed0", name)
            assert (both["snakemake"] / path).read_bytes() == (both["dvc"] / path).read_bytes()


def test_the_engines_write_equal_records_but_for_timing(both):
    for method in ("nat", "mng_ac"):
        records = [
            json.loads((f / f"records/digits/{method}/seed0/apgd-standard.json").read_text()) for f in both.values()
        ]
        for record in records:
            del record["timing"]
        assert records[0] == records[1]


def test_after_a_run_there_is_nothing_to_do_under_either_engine(both):
    folder = both["snakemake"]
    before = counts(folder / "cache")
    assert before == {"data": 1, "train": 2, "evaluate": 2, **dict.fromkeys(RESULTS, 1)}
    assert planned(folder) == {}
    run(folder, "dvc", "repro")
    assert counts(folder / "cache") == before
    assert planned(folder) == {}


def test_deleted_results_come_back_without_training(both):
    for engine, command in (("snakemake", ["snakemake", "--cores", "1"]), ("dvc", ["dvc", "repro"])):
        folder = both[engine]
        before = counts(folder / "cache")
        wanted = (folder / "results/tables/all.csv").read_bytes()
        wipe(folder)
        run(folder, *command)
        assert (folder / "results/tables/all.csv").read_bytes() == wanted
        assert counts(folder / "cache") == before


def settled(both):
    """Snakemake's workspace, all made at the first parameters, and what its cache then holds."""
    folder = both["snakemake"]
    change(folder)
    run(folder, "snakemake", "--cores", "1")
    return folder, counts(folder / "cache")


def test_a_changed_beta_retrains_mng_ac_alone_and_the_other_engine_sees_it(both):
    folder = both["dvc"]
    before = counts(folder / "cache")
    assert planned(folder) == {}
    change(folder, methods__mng_ac__beta=8)
    assert planned(folder) == BETA_ONLY
    run(folder, "dvc", "repro")
    after = counts(folder / "cache")
    assert {k: after[k] - before[k] for k in after} == {k: BETA_ONLY.get(k, 0) for k in after}
    assert not {"data", "train"} & set(planned(folder))
    change(folder)
    run(folder, "snakemake", "--cores", "1")
    assert counts(folder / "cache") == after and planned(folder) == {}
    assert "train@digits-mng_ac-0" in run(folder, "dvc", "status").stdout
    run(folder, "dvc", "repro")
    assert counts(folder / "cache") == after


def test_values_that_no_job_uses_start_nothing_and_under_dvc_the_cache_answers_for_all(both):
    folder, before = settled(both)
    change(folder, training__svhn__momentum=0.5, methods__sat__beta=1, radii__large_l1__svhn__linf=0.25)
    assert planned(folder) == {}
    run(folder, "dvc", "repro")
    assert counts(folder / "cache") == before


def test_a_comment_retrains_nothing_and_a_change_in_a_method_retrains_it_alone(both):
    folder, before = settled(both)
    file = folder / "mngac/methods/mng_ac.py"
    file.write_text("# a comment\n" + file.read_text())
    assert planned(folder) == {}
    run(folder, "dvc", "repro")
    assert counts(folder / "cache") == before
    file.write_text(file.read_text().replace("self.config.beta * consistency", "consistency * self.config.beta"))
    assert planned(folder) == BETA_ONLY
