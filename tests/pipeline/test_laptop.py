"""What a node with a GPU has computed, a machine without one restores and reports."""

import shutil
import sys

import pytest
from helpers import run, small, workspace
from outputs import outputs

from mngac.pipeline.cache import Cache

ON_A_NODE = """
import contextlib
from mngac.params.checks import load
from mngac.pipeline import gpus, jobs
# The node's GPU is its processor: jobs state cuda and get it at once, and what they put there stays where it is.
gpus.leased_gpu = lambda tell: contextlib.nullcontext()
jobs.Context.device = property(lambda self: "cpu")
for job in jobs.jobs(load()):
    assert job.run() == "made"
"""


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    """A laptop has none, wherever this runs."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


@pytest.mark.slow
@pytest.mark.parametrize("engine", [("snakemake", "--cores", "1"), ("dvc", "repro")], ids=lambda words: words[0])
def test_a_laptop_restores_and_reports_what_a_gpu_node_has_computed(node, tmp_path, engine):
    laptop = workspace(tmp_path / "laptop", node[1])
    run(laptop, "git", "init", "-q")
    run(laptop, "mngac", "cache", "import", str(node[2]))
    run(laptop, *engine)
    logs = [path.read_text() for path in laptop.glob("logs/*/*.log")]
    assert len(logs) == len(Cache(laptop / "cache").entries()) and all("cached, key" in log for log in logs)
    assert outputs(laptop) == outputs(node[0])
    assert "cuda" in (laptop / "results/report.html").read_text()


@pytest.mark.slow
def test_what_a_laptop_lacks_it_says_in_a_line_and_makes_nothing_of(node, tmp_path):
    laptop = workspace(tmp_path / "laptop", node[1])
    run(laptop, "mngac", "cache", "import", str(node[2]))
    for entry in Cache(laptop / "cache").entries():
        if entry.name == "train digits mng_ac 0":
            shutil.rmtree(entry.folder)
    failed = run(laptop, "snakemake", "--cores", "1", check=False)
    assert failed.returncode == 1
    said = [line for line in failed.stderr.splitlines() if line.startswith("mngac: train digits-mng_ac-0 failed: ")]
    assert len(said) == 1 and "cuda" in said[0]
    assert (laptop / "records/digits/nat/seed0/apgd-standard.json").exists()
    assert len(Cache(laptop / "cache").entries()) == len(Cache(node[0] / "cache").entries()) - 1


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """A workspace computed with `run.device: cuda`, its parameters, and a file of what its cache then has."""
    raw = small(device="cuda")
    folder = workspace(tmp_path_factory.mktemp("node") / "w", raw)
    run(folder, sys.executable, "-c", ON_A_NODE)
    run(folder, "mngac", "cache", "export", str(folder.parent / "parcel"))
    devices = {entry.about["parts"].get("device") for entry in Cache(folder / "cache").entries()}
    assert devices == {"cuda", None}
    return folder, raw, folder.parent / "parcel"
