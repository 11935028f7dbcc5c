"""Experiments: `-S` changes one line, and all that is like it; workers of a queue share one cache."""

import csv
import time

import pytest
from dvc.utils.hydra import apply_overrides
from helpers import run, small, workspace

from mngac.pipeline.cache import Cache

GIT = ("git", "-c", "user.name=x", "-c", "user.email=x@example.org")


def committed(folder):
    """The workspace in git, its parameters in DVC's form."""
    apply_overrides(str(folder / "params.yaml"), [])
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "Start"]):
        run(folder, *GIT, *command)


@pytest.mark.slow
def test_one_beta_set_for_one_run_reaches_both_methods(tmp_path):
    folder, cache = (
        workspace(tmp_path / "w", small(methods=("nat", "mng_ac"), semi=("mng_ac_rst_linf",))),
        tmp_path / "c",
    )
    committed(folder)
    targets = ("train@digits-mng_ac-0", "train_semi@digits-mng_ac_rst_linf-0")
    for beta, betas in ((8, [8, 8]), (6, [6, 6, 8, 8])):
        run(folder, "dvc", "exp", "run", "-S", f"methods.mng_ac.beta={beta}", *targets, cache=cache)
        trainings = [e.about["parts"]["params"] for e in Cache(cache).entries() if e.name.startswith("train")]
        assert sorted(p["method"]["beta"] for p in trainings if p["method"]["kind"] == "mng_ac") == betas
    changed = run(folder, "git", "diff", "--numstat", "params.yaml").stdout.split()
    assert changed == ["1", "1", "params.yaml"]


@pytest.mark.slow
def test_two_workers_of_a_queue_train_what_experiments_share_once(tmp_path):
    folder, cache = workspace(tmp_path / "w", small()), tmp_path / "c"
    committed(folder)
    grid = ("-S", "methods.mng_ac.beta=4,8", "-S", "evaluation.apgd.n=10,20")
    run(folder, "dvc", "exp", "run", "--queue", *grid, cache=cache)
    run(folder, "dvc", "queue", "start", "-j", "2", cache=cache)
    try:
        while {"Queued", "Running"} & set((queue := run(folder, "dvc", "queue", "status").stdout).split()):
            time.sleep(1)
    finally:
        run(folder, "dvc", "queue", "stop")
    assert queue.split().count("Success") == 4, queue
    made = [entry.name for entry in Cache(cache).entries()]
    assert made.count("train digits nat 0") == 1 and made.count("train digits mng_ac 0") == 2
    assert made.count("evaluate digits nat 0 apgd standard") == 2
    assert made.count("evaluate digits mng_ac 0 apgd standard") == 4
    shown = list(csv.DictReader(run(folder, "dvc", "exp", "show", "--csv").stdout.splitlines()))
    experiments = [row for row in shown if row["rev"] not in ("", "workspace") and row["typ"] != "baseline"]
    wanted = {(beta, n) for beta in ("4", "8") for n in ("10", "20")}
    assert {(row["methods.mng_ac.beta"], row["evaluation.apgd.n"]) for row in experiments} == wanted
    for row in experiments:
        assert 0 <= float(row["digits.mng_ac.clean"]) <= 100 and 0 <= float(row["digits.nat.union"]) <= 100
