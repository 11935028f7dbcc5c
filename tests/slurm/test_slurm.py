"""profiles/slurm on a Slurm of one node: a whole run, and trainings that Slurm cancels, times out and preempts."""

import re
import subprocess
import time

import pytest
from helpers import ROOT, environment, run, small, workspace

from mngac.params.checks import parse
from mngac.pipeline.device import decided
from mngac.pipeline.jobs import jobs

ENGINE = (f"{ROOT}/.venv-slurm/bin/python", "-m", "snakemake", "--workflow-profile", "profiles/slurm")
QUICK = ("--cores", "2", "--slurm-init-seconds-before-status-checks", "2")
"""What the profile says otherwise for real clusters: cores of a submission, and how often Slurm is asked."""
PAUSED = '''
import time
from pathlib import Path

from torch.nn import functional as F

from mngac.methods.base import Base


class Paused(Base):
    """Plain training, slowly while a file `pause` lies in the workspace."""

    def loss(self, classifier, batch, step):
        if Path("pause").exists():
            time.sleep(0.5)
        return F.cross_entropy(classifier(batch.x), batch.y)
'''
CLASSIFIER = "trained/digits/paused/seed0/classifier.safetensors"
LOG = "logs/train/digits-paused-0.log"
PATIENCE = 600.0
"""Seconds."""


@pytest.fixture(scope="module")
def engine(cluster):
    """Starts Snakemake in a workspace, with its own cache; what it says goes to `said.log`. None outlives the tests."""
    started = []

    def start(folder, *options):
        env = {**environment(folder), **cluster.environment}
        with (folder / "said.log").open("a") as out:
            command = [*ENGINE, *QUICK, *options]
            started.append(subprocess.Popen(command, cwd=folder, env=env, stdout=out, stderr=out))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()


def ended(process, folder):
    """Its exit status, and all that was said so far."""
    status = process.wait(PATIENCE)
    return status, (folder / "said.log").read_text()


def until(found):
    """What `found` returns, once it is true."""
    end = time.monotonic() + PATIENCE
    while not (result := found()):
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.5)
    return result


@pytest.fixture(scope="module")
def whole(cluster, engine, tmp_path_factory):
    """Digits with three methods, through sbatch: the workspace, exit status, what was said, Slurm's jobs."""
    raw = small(methods=("nat", "sat", "mng_ac"))
    folder = workspace(tmp_path_factory.mktemp("whole") / "w", raw)
    before = len(cluster.jobs())
    status, said = ended(engine(folder), folder)
    return folder, raw, status, said, cluster.jobs()[before:]


def test_a_whole_run_makes_all_outputs(whole):
    folder, raw, status, said, _ = whole
    assert status == 0, said
    expected = [path for job in jobs(parse(raw)) for path in job.outputs.values()]
    assert [path for path in expected if not (folder / path).exists()] == []


def test_short_jobs_share_submissions(whole):
    _, raw, _, said, submitted = whole
    assert len(submitted) < len(jobs(parse(raw))), said
    rules = [job.rule for job in submitted]
    assert sum("evaluate" in rule for rule in rules) == 1 and sum("tables" in rule for rule in rules) == 1


def test_jobs_on_cpus_ask_for_no_gpu_and_for_what_the_profile_says(whole):
    *_, submitted = whole
    assert {job.gres for job in submitted} == {"N/A"}
    train = [job for job in submitted if job.rule.startswith("rule_train_")]
    assert len(train) == 3
    asked = {(job.cores, job.memory, job.limit) for job in train}
    assert asked == {(1, "8000M", "1-00:00:00")}


def test_logs_of_slurm_are_kept_of_what_failed_alone(whole):
    folder = whole[0]
    assert [path for path in (folder / "logs/slurm").rglob("*") if path.is_file()] == []
    assert (folder / "logs/train/digits-mng_ac-0.log").exists()


def test_auto_is_refused_before_anything_is_submitted(cluster, engine, tmp_path):
    folder = workspace(tmp_path / "w", small(device="auto"))
    before = cluster.jobs()
    status, said = ended(engine(folder), folder)
    assert status == 1 and 'run.device: found "auto"' in said and cluster.jobs() == before


def test_a_job_on_cuda_gets_a_gpu_of_slurms_and_is_refused_where_there_is_none(cluster, engine, tmp_path):
    folder = workspace(tmp_path / "w", small(methods=("nat",), device="cuda"))
    run(folder, "mngac", "data", "--dataset", "digits")
    status, said = ended(engine(folder, "--retries", "0", CLASSIFIER.replace("paused", "nat")), folder)
    assert [job.gres for job in cluster.jobs() if job.rule.startswith("rule_train_")][-1] == "gres:gpu:1"
    refused = "no GPU is to be seen here" in said
    assert (status, refused) == ((0, False) if decided("auto") == "cuda" else (1, True)), said


@pytest.fixture
def paused(tmp_path):
    """A workspace with its data and a training that is slow for now."""
    folder = with_paused(tmp_path / "w")
    run(folder, "mngac", "data", "--dataset", "digits")
    (folder / "pause").touch()
    return folder


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The classifier's bytes of the same training, which nobody stopped, outside of Slurm."""
    folder = with_paused(tmp_path_factory.mktemp("undisturbed") / "w")
    run(folder, "mngac", "data", "--dataset", "digits")
    run(folder, "mngac", "train", "--dataset", "digits", "--method", "paused", "--seed", "0")
    return (folder / CLASSIFIER).read_bytes()


def with_paused(folder):
    """A workspace whose one method is `Paused`, from a file of its own."""
    raw = small(methods=("paused",), epochs=40)
    raw["methods"]["paused"] = {"kind": "paused:Paused"}
    raw["tables"]["reference"] = "paused"
    workspace(folder, raw)
    (folder / "paused.py").write_text(PAUSED)
    return folder


def at_work(cluster, folder):
    """The number of the job that trains, once two epochs are done."""
    until(lambda: " epoch 2/" in log_of(folder))
    return cluster.jobs()[-1].number


def stopped(folder):
    """The epoch and step that were saved when Slurm ended the job; from then on the training is fast."""
    found = until(lambda: re.search(r"epoch (\d+) of 40, and step (\d+) of 9 of the next, is saved", log_of(folder)))
    (folder / "pause").unlink()
    return found.groups()


def log_of(folder):
    """The training's log; Snakemake deletes it when a job of its begins again."""
    return (folder / LOG).read_text() if (folder / LOG).exists() else ""


def check_resumed(folder, epoch, step, undisturbed, said):
    """What the log says of where the training went on, and that its classifier is that of an undisturbed one."""
    line = f"digits-paused-0: resumes after epoch {epoch}, step {step} of 9"
    assert line in log_of(folder), said
    assert (folder / CLASSIFIER).read_bytes() == undisturbed
    print(line)


def test_a_cancelled_training_goes_on_when_the_same_command_is_started_again(cluster, engine, paused, undisturbed):
    command = ("--retries", "0", CLASSIFIER)
    first = engine(paused, *command)
    cluster.run("scancel", at_work(cluster, paused))
    saved = stopped(paused)
    status, said = ended(first, paused)
    assert status == 1 and "stopped; epoch" in said
    status, said = ended(engine(paused, *command), paused)
    assert status == 0, said
    check_resumed(paused, *saved, undisturbed, said)


def test_a_training_whose_time_is_over_is_submitted_again_and_goes_on(cluster, engine, paused, undisturbed):
    first = engine(paused, "--set-resources", "train:runtime=1", "--", CLASSIFIER)
    number = at_work(cluster, paused)
    saved = stopped(paused)
    status, said = ended(first, paused)
    assert status == 0, said
    assert [job.state for job in cluster.jobs() if int(job.number) >= int(number)] == ["TIMEOUT", "COMPLETED"]
    check_resumed(paused, *saved, undisturbed, said)


def test_a_preempted_training_is_queued_again_by_slurm_and_goes_on(cluster, engine, paused, undisturbed):
    first = engine(paused, "--retries", "0", CLASSIFIER)
    number = at_work(cluster, paused)
    cluster.run("sbatch", "--partition=urgent", "--exclusive", "--output=/dev/null", "--wrap=sleep 1")
    saved = stopped(paused)
    status, said = ended(first, paused)
    assert status == 0, said
    assert [job.state for job in cluster.jobs() if job.number == number] == ["COMPLETED"]
    check_resumed(paused, *saved, undisturbed, said)
