"""What a job states of the device, and how CUDA computes there."""

import os
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from helpers import small, small_params

from mngac.params.checks import parse
from mngac.pipeline import device, gpus, jobs, machine


def training(**run):
    """A training with such values of `run`."""
    return jobs.job(small_params(**run), "train", dataset="digits", method="nat", seed="0")


def test_auto_is_decided_where_a_job_runs_and_nothing_of_it_is_in_a_stamp(monkeypatch):
    stamps, keys = [], []
    for found in ("cpu", "cuda"):
        monkeypatch.setattr(machine, "decided", lambda device, found=found: found if device == "auto" else device)
        auto = training(device="auto")
        stamps.append(auto.stated())
        keys.append(auto.here.stated())
        assert keys[-1] == training(device=found).stated()
    assert stamps[0] == stamps[1] and stamps[0]["device"] == "auto"
    assert stamps[0]["params"]["training"]["precision"] == {"cpu": "float32", "cuda": "bfloat16"}
    assert keys[0] != keys[1]


def test_a_stated_device_is_asked_nowhere(monkeypatch):
    monkeypatch.setattr(gpus, "usable", lambda: pytest.fail("the driver was asked"))
    for device_kind in ("cpu", "cuda"):
        assert training(device=device_kind).here.stated()["device"] == device_kind
        assert device.decided(device_kind) == device_kind


def test_a_key_holds_the_public_part_of_a_version(monkeypatch):
    plain = training(device="cuda").stated()
    public = version("torch").partition("+")[0]
    monkeypatch.setattr(jobs.importlib.metadata, "version", lambda name: f"{version(name).partition('+')[0]}+cu999")
    jobs.public_version.cache_clear()
    assert training(device="cuda").stated() == plain and plain["versions"]["torch"] == public
    monkeypatch.undo()
    jobs.public_version.cache_clear()


def test_deterministic_is_in_the_keys_of_cuda_alone():
    cpu, cuda = ([training(device=kind, deterministic=d).stated() for d in (False, True)] for kind in ("cpu", "cuda"))
    assert cpu[0] == cpu[1] and "deterministic" not in cpu[0]
    assert [stated["deterministic"] for stated in cuda] == [False, True]


def of_precision(device_kind, cpu, cuda):
    """What a training with these precisions states on such a device."""
    raw = small(device=device_kind)
    raw["training"]["default"]["precision"] = {"cpu": cpu, "cuda": cuda}
    return jobs.job(parse(raw), "train", dataset="digits", method="nat", seed="0").stated()


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_the_key_of_a_training_holds_the_precision_of_its_own_device_alone(kind):
    other = {"cpu": "cuda", "cuda": "cpu"}[kind]
    first = of_precision(kind, **{kind: "float32", other: "float32"})
    assert first == of_precision(kind, **{kind: "float32", other: "bfloat16"})
    changed = of_precision(kind, **{kind: "bfloat16", other: "float32"})
    assert first != changed and changed["params"]["training"]["precision"] == "bfloat16"


ASK = """
import os, sys
from mngac.pipeline.device import repeatable
with repeatable({wanted}):
    assert "torch" in sys.modules or not {wanted}
    import torch
    print(os.environ.get("CUBLAS_WORKSPACE_CONFIG"), torch.are_deterministic_algorithms_enabled())
print(torch.are_deterministic_algorithms_enabled())
"""


@pytest.mark.parametrize(("wanted", "said"), [(True, ":4096:8 True False"), (False, "None False False")])
def test_algorithms_repeat_where_that_is_wanted_and_for_one_job_alone(wanted, said):
    env = {name: value for name, value in os.environ.items() if name != "CUBLAS_WORKSPACE_CONFIG"}
    done = subprocess.run(
        [sys.executable, "-c", ASK.format(wanted=wanted)], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == said.split()


@pytest.mark.parametrize(
    ("kind", "wanted", "deterministic"), [("cuda", True, True), ("cuda", False, False), ("cpu", True, False)]
)
def test_a_stage_runs_as_params_say(tmp_path, monkeypatch, kind, wanted, deterministic):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(gpus, "usable", lambda: ["GPU-a"])
    monkeypatch.setenv("MNGAC_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    jobs.job(small_params(), "data", dataset="digits").run()
    seen = []

    def run(context):
        seen.append(torch.are_deterministic_algorithms_enabled())
        for path in context.outputs.values():
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text("")

    monkeypatch.setitem(sys.modules, "tells", SimpleNamespace(run=run))
    started = training(device=kind, deterministic=wanted)
    replace(started, stage=replace(started.stage, run="tells:run")).run()
    assert seen == [deterministic] and not torch.are_deterministic_algorithms_enabled()
