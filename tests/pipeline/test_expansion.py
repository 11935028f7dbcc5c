"""Both engines expand to one DAG, refuse what is wrong with one line, and take params.yaml alone."""

import json
import sys

import pytest
from helpers import run, small, workspace

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


def test_a_key_that_stands_twice_stops_either_engine(tmp_path):
    folder = workspace(tmp_path / "w", small())
    run(folder, "git", "init", "-q")
    text = (folder / "params.yaml").read_text()
    (folder / "params.yaml").write_text(text.replace("  split: test\n", "  split: validation\n  split: test\n"))
    line = "mngac: run.split: found twice, in lines "
    mngac = run(folder, "mngac", "data", "--dataset", "digits", check=False)
    assert mngac.returncode == 2 and mngac.stderr.startswith(line) and mngac.stderr.count("\n") == 1
    done = run(folder, "snakemake", "-n", check=False)
    assert done.returncode != 0 and line in done.stderr + done.stdout
    assert run(folder, "dvc", "repro", check=False).returncode != 0
    assert not (folder / ".mngac").exists()


def test_snakemakes_config_options_are_refused(tmp_path):
    folder = workspace(tmp_path / "w", small())
    done = run(folder, "snakemake", "-n", "--config", "extra=1", check=False)
    assert done.returncode != 0 and "one source of truth" in done.stdout + done.stderr


def test_the_default_profile_is_found(tmp_path):
    folder = workspace(tmp_path / "w", small())
    assert "profiles/default" in run(folder, "snakemake", "-n").stderr
