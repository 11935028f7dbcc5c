"""The cost of training: the passes that each method's formula has, counted by what it does; resumed or not."""

import importlib
import json
import time
from pathlib import Path

import pytest
import torch
from helpers import entry, setup, small_params
from stopping import stopped_at
from torch import nn
from torch.nn import functional as F

from mngac.attacks.pgd import Attack
from mngac.methods.base import Base, Batch, Step
from mngac.methods.generator_diagnostics import Diagnostics
from mngac.methods.mng_ac import Method as MngAc
from mngac.pipeline.jobs import job
from mngac.sgd import SGD
from mngac.training import cost
from mngac.training.cost import Meter, Operations, Stopwatch, flops_of_a_forward

STEPS = {"linf": 10, "l1": 20, "l2": 10}
"""The paper's training attacks."""
LP = {name: Attack(name, 0.5, 0.1, steps, 2) for name, steps in STEPS.items()}
FIRST = 1 / (1 + 3 * 9 * 16)
"""Share of the first layer in a pass of `net`, which weights alone ask no gradient through."""


def net():
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 16, 1, bias=False)]
    for _ in range(3):
        layers += [nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.Tanh()]
    return nn.Sequential(*layers, nn.AvgPool2d(5), nn.Flatten(), nn.Unflatten(1, (16, 1)), nn.Flatten())


def batch():
    return Batch(torch.rand(2, 1, 5, 5, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1]))


class Shift(nn.Module):
    """A generator whose own passes cost nothing."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def draw(self, x, generator):
        return torch.randn(x.shape, generator=generator)

    def forward(self, x, z):
        return self.scale * z


def build(name, **changes):
    params = entry(name, **changes)
    method = importlib.import_module(f"mngac.methods.{params.kind}").Method(params, setup(attacks=LP))
    if isinstance(method, MngAc):
        method.generator = Shift()
        method.optimizer = SGD(method.generator.parameters(), momentum=0.0, weight_decay=0.0)
    return method


def train(method, classifier, meter, count):
    """Steps as the trainer takes them."""
    for number in range(count):
        with meter.step():
            method.loss(classifier, batch(), Step(number, 0.1, 0, "cpu")).backward()


def passes(name, **changes):
    """One step in forward passes of the batch."""
    classifier = net()
    method = build(name, **changes)
    meter = Meter([classifier, *method.networks()])
    train(method, classifier, meter, 1)
    return meter.total() / flops_of_a_forward(classifier, batch().x)


PAPER = {
    "nat": 3, "adv_linf": 23, "adv_l2": 23, "adv_l1": 43, "trades_linf": 27, "adv_avg": 89, "adv_max": 86, "msd": 103,
}  # fmt: skip
DRAWN = {"sat": 29.667, "sat_ac": 32.667, "sat_ac_noise": 35.667, "mng_ac": 45.667, "eat": 30.667}


@pytest.mark.parametrize("name", [*PAPER, *DRAWN])
def test_a_method_whose_steps_ask_for_no_gradient_to_images_is_told_from_those_that_attack(name):
    classifier, method = net(), build(name)
    meter = Meter([classifier, *method.networks()])
    train(method, classifier, meter, 2)
    assert meter.to_images == (name != "nat")
    resumed = Meter([classifier])
    resumed.load_state_dict(meter.state_dict())
    assert resumed.to_images == meter.to_images


def test_gradients_to_images_outside_a_step_are_no_attack_of_the_method():
    classifier, method = net(), build("nat")
    meter = Meter([classifier])
    train(method, classifier, meter, 1)
    method.attack(classifier, batch(), Step(0, 0.1, 0, "cpu"), "linf", "eval")
    assert not meter.to_images


@pytest.mark.parametrize(("name", "expected"), PAPER.items())
def test_a_step_costs_the_passes_of_its_formula(name, expected):
    """Each backward pass to the weights saves the first layer's gradient to the image: at most three do."""
    assert expected - 3 * FIRST - 1e-3 <= passes(name) <= expected


@pytest.mark.parametrize(("name", "expected"), DRAWN.items())
def test_a_step_of_a_norm_drawn_costs_the_mean_over_norms(name, expected):
    """mng_ac: 10 for the generator's step, 4 of them of second order, and 9 for the views of the loss."""
    found = sum(passes(name, norms=[norm]) for norm in STEPS) / len(STEPS)
    assert expected - 8 * FIRST - 1e-3 <= found <= expected + 1e-3


def test_the_generators_own_passes_are_added():
    """Four forward passes' worth: forward and backward to its weights (2 of 3), then forward without gradient."""
    classifier, method = net(), build("mng_ac", norms=["linf"])
    free = Meter([classifier, *method.networks()])
    train(method, classifier, free, 1)
    params = entry("mng_ac", norms=["linf"])
    method = MngAc(params, setup(attacks=LP))
    paid = Meter([classifier, *method.networks()])
    train(method, classifier, paid, 1)
    z = method.generator.draw(batch().x, torch.Generator())
    with Operations() as forward, torch.no_grad():
        method.generator(batch().x, z)
    assert 3.5 * forward.total <= paid.total() - free.total() <= 4 * forward.total


@pytest.mark.parametrize("name", ["sat", "mng_ac", "eat"])
def test_the_total_is_what_counting_every_operation_of_every_step_gives(name):
    """Norms of 10 and 20 steps in an order that chance draws."""
    total = 0
    classifier, method = net(), build(name)
    for number in range(25):
        with Operations() as counted:
            method.loss(classifier, batch(), Step(number, 0.1, 0, "cpu")).backward()
        total += counted.total
    classifier, method = net(), build(name)
    meter = Meter([classifier, *method.networks()])
    train(method, classifier, meter, 25)
    assert meter.total() == total and len(meter.flops) == 2


def test_few_steps_are_measured_and_a_kind_that_never_came_again_leaves_no_total(monkeypatch):
    """A method of one's own: three plain steps, then one of the attack's kind."""
    measured = []
    monkeypatch.setattr(cost, "Operations", lambda: measured.append(1) or Operations())
    classifier = net()
    meter = Meter([classifier])
    nat, adv = build("nat"), build("adv_linf")
    train(nat, classifier, meter, 6)
    assert len(measured) == 1 and meter.total() is not None
    train(adv, classifier, meter, 1)
    assert meter.total() is None
    train(adv, classifier, meter, 5)
    assert len(measured) == 2 and sum(meter.steps.values()) == 12
    one = flops_of_a_forward(classifier, batch().x)
    assert meter.total() == pytest.approx(6 * (3 - FIRST) * one + 6 * (23 - FIRST) * one, rel=1e-9)


class Both(Base):
    """One pass; on odd steps the weights stay out of its backward."""

    def loss(self, classifier, batch, step):
        x = batch.x.clone().requires_grad_()
        loss = F.cross_entropy(classifier(x), batch.y)
        wanted = [x] if step.number % 2 else [x, *classifier.parameters()]
        torch.autograd.grad(loss, wanted)
        return torch.zeros((), requires_grad=True)


def test_steps_that_differ_in_what_gradients_reach_alone_are_of_two_kinds():
    classifier = net()
    meter = Meter([classifier])
    train(Both(entry("nat"), setup()), classifier, meter, 6)
    one = flops_of_a_forward(classifier, batch().x)
    assert meter.total() == 3 * 3 * one + 3 * 2 * one


class Named(Base):
    """Holds a network that is called by keyword, answers with two tensors, and doubles its batch on odd steps."""

    class Pair(nn.Linear):
        def forward(self, *, x):
            return super().forward(x), x

    def __init__(self, params, setting):
        super().__init__(params, setting)
        self.helper = self.Pair(25, 4)

    def loss(self, classifier, batch, step):
        x = batch.x.flatten(1)
        return self.helper(x=torch.cat([x, x]) if step.number % 2 else x)[0].sum()


def test_networks_that_a_method_holds_are_told_apart_by_what_they_are_given():
    """2 or 4 images through 25 x 4 weights, forward and backward to the weights, two operations a weight each."""
    classifier, method = net(), Named(entry("nat"), setup())
    meter = Meter([classifier, *method.networks()])
    train(method, classifier, meter, 6)
    assert meter.total() == 3 * (2 + 4) * 25 * 4 * 2 * 2


class Distilled(Base):
    """Holds a network whose weights are frozen, and adds its answer."""

    def __init__(self, params, setting):
        super().__init__(params, setting)
        self.teacher = nn.Linear(25, 4).requires_grad_(False)

    def loss(self, classifier, batch, step):
        return F.cross_entropy(classifier(batch.x), batch.y) + self.teacher(batch.x.flatten(1)).sum()


def test_a_frozen_network_that_a_method_holds_costs_its_forward_pass():
    classifier, method = net(), Distilled(entry("nat"), setup())
    meter = Meter([classifier, *method.networks()])
    train(method, classifier, meter, 2)
    one = flops_of_a_forward(classifier, batch().x)
    assert meter.total() == pytest.approx(2 * (3 - FIRST) * one + 2 * len(batch().x) * 25 * 4 * 2, rel=1e-9)


def test_passes_outside_a_step_cost_nothing():
    classifier = net()
    meter = Meter([classifier])
    train(build("nat"), classifier, meter, 1)
    before = meter.total()
    F.cross_entropy(classifier(batch().x), batch().y).backward()
    assert meter.total() == before


def test_looking_at_the_generator_costs_the_method_nothing():
    classifier, method = net(), MngAc(entry("mng_ac", norms=["linf"]), setup(attacks=LP))
    meter = Meter([classifier, *method.networks()])
    train(method, classifier, meter, 1)
    before = meter.total()
    method.watch(classifier)
    assert "generator_over_gaussian_linf" in method.diagnostics() and meter.total() == before


# ---------------------------------------------------------------- in train.json


def summary(params, method):
    """train.json of one training on the digits."""
    j = job(params, "train", dataset="digits", method=method, seed="0")
    assert j.run() == "made"
    return json.loads(Path(j.outputs["train.json"]).read_text())


@pytest.fixture
def params(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = small_params(methods=("sat", "nat", "mng_ac"), epochs=3)
    job(found, "data", dataset="digits").run()
    return found


def test_a_training_says_its_operations_its_passes_and_its_processor_time(params):
    """nat on the digits: 3 epochs of 9 steps; the first layer of wrn_10_1 has 1.2 % of a pass."""
    found = summary(params, "nat")
    assert 27 * 64 * 2.98 < found["forward_passes"] < 27 * 64 * 3
    assert found["flops"] / found["forward_passes"] == pytest.approx(97_728_000 / 64, rel=1e-3)
    assert found["process_seconds"] > 0


@pytest.mark.slow
def test_a_resumed_training_counts_what_an_uninterrupted_one_does(params, tmp_path, monkeypatch):
    whole = summary(params, "mng_ac")
    monkeypatch.setenv("MNGAC_CACHE", str(tmp_path / "other"))
    with stopped_at(monkeypatch, 2, 5), pytest.raises(KeyboardInterrupt):
        summary(params, "mng_ac")
    resumed = summary(params, "mng_ac")
    for key in ("flops", "forward_passes"):
        assert resumed[key] == whole[key] and whole[key] > 0
    assert resumed["process_seconds"] > whole["process_seconds"] / 3


@pytest.mark.slow
def test_a_training_that_looks_at_its_generator_more_often_costs_the_same(params, tmp_path, monkeypatch):
    once = summary(params, "mng_ac")["flops"]
    monkeypatch.setenv("MNGAC_CACHE", str(tmp_path / "other"))
    monkeypatch.setattr(Diagnostics, "due", lambda self, norm, rate: True)
    assert summary(params, "mng_ac")["flops"] == once


def test_the_processors_time_does_not_run_while_the_process_waits():
    watch = Stopwatch("cpu")
    time.sleep(0.2)
    assert watch.lap() < 0.1
    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass
    assert 0.1 <= watch.lap() < 0.2
