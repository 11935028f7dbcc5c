"""Devices: decided without torch, and each GPU held by one job at a time."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from helpers import small, small_params

from mngac.params.checks import parse
from mngac.params.errors import ParamsError
from mngac.pipeline import device, jobs, machine


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(device, "_cuda_devices", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(device, "WAIT", 0.01)


def test_two_jobs_hold_two_gpus_and_see_only_their_own(two_gpus, tmp_path, monkeypatch):
    with device.one_device("cuda", tmp_path) as first:
        assert device.os.environ["CUDA_VISIBLE_DEVICES"] == first
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
        with device.one_device("cuda", tmp_path) as second:
            assert {first, second} == {"0", "1"}


def test_a_gpu_is_free_again_after_an_error(two_gpus, tmp_path):
    for _ in range(3):
        with pytest.raises(RuntimeError), device.one_device("cuda", tmp_path) as name:
            assert name == "0"
            raise RuntimeError


def test_a_third_job_waits(two_gpus, tmp_path, monkeypatch):
    waited = []
    with device.one_device("cuda", tmp_path):
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
        with device.one_device("cuda", tmp_path):
            monkeypatch.delenv("CUDA_VISIBLE_DEVICES")

            def sleep(seconds):
                waited.append(seconds)
                raise TimeoutError

            monkeypatch.setattr(device.time, "sleep", sleep)
            with pytest.raises(TimeoutError), device.one_device("cuda", tmp_path):
                pass
    assert waited == [0.01]


def test_on_the_cpu_nothing_is_held(tmp_path):
    with device.one_device("cpu", tmp_path) as name:
        assert name is None and not list(tmp_path.iterdir())


def test_cuda_without_a_card_is_refused_and_auto_falls_back(monkeypatch):
    monkeypatch.setattr(device, "_cuda_devices", lambda: 0)
    device.device_type.cache_clear()
    with pytest.raises(ParamsError, match="no CUDA device"):
        device.device_type("cuda")
    assert device.device_type("auto") == "cpu"
    device.device_type.cache_clear()


def values(device_kind, monkeypatch, **run):
    """What a training states of the machine, as if on such a device."""
    monkeypatch.setattr(machine, "device_type", lambda device: device_kind)
    return jobs.job(small_params(**run), "train", dataset="digits", method="nat", seed="0")


def test_deterministic_is_in_the_keys_of_cuda_alone(monkeypatch):
    cpu = [values("cpu", monkeypatch, deterministic=wanted).stated() for wanted in (False, True)]
    cuda = [values("cuda", monkeypatch, deterministic=wanted).stated() for wanted in (False, True)]
    assert cpu[0] == cpu[1] and "deterministic" not in cpu[0]
    assert [stated["deterministic"] for stated in cuda] == [False, True]


def of_precision(device_kind, monkeypatch, cpu, cuda):
    """What a training with these precisions states, as if on such a device."""
    raw = small()
    raw["training"]["default"]["precision"] = {"cpu": cpu, "cuda": cuda}
    monkeypatch.setattr(machine, "device_type", lambda device: device_kind)
    return jobs.job(parse(raw), "train", dataset="digits", method="nat", seed="0").stated()


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_the_key_of_a_training_holds_the_precision_of_its_own_device_alone(monkeypatch, kind):
    other = {"cpu": "cuda", "cuda": "cpu"}[kind]
    first = of_precision(kind, monkeypatch, **{kind: "float32", other: "float32"})
    assert first == of_precision(kind, monkeypatch, **{kind: "float32", other: "bfloat16"})
    changed = of_precision(kind, monkeypatch, **{kind: "bfloat16", other: "float32"})
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
    monkeypatch.setattr(device, "_cuda_devices", lambda: 1)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    jobs.job(small_params(), "data", dataset="digits").run()
    seen = []

    def run(context):
        seen.append(torch.are_deterministic_algorithms_enabled())
        for path in context.outputs.values():
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text("")

    monkeypatch.setitem(sys.modules, "tells", SimpleNamespace(run=run))
    started = values(kind, monkeypatch, deterministic=wanted)
    replace(started, stage=replace(started.stage, run="tells:run")).run()
    assert seen == [deterministic] and not torch.are_deterministic_algorithms_enabled()
