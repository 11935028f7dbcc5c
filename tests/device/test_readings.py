"""A stated clean accuracy on a card: other readings of the images stay on the side where the classifier lies."""

import pytest
import torch
from card import Card, card
from torch import nn

from mngac.exchange.readings import stated_clean, usual_of
from mngac.models.normalised import Normalised


def flags(device, normalised):
    """Of a net of which 99.9 % are stated, with random images and labels."""
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (20, 3, 4, 4), dtype=torch.uint8, generator=draw)
    labels = torch.randint(0, 10, (20,), generator=draw)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(48, 10)).eval()
    given = Normalised(net, [0.5], [0.25]) if normalised else net
    return stated_clean(given if device == "cpu" else given.to(device), images, labels, 99.9, usual_of(images))


@pytest.mark.parametrize("normalised", [False, True])
def test_other_readings_are_tried_on_the_card_as_on_the_host(normalised, monkeypatch):
    with card(Card, monkeypatch):
        found = flags("lazy", normalised)
    assert found == flags("cpu", normalised)
    assert len(found) == 1
