"""Both engines: one DAG, one cache, equal bytes. Runs the real engines on few methods and one epoch."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from helpers import ROOT, run, small, workspace, write_params

from mngac.artifacts import Cache

SNAKEMAKE = """
import json
from pathlib import Path
from snakemake.api import SnakemakeApi
from snakemake.settings.types import DAGSettings, OutputSettings, ResourceSettings

with SnakemakeApi(OutputSettings(dryrun=True)) as api:
    workflow = api.workflow(resource_settings=ResourceSettings(cores=1), snakefile=Path("Snakefile"))
    dag = workflow.dag(DAGSettings(forceall=True))
    dag.execute_workflow(executor="dryrun")
    jobs = [j for j in workflow._workflow.dag.jobs if j.rule.name != "all"]
    found = [
        {"command": j.shellcmd, "inputs": list(j.input), "outputs": list(j.output), "params": dict(j.params.items())}
        for j in jobs
    ]
Path("expanded.json").write_text(json.dumps(found))
"""
DVC = """
import json
from pathlib import Path
from dvc.dependency.param import ParamsDependency
from dvc.repo import Repo

found = []
for stage in Repo(".").index.stages:
    params = {}
    for dep in stage.deps:
        if isinstance(dep, ParamsDependency):
            params = dep.read_params(flatten=True)
    inputs = [str(d) for d in stage.deps if not isinstance(d, ParamsDependency)]
    found.append({"command": stage.cmd, "inputs": inputs, "outputs": [str(o) for o in stage.outs], "params": params})
Path("expanded.json").write_text(json.dumps(found))
"""
ENGINE_ONLY = (".mngac/", "mngac", "workflow/report")  # stamps, the package, captions: how each sees a change


def expanded(folder, script):
    """Each job as (command, inputs, outputs, values of its parameters)."""
    run(folder, sys.executable, "-c", script)
    return json.loads((folder / "expanded.json").read_text())


def comparable(jobs, files):
    """Folders of inputs become the files in them that some job makes; engine-only inputs go.

    DVC names the folders of all records and all trainings where Snakemake names the files that are read.
    """
    made = {}
    for each in jobs:
        inputs = set()
        for path in each["inputs"]:
            if path.startswith(ENGINE_ONLY[0]) or path in ENGINE_ONLY[1:]:
                continue
            inputs |= {f for f in files if f.startswith(f"{path}/")} or {path}
        made[" ".join(each["command"].split())] = (inputs, set(each["outputs"]))
    return made


@pytest.mark.parametrize("datasets", [["digits"], ["digits", "other"]])
def test_both_engines_expand_to_the_same_jobs(tmp_path, datasets):
    raw = small(methods=("nat", "mng_ac"), semi=("rst_linf",), datasets=datasets, seeds=[0, 3])
    raw["data"]["other"] = raw["data"]["digits"]
    raw["radii"]["standard"]["other"] = raw["radii"]["standard"]["digits"]
    raw["run"]["suites"] = ["apgd", "pgd"]
    folder = workspace(tmp_path / "w", raw)
    run(folder, "git", "init", "-q")
    snakemake, dvc = expanded(folder, SNAKEMAKE), expanded(folder, DVC)
    outputs = {path for each in snakemake for path in each["outputs"]}
    ours, theirs = comparable(snakemake, outputs), comparable(dvc, outputs)
    assert set(ours) == set(theirs) and len(ours) == len(snakemake)
    for command, (inputs, outs) in ours.items():
        found, found_outs = theirs[command]
        assert outs == found_outs, command
        by_folder = command.split()[1] in ("metrics", "figures", "model_figures")
        assert inputs <= found if by_folder else inputs == found, command


def test_both_engines_watch_the_same_parameters(tmp_path):
    folder = workspace(tmp_path / "w", small(methods=("nat", "mng_ac"), semi=("rst_linf",)))
    run(folder, "git", "init", "-q")
    dvc = {" ".join(j["command"].split()): j["params"] for j in expanded(folder, DVC)}
    for each in expanded(folder, SNAKEMAKE):
        values = {k: v for k, v in each["params"].items() if k != "teacher"}
        theirs = dvc[" ".join(each["command"].split())]
        as_text = [sorted(json.dumps(v, sort_keys=True) for v in group.values()) for group in (values, theirs)]
        assert as_text[0] == as_text[1], each["command"]


# ---------------------------------------------------------------- real runs


def made(cache, stage):
    """Names of the entries of a stage in a cache."""
    return sorted(e.name for e in Cache(cache).entries() if e.about["parts"]["stage"] == stage)


RESULTS = ("metrics", "tables", "figures", "model_figures", "report")


def counts(cache):
    return {stage: len(made(cache, stage)) for stage in ("data", "train", "evaluate", *RESULTS)}


def planned(folder):
    """Rules and their numbers that `snakemake -n` lists."""
    text = run(folder, "snakemake", "-n", "--quiet", "rules").stdout + run(folder, "snakemake", "-n").stderr
    table = [line.split() for line in text.splitlines()]
    return {
        words[0]: int(words[1]) for words in table if len(words) == 2 and words[1].isdigit() and words[0] != "total"
    }


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


def change_beta(folder, beta):
    raw = small()
    raw["methods"]["mng_ac"]["beta"] = beta
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


def test_a_changed_beta_retrains_mng_ac_alone_and_the_other_engine_sees_it(both):
    folder = both["dvc"]
    before = counts(folder / "cache")
    assert planned(folder) == {}
    change_beta(folder, 8)
    assert planned(folder) == BETA_ONLY
    run(folder, "dvc", "repro")
    after = counts(folder / "cache")
    assert {k: after[k] - before[k] for k in after} == {k: BETA_ONLY.get(k, 0) for k in after}
    assert planned(folder) == {}
    change_beta(folder, 12)
    run(folder, "snakemake", "--cores", "1")
    assert counts(folder / "cache") == after
    status = run(folder, "dvc", "status").stdout
    assert "train@digits-mng_ac-0" in status and "train@digits-nat-0" not in status
    run(folder, "dvc", "repro")
    assert counts(folder / "cache") == after


def test_a_comment_retrains_nothing_and_a_change_in_a_method_retrains_it_alone(both):
    folder = both["snakemake"]
    change_beta(folder, 12)
    run(folder, "snakemake", "--cores", "1")
    before = counts(folder / "cache")
    file = folder / "mngac/methods/mng_ac.py"
    file.write_text("# a comment\n" + file.read_text())
    assert planned(folder) == {}
    run(folder, "dvc", "repro")
    assert counts(folder / "cache") == before
    file.write_text(file.read_text().replace("% 8 == 0", "% 9 == 0"))
    assert planned(folder) == BETA_ONLY


def test_a_wrong_parameter_stops_either_engine_with_the_same_line(tmp_path):
    raw = small()
    raw["training"]["default"]["epochz"] = 3
    folder = workspace(tmp_path / "w", raw)
    run(folder, "git", "init", "-q")
    line = "training.default.epochz: unknown key"
    mngac = run(folder, "mngac", "data", "--dataset", "digits", check=False)
    assert mngac.returncode == 2 and line in mngac.stderr and mngac.stderr.count("\n") == 1
    for command in (["snakemake", "-n"], ["dvc", "repro"]):
        done = run(folder, *command, check=False)
        assert done.returncode != 0 and line in done.stderr + done.stdout


def test_snakemakes_config_options_are_refused(tmp_path):
    folder = workspace(tmp_path / "w", small())
    done = run(folder, "snakemake", "-n", "--config", "run.seeds=1", check=False)
    assert done.returncode != 0 and "params.yaml" in done.stderr and "dvc exp run -S" in done.stderr


def test_the_default_profile_is_found(tmp_path):
    folder = workspace(tmp_path / "w", small())
    assert "profiles/default" in run(folder, "snakemake", "-n").stderr
    assert (ROOT / "profiles/default/config.yaml").exists()
