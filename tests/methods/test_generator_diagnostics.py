"""The generator's diagnostics: an angle that decay leaves alone, and meta losses against steps taken in full."""

import copy
import math

import pytest
import torch
from helpers import entry, setup
from torch import nn
from torch.nn import functional as F

from mngac.methods.base import Batch, Step
from mngac.methods.generator_diagnostics import EVERY, Diagnostics, angle
from mngac.methods.mng_ac import Method
from mngac.models.noise_generator import NoiseGenerator

RATE = 0.3


def net():
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Tanh(), nn.Flatten(), nn.Linear(4 * 16, 3)).train()


def batch():
    draws = torch.Generator().manual_seed(2)
    return Batch(torch.rand(6, 1, 6, 6, generator=draws), torch.arange(6) % 3)


@pytest.mark.parametrize("degrees", [0, 0.001, 1, 45, 90, 180])
def test_the_angle_is_the_one_that_was_turned_by(degrees):
    turned = torch.tensor([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))], dtype=torch.float64)
    found = angle(torch.tensor([3.0, 0.0]), 0.1 * turned).item()
    assert found == pytest.approx(degrees, rel=1e-5, abs=1e-9)


def test_the_angle_is_zero_at_the_start_and_weight_decay_alone_leaves_it_there():
    generator = NoiseGenerator(1)
    diagnostics = Diagnostics(generator, 0.0005)
    assert diagnostics.means() == {"angle": 0}
    with torch.no_grad():
        for weight in generator.parameters():
            weight.mul_(0.868)
    assert diagnostics.means()["angle"] < 1e-5
    with torch.no_grad():
        generator.conv_2d_4.weight.neg_()
    assert diagnostics.means()["angle"] > 10


def loss_after_a_step(classifier, view, x_adv, y):
    """CE of x_adv under a copy of the classifier, in train mode, that SGD moved by one step on the view."""
    twin = copy.deepcopy(classifier)
    optimizer = torch.optim.SGD(twin.parameters(), lr=RATE)
    optimizer.zero_grad()
    F.cross_entropy(twin(view), y).backward()
    optimizer.step()
    return F.cross_entropy(twin(x_adv), y).item()


def steepest(classifier, b, norm, radius):
    """One step of the norm to the radius, by hand; the l_1 ball's corner is spread over two coordinates."""
    x = b.x.clone().requires_grad_()
    grad = torch.autograd.grad(F.cross_entropy(copy.deepcopy(classifier)(x), b.y), x)[0]
    if norm == "linf":
        step = radius * grad.sign()
    elif norm == "l2":
        step = radius * grad / grad.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    else:
        top = grad.abs().flatten(1).topk(2).values[:, -1].view(-1, 1, 1, 1)
        step = radius / 2 * grad.sign() * (grad.abs() >= top)
    return step


@pytest.mark.parametrize("norm", ["linf", "l1", "l2"])
def test_each_view_has_the_meta_loss_of_a_step_taken_in_full(norm):
    """In float64; Gaussian noise is drawn from the step's own stream; the classifier stays as it is."""
    classifier, b = net().double(), batch()
    b = Batch(b.x.double(), b.y)
    m = Method(entry("mng_ac", norms=[norm]), setup())
    m.generator.double()
    step, attack = Step(0, RATE, 0, "cpu"), m.setup.attacks[norm]
    x_adv = m.attack(classifier, b, step, norm, "train")
    x_aug = m.augment(b.x, m.generator.draw(b.x, step.stream("noise")), attack).detach()
    m.loss(copy.deepcopy(classifier), b, step)
    before = copy.deepcopy(classifier.state_dict())
    m.watch(classifier)
    noted = m.diagnostics()
    gaussian = attack.lp.add_noise(b.x, torch.randn(b.x.shape, generator=step.stream("gaussian")), attack.radius)
    fgsm = attack.lp.add_noise(b.x, steepest(classifier, b, norm, attack.radius), attack.radius)
    zero = loss_after_a_step(classifier, gaussian, x_adv, b.y)
    for name, view in {"over_gaussian": x_aug, "fgsm_over_gaussian": fgsm, "x_adv_over_gaussian": x_adv}.items():
        expected = loss_after_a_step(classifier, view, x_adv, b.y) - zero
        assert noted[f"generator_{name}_{norm}"] == pytest.approx(expected, rel=1e-6, abs=1e-9), name
    assert noted["generator_x_adv_over_gaussian_" + norm] < 0
    assert all(torch.equal(value, before[name]) for name, value in classifier.state_dict().items())


def test_a_step_at_rate_zero_is_not_looked_at():
    classifier, m = net(), Method(entry("mng_ac", norms=["l2"]), setup())
    for number, rate in enumerate((0.0, RATE)):
        m.loss(classifier, batch(), Step(number, rate, 0, "cpu"))
        m.watch(classifier)
        assert ("generator_over_gaussian_l2" in m.diagnostics()) == (rate > 0)


def test_each_norm_is_looked_at_on_its_own_every_eighth_step():
    diagnostics = Diagnostics(NoiseGenerator(1), 0.0005)
    order = ["linf", "l1", "l1"] * 9
    due = [(norm, order[: i + 1].count(norm)) for i, norm in enumerate(order) if diagnostics.due(norm, RATE)]
    assert due == [("linf", 1), ("l1", 1), ("l1", 1 + EVERY), ("linf", 1 + EVERY), ("l1", 1 + 2 * EVERY)]
    twin = Diagnostics(NoiseGenerator(1), 0.0005)
    twin.load_state_dict(copy.deepcopy(diagnostics.state_dict()))
    assert [twin.due("l1", RATE) for _ in range(8)] == [diagnostics.due("l1", RATE) for _ in range(8)]


def test_a_step_that_is_not_due_runs_no_pass_of_the_classifier():
    classifier, m, b = net(), Method(entry("mng_ac", norms=["l2"]), setup()), batch()
    passes = []
    for number in range(2):
        m.loss(classifier, b, Step(number, RATE, 0, "cpu"))
        handle = classifier.register_forward_hook(lambda *_, n=number: passes.append(n))
        m.watch(classifier)
        handle.remove()
    assert set(passes) == {0}
    m.watch(classifier)
    assert set(passes) == {0}


def test_what_does_not_decay_is_not_held_against_the_gradient():
    generator = NoiseGenerator(1)
    everywhere, weights = Diagnostics(generator, 0.0005), Diagnostics(generator, 0.0005, vectors_decay=False)
    assert len(everywhere.decaying) == 8 and [weight.dim() for weight in weights.decaying] == [4, 4, 4, 4]
