"""Averaged weights: held to a literal average in float64; monitored, kept and resumed in the classifier's place."""

import pytest
import torch
from helpers import entry, small_params
from stopping import stopped_at
from torch import nn

from mngac.data import store
from mngac.models.files import load_classifier
from mngac.params.training import Average
from mngac.pipeline.jobs import job
from mngac.training import trainer as training
from mngac.training.average import Average as Averaged
from mngac.training.plan import Plan
from mngac.training.trainer import Trainer


def literal(states, decay):
    """The average of some states, the first of which is the one after the first step."""
    average = {name: value.double() for name, value in states[0].items()}
    for t, state in enumerate(states[1:], start=1):
        kept = min(decay, (1 + t) / (10 + t))
        average = {name: kept * average[name] + (1 - kept) * value.double() for name, value in state.items()}
    return average


def moving(network):
    """What of a network is averaged: weights and running statistics, without counts."""
    return {name: value.clone() for name, value in network.state_dict().items() if value.is_floating_point()}


def close(ours, theirs):
    """Whether a float32 average is the literal one, up to the rounding of its steps."""
    bounds = {name: 1e-5 * max(1, value.abs().max().item()) for name, value in theirs.items()}
    return all((ours[name].double() - theirs[name]).abs().max() < bound for name, bound in bounds.items())


@pytest.mark.parametrize("decay", [0.3, 0.999])
def test_it_is_the_literal_average_of_weights_and_running_statistics(decay):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4))
    average, states = Averaged(network, decay), []
    for _ in range(30):
        with torch.no_grad():
            network(torch.randn(5, 1, 6, 6))
            for weight in network.parameters():
                weight.add_(torch.randn(weight.shape))
        average.update(network)
        states.append(moving(network))
    ours = average.classifier.state_dict()
    assert {"1.running_mean", "1.running_var", "0.weight"} <= set(states[0])
    assert close(ours, literal(states, decay)) and not close(ours, literal(states, decay / 2))
    assert ours["1.num_batches_tracked"] == 30


def data_of(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job(small_params(methods=("nat",)), "data", dataset="digits").run()
    return store.load("data/digits.safetensors")


def plan(name="nat", decay=0.8, epochs=2):
    params = small_params(methods=("nat",), epochs=epochs)
    given = params.training_for("digits").model_copy(update={"average": Average(decay=decay) if decay else None})
    return Plan(given, params.radii_for("standard", "digits"), entry(name), 0)


def test_what_is_monitored_and_kept_is_the_average_of_all_steps(tmp_path, monkeypatch):
    trainer = Trainer(data_of(tmp_path, monkeypatch), plan(), tmp_path / "work")
    step, look, states, watched = training.Trainer._step, training.look, [], []

    def seen(self, number, rate):
        loss = step(self, number, rate)
        states.append(moving(self.classifier))
        return loss

    def looked(classifier, *given):
        watched.append(moving(classifier))
        return look(classifier, *given)

    monkeypatch.setattr(training.Trainer, "_step", seen)
    monkeypatch.setattr(training, "look", looked)
    trainer.run()
    outputs = {name: str(tmp_path / name) for name in training_files()}
    trainer.write(outputs)
    kept = load_classifier(outputs["classifier.safetensors"], "cpu").state_dict()
    assert close(kept, literal(states, 0.8)) and not close(kept, {k: v.double() for k, v in states[-1].items()})
    first, second = watched
    assert close(first, literal(states[: len(states) // 2], 0.8)) and close(second, literal(states, 0.8))


def training_files():
    return ("classifier.safetensors", "generator.safetensors", "train.jsonl", "train.json")


def test_the_steps_are_those_of_a_training_without(tmp_path, monkeypatch):
    data = data_of(tmp_path, monkeypatch)
    with_average, without = (Trainer(data, plan(decay=decay), tmp_path / str(decay)) for decay in (0.8, None))
    for trainer in (with_average, without):
        trainer.run()
    assert [line["loss"] for line in with_average.progress.lines] == [line["loss"] for line in without.progress.lines]
    for name, value in without.classifier.state_dict().items():
        assert torch.equal(with_average.classifier.state_dict()[name], value)
    assert with_average.summary()["flops"] == without.summary()["flops"]


@pytest.mark.parametrize("stop", [(0, 1), (0, 9), (1, 4)])
def test_a_training_resumed_at_any_step_keeps_the_same_average(tmp_path, monkeypatch, stop):
    data = data_of(tmp_path, monkeypatch)
    whole = Trainer(data, plan("sat"), tmp_path / "whole")
    whole.run()
    with stopped_at(monkeypatch, *stop), pytest.raises(KeyboardInterrupt):
        Trainer(data, plan("sat"), tmp_path / "stopped").run()
    resumed = Trainer(data, plan("sat"), tmp_path / "stopped")
    resumed.run()
    assert resumed.average is not None and resumed.average.steps == 18
    for name, value in whole.kept.state_dict().items():
        assert torch.equal(resumed.kept.state_dict()[name], value)
    ours, theirs = ([{**line, "timing": None} for line in trainer.progress.lines] for trainer in (resumed, whole))
    assert ours == theirs


def test_a_lost_average_is_no_classifier(tmp_path, monkeypatch):
    trainer = Trainer(data_of(tmp_path, monkeypatch), plan(epochs=1), tmp_path / "work")
    assert trainer.average is not None
    with torch.no_grad():
        next(trainer.average.classifier.parameters()).fill_(float("nan"))
    trainer.average.steps += 1
    with pytest.raises(training.BadStepError, match="the weights are not finite after it"):
        trainer.run()
