"""Trainings through torch.compile: few graphs, the eager training's numbers and cost, and one line where it fails."""

import functools
import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from helpers import run, small, workspace
from safetensors.torch import load_file
from stopping import stopped_at

from mngac.data import store
from mngac.models import compiled
from mngac.models.compiled import hindrance
from mngac.params.checks import parse
from mngac.pipeline.jobs import job
from mngac.training.plan import Plan
from mngac.training.trainer import Trainer

MOST = 3
"""Graphs of a training: an attack's pass, the loss's, and where a method asks without gradient, that one."""


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    yield
    torch._dynamo.reset()


def tiny(compiled=True, **changes):
    """Two epochs of few steps on the digits."""
    raw = small(methods=("nat",), epochs=2)
    raw["training"]["digits"] |= {"compile": compiled, "steps_per_epoch": 4, "batch_size": 16, **changes}
    raw["training"]["digits"]["monitor"] = {"images": 8, "steps": 1}
    return raw


def graphs():
    """Graphs made since the test began."""
    return torch._dynamo.utils.counters["stats"]["unique_graphs"]


def trainer_of(params, method):
    """The digits' training of a method, without a job."""
    radii, entry = params.radii_for("standard", "digits"), params.methods[method]
    plan = Plan(params.training_for("digits"), radii, entry, 0)
    return Trainer(store.load("data/digits.safetensors"), plan, Path("work"))


EVERY_KIND = ["nat", "adv_l1", "trades_linf", "adv_avg", "adv_max", "msd", "sat_ac_noise", "eat", "mng_ac"]
AT_ONCE = ("mng_ac", "eat")
KINDS = [name if name in AT_ONCE else pytest.param(name, marks=pytest.mark.slow) for name in EVERY_KIND]


@pytest.mark.parametrize("method", KINDS)
def test_a_whole_training_makes_few_graphs(tmp_path, monkeypatch, method):
    """With all that comes once an epoch; each step of mng_ac is looked at. Traced alone, which needs no compiler."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(compiled.torch, "compile", functools.partial(torch.compile, backend="eager"))
    monkeypatch.setattr("mngac.methods.generator_diagnostics.EVERY", 1)
    params = parse(tiny())
    job(params, "data", dataset="digits").run()
    trainer = trainer_of(params, method)
    trainer.run()
    assert 1 <= graphs() <= MOST and hindrance(trainer.classifier) == ""


def trained(params, method):
    """The outputs of a training by the pipeline."""
    made = job(params, "train", dataset="digits", method=method, seed="0")
    assert made.run() == "made"
    return {name: Path(path) for name, path in made.outputs.items()}


def state(file):
    """All floating-point numbers of a classifier, in one row."""
    return row(load_file(file))


def row(tensors):
    """All floating-point numbers of some tensors, in the order of their names."""
    return torch.cat([t.flatten() for _, t in sorted(tensors.items()) if t.is_floating_point()])


def fresh(params, method):
    """A classifier's numbers before its training."""
    return row(trainer_of(params, method).classifier.state_dict())


def costs(outputs):
    """What a training cost in operations."""
    summary = json.loads(outputs["train.json"].read_text())
    return summary["flops"], summary["forward_passes"]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler: no g++ here")
@pytest.mark.parametrize("method", ["mng_ac", "sat", "trades_linf"])
def test_a_compiled_training_is_close_to_the_eager_one_costs_the_same_and_resumes(tmp_path, monkeypatch, method):
    """Epochs of two steps, of which the first is measured, and so is plain: the second is compiled."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "compiled"))
    short = {"epochs": 2, "steps_per_epoch": 2}
    eager, ours = (parse(tiny(compiled, **short)) for compiled in (False, True))
    job(eager, "data", dataset="digits").run()
    wanted = trained(eager, method)
    numbers, cost = state(wanted["classifier.safetensors"]), costs(wanted)
    moved = (numbers - fresh(eager, method)).norm()
    with stopped_at(monkeypatch, 1, 1), pytest.raises(KeyboardInterrupt, match="epoch 1 of 2"):
        trained(ours, method)
    found = trained(ours, method)
    log = Path(f"logs/train/digits-{method}-0.log").read_text()
    assert "resumes after epoch 1" in log and "without torch.compile" not in log
    assert graphs() > 0
    assert (state(found["classifier.safetensors"]) - numbers).norm() < 0.2 * moved
    assert costs(found) == cost and cost[0] > 0


@pytest.mark.slow
def test_without_a_compiler_a_training_says_so_in_one_line_and_is_the_eager_one(tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "/nonexistent")
    said, digests = {}, {}
    for compile_ in (False, True):
        folder = workspace(tmp_path / str(compile_), tiny(compile_, epochs=1))
        run(folder, sys.executable, "-m", "mngac", "data", "--dataset", "digits")
        train = ("train", "--dataset", "digits", "--method", "adv_linf", "--seed", "0")
        said[compile_] = run(folder, sys.executable, "-m", "mngac", *train).stderr.splitlines()
        digests[compile_] = (folder / "trained/digits/adv_linf/seed0/classifier.safetensors").read_bytes()
    assert digests[True] == digests[False]
    line, rest = said[True][0], said[True][1:]
    assert line.startswith("digits-adv_linf-0: runs without torch.compile, which found: ") and "compiler" in line
    assert len(line) < 300 and len(rest) == len(said[False]) == 1
