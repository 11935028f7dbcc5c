"""The generator's probes: what each view is, what a virtual step on it does, and a table of a trained method."""

import json

import pytest
import torch
from helpers import attacks, small
from torch import nn
from torch.nn import functional as F

from benchmarks import generator as probing
from benchmarks.generator import VIEWS, gradient_of, main, probe, probes, two_batches
from mngac.cli import main as mngac
from mngac.data.store import Split
from mngac.methods.base import Batch, Step
from mngac.methods.generator_diagnostics import flat
from mngac.models.noise_generator import NoiseGenerator

STEP = Step(3, 0.5, 0, "cpu")


def net():
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)).train()


def batch(seed, n=12):
    return Batch(torch.rand(n, 1, 6, 6, generator=torch.Generator().manual_seed(seed)), torch.arange(n) % 3)


def test_a_virtual_step_is_a_step_of_descent_and_leaves_the_classifier_as_it_was():
    classifier, seen, own, other = net(), batch(0), batch(1), batch(2)
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    toward = flat(gradient_of(classifier, own.x, own.y))
    found = probe(classifier, seen.x, seen, [own, other], 0.5, toward)
    assert all(torch.equal(classifier.state_dict()[name], value) for name, value in before.items())
    stepped = net()
    F.cross_entropy(stepped(seen.x), seen.y).backward()
    with torch.no_grad():
        for weight in stepped.parameters():
            weight -= 0.5 * weight.grad
    length = torch.cat([weight.grad.flatten() for weight in stepped.parameters()]).norm().item()
    expected = [F.cross_entropy(stepped(each.x), each.y).item() for each in (own, other)]
    assert [found.same, found.other, found.length] == pytest.approx([*expected, length], rel=1e-5)
    still = probe(classifier, None, seen, [own, other], 0.5, toward)
    assert still.same == pytest.approx(F.cross_entropy(net()(own.x), own.y).item(), rel=1e-6) and still.length == 0


@pytest.mark.parametrize("norm", ["linf", "l1", "l2"])
def test_every_view_is_probed_and_the_optimised_one_is_worth_more_than_what_it_started_from(norm):
    torch.manual_seed(0)
    found = probes(net(), NoiseGenerator(1), [batch(0), batch(1)], attacks()[norm], STEP, 6)
    assert list(found) == list(VIEWS)
    assert found["optimised"].same < found["gaussian"].same < found["no step"].same
    assert found["x_adv"].cosine == pytest.approx(1, abs=1e-5) and found["gaussian"].cosine < 0.99999
    assert "learned" not in probes(net(), None, [batch(0), batch(1)], attacks()[norm], STEP, 1)


def test_noise_is_optimised_within_the_ball(monkeypatch):
    views = {}
    look = probing.probe

    def noted(classifier, view, *given):
        views[len(views)] = view
        return look(classifier, view, *given)

    monkeypatch.setattr(probing, "probe", noted)
    attack = attacks()["l2"]
    probes(net(), None, [batch(0), batch(1)], attack, STEP, 4)
    last = views[len(views) - 1]
    assert (last - batch(0).x).flatten(1).norm(dim=1).max() <= attack.radius * 1.0001
    assert last.min() >= 0 and last.max() <= 1


def test_a_table_of_a_trained_method(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(json.dumps(small(methods=("sat", "mng_ac"))))
    for stage in ("data --dataset digits", "train --dataset digits --method mng_ac --seed 0"):
        assert mngac(stage.split()) == 0
    capsys.readouterr()
    assert main(["--batches", "2", "--steps", "1", "--batch", "16"]) == 0
    printed = capsys.readouterr().out
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in printed.splitlines()]
    assert [line[:2] for line in lines[2:]] == [[norm, view] for norm in ("linf", "l1", "l2") for view in VIEWS]
    assert all(line[5] for line in lines[2:] if line[1] != "no step")
    assert main(["--batch", "400"]) == 2
    assert "--batch: found 400; allowed: at most " in capsys.readouterr().err


@pytest.mark.parametrize("number", [0, 1, 7])
def test_the_other_batch_has_no_image_of_the_first(number):
    images = torch.arange(20, dtype=torch.uint8).reshape(20, 1, 1, 1)
    one, two = two_batches(Split(images, torch.arange(20), torch.arange(20)), 10, Step(number, 0.1, 0, "cpu"))
    assert sorted([*one.y.tolist(), *two.y.tolist()]) == list(range(20))
    assert torch.equal((one.x.flatten() * 255).round().long(), one.y)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--method", "mng"], "--method: found mng; allowed: mng_ac, "),
        (["--batches", "1"], "--batches: found 1; allowed: two or more"),
        (["--seed", "5"], "trained/digits/mng_ac/seed5/classifier.safetensors"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(json.dumps(small(methods=("sat", "mng_ac"))))
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("benchmarks: ") and said in error and error.count("\n") == 1
