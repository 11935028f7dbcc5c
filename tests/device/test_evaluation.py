"""Evaluation on a card: the same outcomes as on the host, and few waits of the project's own attacks."""

import pytest
from card import Card, card
from evaluation_helpers import RADII, digits, suite, trained

from mngac.evaluation.acceptance import Target, accept
from mngac.evaluation.loop import evaluate
from mngac.evaluation.until_broken import EVERY
from mngac.params.types import NORMS

SLOW = pytest.mark.slow
OWN = ["batched_apgd_ce linf", "batched_apgd_ce l1", "batched_apgd_t l2", "pgd linf", "pgd_l1 l1"]
LIBRARIES = ["apgd_t l2", "square linf", "gaussian_noise l2"]
LONG = ["apgd_ce l1", "fab_t linf", "square l1", "salt_and_pepper l1", "carlini_wagner l2", "ead l1"]


def evaluated(attacks, device):
    """An evaluation of a few digits."""
    classifier = trained()
    return evaluate(
        classifier if device == "cpu" else classifier.to(device), *digits(12), suite(*attacks), RADII, device=device
    )


@pytest.mark.parametrize(
    "attacks",
    [pytest.param(OWN, id="own"), pytest.param(LIBRARIES, id="libraries"), pytest.param(LONG, marks=SLOW, id="long")],
)
def test_an_evaluation_finds_on_the_card_what_it_finds_on_the_host(monkeypatch, attacks):
    with card(Card, monkeypatch):
        found = evaluated(attacks, "lazy")
    host = evaluated(attacks, "cpu")
    assert (found.clean, found.attacks, found.flags) == (host.clean, host.attacks, host.flags)


def test_acceptance_reads_back_once_a_batch(monkeypatch):
    x, y = digits()
    with card(Card, monkeypatch) as watched:
        classifier, x, y = trained().to("lazy"), x.to("lazy"), y.to("lazy")
        watched.waits.clear()
        accept(classifier, x, y, x, Target("linf", 0.1, 10, 0, "lazy"))
        assert len(watched.waits) == 1, watched.waits


@pytest.mark.parametrize(
    "attack", ["batched_apgd_ce linf", "batched_apgd_ce l1", "batched_apgd_t l2", "pgd l2", "pgd_l1 l1"]
)
def test_an_attack_waits_at_its_looks_at_who_is_broken_alone(monkeypatch, attack):
    def waits(steps):
        """What an attack of so many steps waited for."""
        with card(Card, monkeypatch) as watched:
            entries = suite(attack)
            entry = entries.attacks[0].model_copy(update={"steps": steps})
            if entry.restarts:
                entry = entry.model_copy(update={"restarts": 1})
            if entry.targets:
                entry = entry.model_copy(update={"targets": 1})
            plan = entries.model_copy(update={"attacks": [entry], "batch_size": 40})
            tiny = dict.fromkeys(NORMS, 1e-3)
            evaluate(trained().to("lazy"), *digits(), plan, tiny, device="lazy")
            return watched.waits

    few, many = waits(2 * EVERY), waits(4 * EVERY)
    assert len(many) - len(few) <= 2, [wait for wait in many if wait not in few]
