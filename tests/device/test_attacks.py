"""Attacks on a card: the host's points, and no wait at all, whatever the norm and the steps."""

import pytest
import torch
from card import Card, FakeCard, card
from device_steps import PARAMS, batch, classifier, setup
from evaluation_helpers import RADII, digits, trained

from mngac import l1_thresholds
from mngac.attacks.apgd import Problem, apgd, cross_entropy, draw, targeted_margin, through_larger_balls
from mngac.attacks.msd import msd
from mngac.attacks.pgd import pgd
from mngac.models.frozen import frozen_statistics
from mngac.params.types import NORMS
from mngac.streams import stream


def larger_balls(classifier, x, y, radius, steps, generator):
    """The best point of an l_1 ascent through larger balls, of a targeted loss."""
    with torch.no_grad():
        problem = Problem(classifier, "l1", radius, steps, targeted_margin)
        ascent = through_larger_balls(problem, x, y, (y + 1) % 10, draw(x, "l1", generator))
        ascent.run()
    return ascent.best


def attacked(norm, classifier, x, y, radius, steps, device):
    """The points of each attack in a norm's ball."""
    attack = setup(device, steps).attacks[norm]
    found = [
        pgd(classifier, x, y, attack, stream(0, "pgd", device=device)),
        apgd(classifier, x, y, norm, radius, steps, stream(0, "apgd", device=device)),
    ]
    if norm == "l1":
        found.append(larger_balls(classifier, x, y, radius, steps, stream(0, "larger", device=device)))
        found.append(msd(classifier, x, y, list(setup(device, 2).attacks.values())))
    return found


@pytest.mark.parametrize("norm", NORMS)
def test_points_on_the_card_are_the_hosts_and_none_is_waited_for(monkeypatch, norm):
    radius = float(getattr(RADII, norm))
    # The host, which may look at numbers, finds thresholds in another way: equal to rounding, but not to the bit.
    monkeypatch.setattr(l1_thresholds, "looks_are_free", lambda values: False)
    host = attacked(norm, trained(), *digits(8), radius, 9, "cpu")
    with card(Card, monkeypatch) as watched:
        x, y = (t.to("lazy") for t in digits(8))
        network = trained().to("lazy")
        watched.waits.clear()
        there = attacked(norm, network, x, y, radius, 9, "lazy")
        assert watched.waits == []
        assert all(torch.equal(a.cpu(), b) for a, b in zip(there, host, strict=True))


@pytest.mark.parametrize("norm", NORMS)
def test_no_attack_waits_at_the_default_model(monkeypatch, norm):
    with card(FakeCard, monkeypatch) as watched:
        network, images = classifier(PARAMS.training.default.model, "lazy"), batch(8, "lazy")
        watched.waits.clear()
        with frozen_statistics(network, "eval"):
            attacked(norm, network, images.x, images.y, 1.0, 3, "lazy")
        assert watched.waits == []


@pytest.mark.parametrize("defect", ["read", "host"])
@pytest.mark.parametrize("norm", NORMS)
def test_a_defect_planted_in_the_step_is_found(monkeypatch, norm, defect):
    def planted(logits, y, aim):
        losses = cross_entropy(logits, y, aim)
        return losses * losses.sum().item() if defect == "read" else losses + torch.zeros(len(y))

    with card(FakeCard, monkeypatch) as watched:
        network, images = classifier("wrn_10_1", "lazy"), batch(4, "lazy")
        watched.waits.clear()
        problem = Problem(network, norm, 1.0, 2, planted)
        raised = None
        try:
            from_start(problem, images)
        except RuntimeError as error:
            raised = error
        assert (defect == "host" and raised) or (defect == "read" and watched.waits)


def from_start(problem, images):
    """All steps of an ascent."""
    from mngac.attacks.apgd import from_noise

    noise = draw(images.x, problem.norm, stream(0, "apgd", device="lazy"))
    with torch.no_grad():
        from_noise(problem, images.x, images.y, images.y, noise).run()
