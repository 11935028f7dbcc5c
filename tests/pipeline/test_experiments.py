"""`dvc exp run -S` changes one line, and what is like the changed entry changes with it."""

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
    run(folder, "dvc", "exp", "run", "-S", "methods.mng_ac.beta=8", *targets, cache=cache)
    resolved = [entry.about["parts"]["params"] for entry in Cache(cache).entries() if entry.name.startswith("train")]
    betas = [params["method"]["beta"] for params in resolved if params["method"]["kind"] == "mng_ac"]
    assert betas == [8, 8]
    changed = run(folder, "git", "diff", "--numstat", "params.yaml").stdout.split()
    assert changed == ["1", "1", "params.yaml"]
