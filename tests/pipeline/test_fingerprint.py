"""The code digest: what changes it, and what does not; on a copy of the package."""

import shutil

import pytest
from helpers import ROOT, small_params

from mngac.pipeline import fingerprint
from mngac.pipeline.code import measuring
from mngac.pipeline.jobs import job


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the package that the fingerprint reads, and a function that gives each stage's digests."""
    shutil.copytree(ROOT / "mngac", tmp_path / "mngac", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(fingerprint, "ROOT", tmp_path)
    params = small_params(methods=("nat", "adv_linf", "sat_ac", "mng_ac"))

    def digests():
        fingerprint.forget()
        jobs = {m: job(params, "train", dataset="digits", method=m, seed="0") for m in params.run.methods}
        jobs["data"] = job(params, "data", dataset="digits")
        where = dict(dataset="digits", method="nat", seed="0", suite="apgd", profile="standard")
        jobs["evaluate"] = job(params, "evaluate", **where)
        return {name: j.stated()["code"] for name, j in jobs.items()}

    yield tmp_path / "mngac", digests
    monkeypatch.undo()
    digests()


def changed(package, file, edit):
    """Names of the stages whose code digest an edit changes."""
    folder, digests = package
    before = digests()
    path = folder / file
    path.write_text(edit(path.read_text()) if path.exists() else edit(""))
    after = digests()
    return {name for name in before if before[name] != after[name]}


def test_a_comment_changes_nothing(package):
    assert changed(package, "training.py", lambda s: "# a comment\n" + s + "\n# another\n") == set()


def test_a_docstring_changes_nothing(package):
    edit = lambda s: s.replace('"""cross-entropy', '"""').replace('"""nat:', '"""The natural method:')  # noqa: E731
    assert changed(package, "methods/natural.py", edit) == set()


def test_a_new_method_file_changes_nothing(package):
    assert changed(package, "methods/newer.py", lambda s: "from mngac.methods.base import Base\n") == set()


def test_a_change_in_one_method_changes_that_method_alone(package):
    assert changed(
        package,
        "methods/mng_ac.py",
        lambda s: s.replace("self.config.beta * consistency", "consistency * self.config.beta"),
    ) == {"mng_ac"}


def test_a_change_in_losses_changes_all_that_import_it(package):
    assert changed(package, "losses.py", lambda s: s.replace("1e-7", "1e-6")) == {"sat_ac", "mng_ac"}


def test_a_change_in_an_attack_reaches_training_and_evaluation(package):
    edit = lambda s: s.replace("TINY = 1e-12", "TINY = 1e-13")  # noqa: E731
    assert changed(package, "norms.py", edit) == {"nat", "adv_linf", "sat_ac", "mng_ac", "evaluate"}


def test_a_change_in_an_evaluation_attack_changes_evaluation_alone(package):
    edit = lambda s: s.replace('loss="ce"', 'loss="dlr"')  # noqa: E731
    assert changed(package, "evaluation/attacks/apgd_ce.py", edit) == {"evaluate"}


def test_a_module_that_does_not_exist_is_an_error():
    with pytest.raises(FileNotFoundError, match=r"no module mngac\.nothing"):
        fingerprint.code_digest(["mngac.nothing"])


def test_a_change_in_the_loop_reevaluates_but_leaves_records_comparable(package):
    """The loop, the tasks and the red flags around the attacks; then the acceptance test, and whom attacks ask."""
    params = small_params()

    def digests():
        roots = measuring(params.evaluation["apgd"])
        return {root: fingerprint.code_digest([root]) for root in roots}

    before = digests()
    for file in ("evaluation/loop.py", "evaluation/tasks.py", "evaluation/flags.py", "results/records.py"):
        assert changed(package, file, lambda s: s + "\n\nMORE = 1\n") >= {"evaluate"}
        assert digests() == before
    changed(package, "evaluation/acceptance.py", lambda s: s.replace("TOLERANCE = 1e-4", "TOLERANCE = 1e-3"))
    after = digests()
    assert {root for root in before if before[root] == after[root]} == {"mngac.evaluation.asked"}
    changed(package, "models/folded.py", lambda s: s.replace("SAME = 1e-3", "SAME = 1e-2"))
    assert {root for root in before if after[root] != digests()[root]} == {"mngac.evaluation.asked"}


@pytest.mark.parametrize("file", ["pipeline/jobs.py", "pipeline/stages.py", "params/checks.py", "params/sections.py"])
def test_a_change_in_params_or_pipeline_changes_nothing(package, file):
    assert changed(package, file, lambda s: s + "\n\nMORE = 1\n") == set()
