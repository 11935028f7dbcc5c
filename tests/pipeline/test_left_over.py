"""What the end of a failed run says: who failed, and how many jobs have not run, whatever an older run has left."""

from pathlib import Path

import pytest
from helpers import small_params

from mngac.pipeline.engines import left_over
from mngac.pipeline.jobs import jobs


@pytest.fixture
def every(tmp_path, monkeypatch):
    """The jobs of a run that is complete."""
    monkeypatch.chdir(tmp_path)
    made = jobs(small_params())
    for path in [Path(path) for each in made for path in each.outputs.values()]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return made


def failing(job, said):
    """Leaves what an engine does of a job that fails: no outputs, and a log."""
    for path in job.outputs.values():
        Path(path).unlink()
    Path(job.log).parent.mkdir(parents=True, exist_ok=True)
    Path(job.log).write_text(f"{said}\n")


def test_all_that_needs_a_failed_job_has_not_run_though_its_older_outputs_are_there(every):
    failing(every[0], "no images")
    assert every[0].stage.name == "data"
    failed, summed = left_over(every, since=0.0)
    assert failed == f"mngac: data digits failed: no images ({every[0].log})"
    assert summed.startswith(f"mngac: failed: 1; not run: {len(every) - 1}; ")


def test_what_needs_none_of_it_has(every):
    (nat,) = [each for each in every if each.stage.name == "train" and each.wildcards["method"] == "nat"]
    failing(nat, "no memory")
    others = [each for each in every if each.stage.name == "data" or each.wildcards.get("method") == "mng_ac"]
    assert len(others) == 3
    assert left_over(every, since=0.0)[-1].startswith(f"mngac: failed: 1; not run: {len(every) - len(others) - 1}; ")


def test_a_log_of_an_older_run_is_no_failure(every):
    failing(every[0], "no images")
    (summed,) = left_over(every, since=Path(every[0].log).stat().st_mtime + 1)
    assert summed.startswith(f"mngac: failed: 0; not run: {len(every)}; ")
