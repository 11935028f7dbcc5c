"""One DAG: the jobs of mngac/pipeline/stages.py, Snakemake's and DVC's are the same, each in all that it states."""

import json
import sys

import pytest
from helpers import run, small, workspace

from mngac.params.checks import parse
from mngac.pipeline.jobs import jobs

SNAKEMAKE = """
import json
from pathlib import Path
from snakemake.api import SnakemakeApi
from snakemake.settings.types import DAGSettings, OutputSettings, ResourceSettings

with SnakemakeApi(OutputSettings(dryrun=True)) as api:
    workflow = api.workflow(resource_settings=ResourceSettings(cores=8), snakefile=Path("Snakefile"))
    dag = workflow.dag(DAGSettings(forceall=True))
    dag.execute_workflow(executor="dryrun")
    found = [
        {
            "stage": job.rule.name,
            "wildcards": job.wildcards_dict,
            "command": job.shellcmd,
            "inputs": list(job.input),
            "outputs": list(job.output),
            "log": list(job.log),
            "params": dict(job.params.items()),
            "threads": job.threads,
            "gpu": job.resources.get("gpu"),
        }
        for job in workflow._workflow.dag.jobs
        if job.rule.name != "all"
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
    watched = [dep for dep in stage.deps if isinstance(dep, ParamsDependency)]
    found.append(
        {
            "name": stage.name,
            "command": stage.cmd,
            "inputs": [str(dep) for dep in stage.deps if dep not in watched],
            "outputs": [str(out) for out in stage.outs],
            "watches": [path for dep in watched for path in dep.params],
            "files of params": [str(dep) for dep in watched],
        }
    )
Path("expanded.json").write_text(json.dumps(found))
"""


def wide():
    """Two data sets, seeds, suites and profiles, and methods of all lists."""
    raw = small(methods=("nat", "mng_ac"), semi=("rst_linf", "mng_ac_rst_linf"), datasets=["digits", "other"])
    raw["run"] |= {"seeds": [0, 3], "suites": ["apgd", "pgd"], "profiles": ["standard", "wider"], "threads": 2}
    raw["run"]["tuned"] = [{"method": "eat_ft", "start": "nat"}, {"method": "soup", "start": "rst_linf"}]
    raw["run"]["challenges"] = ["apgd"]
    raw["challenge"]["opinions"] = ["pgd"]
    raw["run"]["unforeseen"] = ["digits", "more"]
    raw["unforeseen"]["more"] = raw["unforeseen"]["digits"]
    raw["run"]["certificates"] = ["crown"]
    raw["evaluation"]["pgd"] |= {"processes": 2, "block": 100, "shards": 2}
    raw["data"]["other"] = raw["data"]["digits"]
    raw["radii"]["standard"]["other"] = raw["radii"]["standard"]["digits"]
    raw["radii"]["wider"] = {
        "digits": {"linf": 0.2, "l1": 2.0, "l2": 0.7},
        "other": {"linf": 0.2, "l1": 2.0, "l2": 0.7},
    }
    raw["attack_spaces"] = {"lp": {"suite": "apgd", "profiles": ["standard", "wider"], "specialists": {}}}
    raw["attack_spaces"]["lp"]["specialists"] = {norm: ["nat", "mng_ac"] for norm in ("linf", "l1", "l2")}
    raw["attack_spaces"]["mild"] = {"suite": "pgd", "profiles": ["standard"], "specialists": {"l2": ["nat"]}}
    raw["run"]["attack_spaces"] = ["lp", "mild"]
    pairs = [{"method": "mng_ac", "against": "nat"}, {"method": "eat_ft", "against": "rst_linf"}]
    raw["hypotheses"] = {"both": {"suite": "apgd", "profile": "wider", "pairs": pairs, "equivalence": 1}}
    raw["hypotheses"]["one"] = {"suite": "pgd", "profile": "standard", "pairs": pairs[:1], "equivalence": None}
    raw["run"]["hypotheses"] = ["both", "one"]
    return raw


def on_cuda():
    """A run for GPUs, planned here without one."""
    return small(device="cuda")


@pytest.fixture(scope="module", params=[wide, on_cuda], ids=["wide", "no semi-supervised method, on cuda"])
def expanded(request, tmp_path_factory):
    """The jobs of the stages, and what each engine makes of its own file, by command."""
    raw = request.param()
    folder = workspace(tmp_path_factory.mktemp("expanded") / "w", raw)
    run(folder, "git", "init", "-q")
    engines = []
    for script in (SNAKEMAKE, DVC):
        run(folder, sys.executable, "-c", script)
        engines.append(json.loads((folder / "expanded.json").read_text()))
    return jobs(parse(raw)), *engines


def by_command(engine):
    found = {" ".join(each["command"].split()): each for each in engine}
    assert len(found) == len(engine)
    return found


def one_after_another(ours):
    """The jobs of DVC, which runs them so: those that share another's work are that one's."""
    return [job for job in ours if not job.stage.shares]


def test_the_three_have_the_same_jobs(expanded):
    ours, snakemake, dvc = expanded
    commands = [job.command for job in ours]
    assert len(set(commands)) == len(commands)
    assert set(by_command(snakemake)) == set(commands)
    assert set(by_command(dvc)) == {job.command for job in one_after_another(ours)}


def test_each_job_has_the_same_wildcards(expanded):
    ours, snakemake, dvc = expanded
    for job in ours:
        rule, stage = by_command(snakemake)[job.command], by_command(dvc).get(job.command)
        assert rule["stage"] == job.stage.name
        # The teacher is no wildcard of its rule: pseudo-labels lie where only one method can have made them.
        known = {"method": job.wildcards["method"]} if rule["stage"] == "pseudo_label" else {}
        assert {**known, **rule["wildcards"]} == job.wildcards
        assert job.stage.shares or stage["name"] == dvc_name(job)


def dvc_name(job):
    """A stage that goes through all methods is three for DVC; of a list of entries it says the numbers."""
    run, name, parts = job.params.run, job.stage.name, dict(job.wildcards)
    of_all = name in ("evaluate", "craft", "challenge", "unforeseen", "certify")
    if of_all and parts["method"] in run.semi_methods:
        name += "_semi"
    if of_all and parts["method"] in run.tuned_methods:
        name += "_tuned"
    if name.endswith("_tuned"):
        parts["method"] = f"tuned{run.tuned_methods.index(parts['method'])}"
    return "@".join(filter(None, [name, "-".join(parts.values())]))


def test_each_job_has_the_same_outputs(expanded):
    ours, snakemake, dvc = expanded
    for job in ours:
        assert sorted(by_command(snakemake)[job.command]["outputs"]) == sorted(job.outputs.values()), job.command
    for job in one_after_another(ours):
        wanted = [*job.outputs.values(), *job.digests]
        assert sorted(by_command(dvc)[job.command]["outputs"]) == sorted(wanted), job.command


def test_each_rule_has_its_jobs_inputs_log_and_machine(expanded):
    ours, snakemake, _ = expanded
    for job in ours:
        rule = by_command(snakemake)[job.command]
        assert sorted(rule["inputs"]) == sorted([str(job.stamp), *job.inputs.values(), *job.shards.values()])
        assert rule["log"] == [job.log]
        suites = {"craft": [], "challenge": ["apgd", "pgd"], "certify": ["apgd"]}.get(
            job.stage.name, [job.wildcards.get("suite")]
        )
        processes = max([job.params.evaluation[suite].processes for suite in suites if suite], default=1)
        assert rule["threads"] == (processes * job.params.run.threads if job.stage.computes else 1)
        assert rule["gpu"] == (int(job.params.run.device == "cuda") if job.stage.computes else None)


def test_each_dvc_stage_has_its_jobs_inputs(expanded):
    """DVC can't list what depends on several lists of `run`: there a folder of digests stands for what they tell of.

    Two are loose: those of a data set's models tell of more than its figures look at, those of all records of more than
    an attack space, a hypothesis or the table of unforeseen attacks has. A folder of what runs make only where they ask
    for it may tell of nothing.
    """
    ours, _, dvc = expanded
    told = {path: set(outputs.values()) for job in ours for path, outputs in job.digests.items()}
    for job in one_after_another(ours):
        found = set(by_command(dvc)[job.command]["inputs"])
        wanted = {"mngac", "workflow/report"} if job.stage.name == "report" else {"mngac"}
        inputs = set(job.inputs.values())
        for folder in [path for path in found if path.startswith("digests/")]:
            there = set().union(*(files for path, files in told.items() if path.startswith(f"{folder}/")))
            looser = job.stage.name in ("model_figures", "competitiveness", "hypothesis", "unforeseen_table")
            assert (there & inputs or not there) and (there <= inputs or looser), (job.command, folder)
            inputs, found = inputs - there, found - {folder}
        assert found == wanted | inputs, job.command


def test_each_rule_watches_just_the_values_that_its_job_uses(expanded):
    ours, snakemake, _ = expanded
    for job in ours:
        assert by_command(snakemake)[job.command]["params"] == {"values": json.loads(json.dumps(job.values))}


def test_each_dvc_stage_watches_just_what_its_jobs_values_come_from(expanded):
    ours, _, dvc = expanded
    for job in one_after_another(ours):
        stage = by_command(dvc)[job.command]
        assert stage["files of params"] == ["params.yaml"]
        assert sorted(stage["watches"]) == sorted(job.watches), job.command
