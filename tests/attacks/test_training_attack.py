"""The attack of a training step: of either kind, in every norm, for every method that does not bring its own."""

from dataclasses import replace

import pytest
import torch
from helpers import attacks, entry, setup
from torch import nn

from mngac.attacks.apgd import apgd
from mngac.attacks.pgd import pgd
from mngac.attacks.training import attacked
from mngac.methods.base import Batch, Step
from mngac.params.registry import find

NORMS = ["linf", "l1", "l2"]
BY_APGD = {norm: replace(attack, kind="apgd") for norm, attack in attacks().items()}


def net():
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)).eval()


def images():
    return torch.rand(5, 1, 6, 6, generator=torch.Generator().manual_seed(2)), torch.arange(5) % 3


def draws():
    return torch.Generator().manual_seed(3)


@pytest.mark.parametrize("norm", NORMS)
def test_the_kind_says_which_ascent_it_is(norm):
    classifier, (x, y), attack = net(), images(), attacks()[norm]
    by_pgd = attacked(classifier, x, y, attack, draws())
    assert torch.equal(by_pgd, pgd(classifier, x, y, attack, draws()))
    by_apgd = attacked(classifier, x, y, BY_APGD[norm], draws())
    assert torch.equal(by_apgd, apgd(classifier, x, y, norm, attack.radius, attack.steps, draws()))
    assert not torch.equal(by_apgd, by_pgd)


@pytest.mark.parametrize("norm", NORMS)
def test_apgd_reads_neither_step_size_nor_coordinates(norm):
    classifier, (x, y) = net(), images()
    other = replace(BY_APGD[norm], step_size=1e-3, top=1)
    assert torch.equal(*(attacked(classifier, x, y, attack, draws()) for attack in (other, BY_APGD[norm])))


@pytest.mark.parametrize("name", ["adv_linf", "adv_l1", "adv_avg", "adv_max", "sat_ac", "sat_ac_noise", "mng_ac"])
def test_a_method_attacks_by_apgd_where_that_is_said(name, monkeypatch):
    used = []
    monkeypatch.setattr("mngac.attacks.training.apgd", lambda *given: used.append(given[3]) or apgd(*given))
    monkeypatch.setattr("mngac.attacks.training.pgd", lambda *given: pytest.fail("attacked by pgd"))
    config = entry(name)
    method = find("methods", config.kind).load()(config, setup(attacks=BY_APGD))
    method.loss(net().train(), Batch(*images()), Step(5, 0.05, 0, "cpu")).backward()
    assert used and set(used) <= set(config.norms)
