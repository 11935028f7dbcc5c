"""A step of each method at the default model, on a card of shapes: nothing is mixed, and nothing waits for the card."""

import pytest
from card import FakeCard, card
from device_steps import PARAMS, TRAINED, Training, batch, classifier, method

from mngac.params.types import NORMS

READS = {"eat": 1}
"""Kinds whose step reads numbers back, and how many: E-AT draws the next norm by what it reads."""
MODEL = PARAMS.training.default.model


@pytest.fixture
def fake_card(monkeypatch):
    with card(FakeCard, monkeypatch) as watched:
        yield watched


def one_step(watched, entry, **changes):
    """What two steps of a method waited for, as lists of a step each."""
    training = Training(method(entry, "lazy", **changes), classifier(MODEL, "lazy"), batch(8, "lazy"))
    waits = []
    for number in range(2):
        watched.waits.clear()
        training.step(number)
        waits.append(list(watched.waits))
    return waits


@pytest.mark.parametrize("name", TRAINED)
def test_a_step_never_waits_for_the_card_but_for_what_the_method_must_read(fake_card, name):
    entry = PARAMS.methods[name]
    waits = one_step(fake_card, entry)
    assert [len(step) for step in waits] == [READS.get(entry.kind, 0)] * 2, waits


@pytest.mark.parametrize("norm", NORMS)
def test_mng_ac_neither_learns_nor_watches_with_a_wait_in_any_norm(fake_card, norm):
    assert one_step(fake_card, PARAMS.methods["mng_ac"], norms=[norm]) == [[], []]
