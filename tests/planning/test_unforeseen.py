"""The passes of an unforeseen attack: exact for a classifier that nobody breaks; what `mngac plan` says of them."""

import pytest
import torch
from helpers import small
from torch import nn

from mngac.evaluation.probes import probe
from mngac.params.checks import parse
from mngac.params.registry import kinds
from mngac.params.sections import Radii
from mngac.params.unforeseen import Unforeseen
from mngac.planning.page import text
from mngac.planning.plan import Choice, plan
from mngac.planning.unforeseen import SEARCHES, passes_of
from mngac.unforeseen.loop import measure

KEYS = {
    "l0": {"pixels": 2, "steps": 7, "queries": 12},
    "rotation_translation": {"degrees": 20, "shift": 1, "angles": 3, "shifts": 2},
    "affine_linf_l1": {"beta": 0.5, "steps": 20, "restarts": 3},
}
IMAGES = 6


class Unmoved(nn.Module):
    """Always of the first class, by a margin that the image changes a little; counts gradients to images."""

    def __init__(self):
        super().__init__()
        self.gradients = 0

    def forward(self, x):
        if x.requires_grad:
            x.register_hook(self._back)
        mean = x.flatten(1).mean(1)
        return torch.stack([10 + mean, -mean], 1)

    def _back(self, gradient):
        self.gradients += len(gradient)


def test_every_search_of_the_package_is_known():
    assert {*SEARCHES, "corruptions"} == set(kinds("unforeseen/attacks")) and set(KEYS) == set(SEARCHES)


@pytest.mark.parametrize("steps", [1, 20, 33])
@pytest.mark.parametrize("kind", KEYS)
def test_the_passes_of_what_nobody_breaks_are_foretold_to_the_pass(kind, steps):
    keys = {**KEYS[kind], **({"steps": steps} if "steps" in KEYS[kind] else {})}
    entry = Unforeseen.model_validate({"attacks": [{"attack": kind, **keys}], "batch_size": 4, "n": None, "seed": 0})
    x = torch.rand(IMAGES, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    y, classifier, probed = torch.zeros(IMAGES, dtype=torch.int64), Unmoved(), Unmoved()
    probe(probed, x[: entry.batch_size], y[: entry.batch_size])
    found = measure(classifier, x, y, entry, Radii(linf=0.1, l1=1.0, l2=0.5), "digits", 2)
    assert set(found.attacks[0].columns["worst case"]) == {"1"}
    forward, backward = SEARCHES[kind](entry.attacks[0])
    # The classifier is compared with a cheaper copy, of which it has none, without a gradient.
    assert found.attacks[0].forwards == IMAGES * forward
    assert classifier.gradients - probed.gradients == IMAGES * backward
    assert passes_of(entry.attacks[0], "digits", IMAGES, None) == IMAGES * (forward + backward + 1)


def test_corruptions_take_a_pass_an_image_where_there_is_an_archive():
    config = parse(small()).unforeseen["cifar10"].attacks[-1]
    assert passes_of(config, "cifar10", 50, 1000) == 15 * 5 * 1000
    assert passes_of(config, "cifar10", 50, None) == 15 * 5 * 10_000
    assert passes_of(config, "digits", 50, 1000) == 0


def test_a_plan_counts_them_and_says_what_is_assumed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNGAC_CACHE", str(tmp_path / "cache"))
    params = parse(small(methods=("nat",), unforeseen=["digits"]))
    found = plan(params, Choice("cpu", 0.3, 1, None))
    (line,) = [line for line in found.lines if line.found.job.stage.name == "unforeseen"]
    assert line.work and 0 < line.work.flops < line.work.most and line.space.disk > 0 and line.space.memory > 0
    page = " ".join(text(found, "this").split())
    assert "unforeseen attacks: 50% of their searches' passes are assumed (digits)" in page


def test_an_attack_of_ones_own_is_said_to_be_unknown():
    raw = small(methods=("nat",), unforeseen=["digits"])
    config = parse(raw).unforeseen["digits"].attacks[0].model_copy(update={"attack": "mine:Attack"})
    assert passes_of(config, "digits", 10, None) is None
