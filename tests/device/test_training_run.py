"""A training on a card: the same weights and log as on the host, and waits between the steps alone."""

import contextlib

import pytest
import torch
from card import Card, card
from helpers import entry, small

from mngac.data import store
from mngac.data.batches import Batches
from mngac.params.checks import parse
from mngac.training.checkpoints import Checkpoints
from mngac.training.execution import Execution
from mngac.training.plan import Plan
from mngac.training.trainer import Trainer

STEPS, SIZE = 2, 8
READS = {"eat": 1}


def data():
    """Random images of ten classes, 8 x 8, as many as the batches of an epoch take."""
    draws = torch.Generator().manual_seed(0)
    splits = {}
    for name, count in (("train", STEPS * SIZE), ("validation", 16), ("unlabelled", 16), ("test", 16)):
        images = torch.randint(256, (count, 1, 8, 8), generator=draws, dtype=torch.uint8)
        splits[name] = store.Split(images, torch.randint(10, (count,), generator=draws), torch.arange(count))
    return store.DataSet(splits, [str(c) for c in range(10)], "digest")


def trainer(method, device, folder, semi=False):
    """A training of two epochs of two steps, images cropped and flipped."""
    raw = small()
    for attack in raw["training"]["digits"]["attack"].values():
        attack["steps"] = 2
    params = parse(raw)
    training = params.training_for("digits").model_copy(
        update={"epochs": 2, "steps_per_epoch": STEPS, "batch_size": SIZE, "augment": ["crop", "flip"], "pad": 1}
    )
    plan = Plan(training, params.radii_for("standard", "digits"), entry(method), 0, device)
    images = data()
    return Trainer(images, plan, folder, images.split("unlabelled").labels if semi else None)


def trained(made):
    """Its log without the times, and its weights as numbers of the host's."""
    made.run()
    lines = [{k: v for k, v in line.items() if k != "timing"} for line in made.progress.lines]
    return lines, [weight.detach().cpu() for weight in made.classifier.state_dict().values()]


@contextlib.contextmanager
def on_a_card(monkeypatch):
    """A card on which trainings run in float32, since torch has no autocast for it, and write no checkpoint of it."""
    with monkeypatch.context() as patch, card(Card, monkeypatch) as watched:
        patch.setattr(Execution, "autocast", lambda self: contextlib.nullcontext())
        patch.setattr(Checkpoints, "due", lambda self: False)
        yield watched


@pytest.fixture
def on_card(monkeypatch):
    with on_a_card(monkeypatch) as watched:
        yield watched


@pytest.mark.parametrize("method", ["mng_ac", "eat"])
def test_it_learns_what_the_host_would(monkeypatch, tmp_path, method):
    host = trained(trainer(method, "cpu", tmp_path))
    with on_a_card(monkeypatch):
        there = trained(trainer(method, "lazy", tmp_path))
    assert there[0] == host[0]
    assert all(torch.equal(a, b) for a, b in zip(there[1], host[1], strict=True))


@pytest.mark.parametrize(("method", "semi"), [("mng_ac", True), ("eat", False)])
def test_a_step_waits_for_nothing_but_a_new_order_of_the_images(on_card, tmp_path, monkeypatch, method, semi):
    made = trainer(method, "lazy", tmp_path, semi)
    step, order, orders, steps = Trainer._step, Batches._order, [], []

    def counted(self, *args):
        on_card.waits.clear()
        orders.clear()
        loss = step(self, *args)
        steps.append((len(on_card.waits) - len(orders), list(on_card.waits)))
        return loss

    def ordered(self, number):
        orders.append(number)
        return order(self, number)

    monkeypatch.setattr(Trainer, "_step", counted)
    monkeypatch.setattr(Batches, "_order", ordered)
    made.run()
    assert [count for count, _ in steps] == [READS.get(method, 0)] * 2 * STEPS, steps


def test_whether_all_is_finite_is_read_in_one_wait(on_card, tmp_path):
    made = trainer("mng_ac", "lazy", tmp_path)
    on_card.waits.clear()
    made._check()
    assert len(on_card.waits) == 1, on_card.waits


def test_an_epoch_reads_its_loss_and_each_monitored_accuracy_once(on_card, tmp_path, monkeypatch):
    made = trainer("nat", "lazy", tmp_path)
    on_card.waits.clear()
    made._monitor(0)
    assert len(on_card.waits) == 4, on_card.waits
