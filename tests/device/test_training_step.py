"""A step of each method at the default model, on a card of shapes: nothing is mixed, and nothing waits for the card."""

import pytest
from card import FakeCard, card
from device_steps import PARAMS, TRAINED, Training, batch, classifier, method

from mngac.params.types import NORMS
from mngac.training.average import Average

READS = {"eat": 1}
"""Kinds whose step reads numbers back, and how many: E-AT draws the next norm by what it reads."""
MODEL = PARAMS.training.default.model


@pytest.fixture
def fake_card(monkeypatch):
    with card(FakeCard, monkeypatch) as watched:
        yield watched


def waits_of_steps(watched, entry, steps=1, **changes):
    """What steps of a method waited for, a list each."""
    training = Training(method(entry, "lazy", **changes), classifier(MODEL, "lazy"), batch(8, "lazy"))
    waits = []
    for number in range(steps):
        watched.waits.clear()
        training.step(number)
        waits.append(list(watched.waits))
    return waits


@pytest.mark.parametrize("name", [name for name in TRAINED if PARAMS.methods[name].kind != "mng_ac"])
def test_a_step_never_waits_for_the_card_but_for_what_the_method_must_read(fake_card, name):
    entry = PARAMS.methods[name]
    (waits,) = waits_of_steps(fake_card, entry)
    assert len(waits) == READS.get(entry.kind, 0), waits


@pytest.mark.parametrize("norm", NORMS)
def test_mng_ac_neither_learns_nor_watches_with_a_wait_in_any_norm(fake_card, norm):
    assert waits_of_steps(fake_card, PARAMS.methods["mng_ac"], norms=[norm]) == [[]]


def test_an_average_of_weights_waits_for_nothing(fake_card):
    network = classifier(MODEL, "lazy")
    average = Average(network, 0.9)
    fake_card.waits.clear()
    for _ in range(3):
        average.update(network)
    assert average.steps == 3 and fake_card.waits == []


def test_later_steps_wait_no_more_than_the_first(fake_card):
    assert waits_of_steps(fake_card, PARAMS.methods["sat_ac_noise"], steps=3) == [[], [], []]
