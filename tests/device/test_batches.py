"""Batches on a card: the host's images, and no wait for them, wherever they are kept."""

import pytest
import torch
from card import Card, card

from mngac.data.batches import Batches
from mngac.data.store import Split

IMAGES = torch.randint(256, (12, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
SPLIT = Split(IMAGES, torch.arange(12), torch.arange(12))


def batches(device, free):
    """Batches of eight, cropped and flipped: a pass ends within the second."""
    return Batches(SPLIT, 8, 0, "train", device, ("crop", "flip"), 1, free)


@pytest.fixture
def pinned(monkeypatch):
    """Memory that counts as pinned, without a CUDA device."""

    def pin_memory(tensor):
        copy = tensor.clone()
        copy.is_pinned = lambda: True
        return copy

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.Tensor, "pin_memory", pin_memory)


def test_a_batch_on_the_card_is_the_hosts(monkeypatch):
    host = [batches("cpu", None)(step) for step in range(3)]
    with card(Card, monkeypatch):
        source = batches("lazy", None)
        there = [[tensor.cpu() for tensor in source(step)] for step in range(3)]
    for (x, y), (x_there, y_there) in zip(host, there, strict=True):
        assert torch.equal(x, x_there) and torch.equal(y, y_there)


def test_images_on_the_card_wait_for_the_order_of_a_pass_alone(monkeypatch):
    with card(Card, monkeypatch) as watched:
        source, waits = batches("lazy", None), []
        for step in range(3):
            watched.waits.clear()
            source(step)
            waits.append(len(watched.waits))
    assert waits == [1, 1, 0]


@pytest.mark.filterwarnings("ignore:train. .* they stay in pinned host memory")
def test_images_that_stay_on_the_host_never_wait(monkeypatch, pinned):
    with card(Card, monkeypatch) as watched:
        with pytest.warns(UserWarning, match="pinned host memory"):
            source = batches("lazy", 100)
        for step in range(3):
            assert source(step)[0].device.type == "lazy"
        assert source.home == "cpu" and watched.waits == []
