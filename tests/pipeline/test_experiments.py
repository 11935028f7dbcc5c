"""`dvc exp run -S` changes one line, and what is like the changed entry changes with it, in a used workspace too."""

import pytest
from dvc.utils.hydra import apply_overrides
from helpers import run, small, workspace

from mngac.pipeline.cache import Cache

GIT = ("git", "-c", "user.name=x", "-c", "user.email=x@example.org")


@pytest.mark.slow
def test_one_beta_set_for_one_run_reaches_both_methods(tmp_path):
    folder, cache = (
        workspace(tmp_path / "w", small(methods=("nat", "mng_ac"), semi=("mng_ac_rst_linf",))),
        tmp_path / "c",
    )
    apply_overrides(str(folder / "params.yaml"), [])
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "Start"]):
        run(folder, *GIT, *command)
    targets = ("train@digits-mng_ac-0", "train_semi@digits-mng_ac_rst_linf-0")
    for beta, betas in ((8, [8, 8]), (6, [6, 6, 8, 8])):
        run(folder, "dvc", "exp", "run", "-S", f"methods.mng_ac.beta={beta}", *targets, cache=cache)
        trainings = [e.about["parts"]["params"] for e in Cache(cache).entries() if e.name.startswith("train")]
        assert sorted(p["method"]["beta"] for p in trainings if p["method"]["kind"] == "mng_ac") == betas
    changed = run(folder, "git", "diff", "--numstat", "params.yaml").stdout.split()
    assert changed == ["1", "1", "params.yaml"]
