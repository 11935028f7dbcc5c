"""Both engines run for real, on few methods and one epoch: one cache, equal bytes, each sees the other's changes."""

import json
import re
import shutil
import time
from pathlib import Path

import pytest
from helpers import beside, run, small, workspace, write_params
from outputs import outputs

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


def test_a_second_engine_in_a_workspace_is_refused_and_the_first_one_ends_well(tmp_path):
    commands = {"snakemake": ["snakemake", "--cores", "1"], "dvc": ["dvc", "repro"]}
    said = {
        "dvc": "is busy, it is being blocked by",
        "snakemake": "found another engine at work in it: dvc (PID ",
    }
    for first, second in (("snakemake", "dvc"), ("dvc", "snakemake")):
        folder = workspace(tmp_path / first, small(methods=("nat",), epochs=60))
        run(folder, "git", "init", "-q")
        log = folder / "logs/train/digits-nat-0.log"
        at_work = beside(folder, *commands[first])
        while not log.exists() or "epoch 2/" not in log.read_text():
            assert at_work.poll() is None
            time.sleep(0.1)
        refused = run(folder, *commands[second], check=False)
        assert refused.returncode and said[second] in refused.stdout + refused.stderr
        assert at_work.wait() == 0
        assert len(made(folder / "cache", "train")) == 1 and (folder / "results/report.html").exists()
        assert run(folder, *commands[second]).returncode == 0
        assert len(made(folder / "cache", "train")) == 1


def test_two_workspaces_share_a_cache_at_once_and_train_each_method_once(tmp_path, both):
    folders = {}
    for engine, command in (("snakemake", ["snakemake", "--cores", "1"]), ("dvc", ["dvc", "repro"])):
        folders[engine] = workspace(tmp_path / engine, small())
        run(folders[engine], "git", "init", "-q")
        folders[engine, "at work"] = beside(folders[engine], *command, cache=tmp_path / "cache")
    for engine in ("snakemake", "dvc"):
        assert folders[engine, "at work"].wait() == 0
        assert outputs(folders[engine]) == outputs(settled(both)[0])
    assert counts(tmp_path / "cache") == {"data": 1, "train": 2, "evaluate": 2, **dict.fromkeys(RESULTS, 1)}
    logs = [(folders[e] / f"logs/train/digits-{m}-0.log").read_text() for e in both for m in ("nat", "mng_ac")]
    assert sum("cached, key" in log for log in logs) == 2
    assert sum("epoch 1/1" in log for log in logs) == 2


def planned_by_dvc(folder):
    return run(folder, "dvc", "status").stdout


def cloned(folder, clone):
    """A workspace as git gives it: the same code, which other tests may have changed, and parameters; no outputs."""
    workspace(clone, small())
    shutil.rmtree(clone / "mngac")
    shutil.copytree(folder / "mngac", clone / "mngac", ignore=shutil.ignore_patterns("__pycache__"))
    return clone


def test_pulled_outputs_are_up_to_date_under_both_engines(tmp_path, both):
    folder = both["dvc"]
    change(folder)
    run(folder, "dvc", "repro")
    run(folder, "dvc", "remote", "add", "--default", "--force", "--local", "store", str(tmp_path / "store"))
    run(folder, "dvc", "push")
    clone = cloned(folder, tmp_path / "clone")
    run(clone, "git", "init", "-q")
    shutil.copy(folder / "dvc.lock", clone)
    run(clone, "dvc", "remote", "add", "--default", "--local", "store", str(tmp_path / "store"))
    run(clone, "dvc", "pull")
    assert planned_by_dvc(clone) == "Data and pipelines are up to date.\n"
    assert planned(clone) == {}
    change(clone, methods__mng_ac__beta=8)
    assert planned(clone) == BETA_ONLY


@pytest.mark.parametrize("vouched", ["by the cache", "by dvc.lock", "by nobody"])
def test_copied_outputs_are_up_to_date_where_somebody_vouches_for_them(tmp_path, both, vouched):
    folder, _ = settled(both)
    run(folder, "dvc", "repro")
    clone = cloned(folder, tmp_path / "clone")
    run(clone, "git", "init", "-q")
    for name in ("digests", "records", "results", "trained", "data"):  # the last copied is the newest
        shutil.copytree(folder / name, clone / name, copy_function=shutil.copy, dirs_exist_ok=True)
    if vouched == "by the cache":
        shutil.copytree(folder / "cache", clone / "cache")
    if vouched == "by dvc.lock":
        shutil.copy(folder / "dvc.lock", clone)
        run(clone, "dvc", "commit")
        assert planned_by_dvc(clone) == "Data and pipelines are up to date.\n"
    assert (planned(clone) == {}) == (vouched != "by nobody")


def test_a_changed_output_among_copied_ones_is_made_again(tmp_path, both):
    folder, _ = settled(both)
    clone = cloned(folder, tmp_path / "clone")
    for name in ("data", "trained", "records", "results", "cache"):
        shutil.copytree(folder / name, clone / name, dirs_exist_ok=True)
    record = clone / "records/digits/nat/seed0/apgd-standard.json"
    record.write_text(record.read_text().replace('"seed": 0', '"seed": 1'))
    assert planned(clone)["evaluate"] == 1 and "train" not in planned(clone)


def test_the_end_of_a_failed_run_says_what_failed_and_how_to_go_on(tmp_path):
    raw = small()
    raw["pseudo_label"]["min_accuracy"] = 0.999
    raw["run"] |= {"semi_methods": ["rst_linf"], "teachers": ["nat"]}
    folder = workspace(tmp_path / "w", raw)
    failed = run(folder, "snakemake", "--cores", "1", check=False)
    assert failed.returncode == 1
    said = [line for line in failed.stderr.splitlines() if line.startswith("mngac: ")]
    lines = [line for line in said if " jobs done, " not in line]
    assert len(lines) == 3 and len(said) > 3  # the stage's own, and the end of the run
    log = "logs/pseudo_label/digits-nat-0.log"
    why = rf"mngac: pseudo_label digits-nat-0 failed: .*validation accuracy is 0\.\d+ .* \({log}\)"
    assert re.fullmatch(why, lines[1])
    assert re.fullmatch(r"mngac: failed: 1; not run: \d+; .* start the same command again", lines[2])
    done = [f"evaluate digits {method} 0 apgd standard" for method in ("mng_ac", "nat")]
    assert made(folder / "cache", "evaluate") == done
