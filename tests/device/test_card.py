"""The cards that are not there do what a CUDA device would: refuse a mixture, and make the host wait or not."""

import pytest
import torch
from card import Card, FakeCard, MixedError, card

from mngac.streams import stream

WAITS = {
    "a number read": lambda x, mask: x.sum().item(),
    "a condition": lambda x, mask: bool(mask.any()),
    "an integer": lambda x, mask: int(mask.sum()),
    "a list": lambda x, mask: x.tolist(),
    "equality": lambda x, mask: torch.equal(x, x),
    "a copy to the host": lambda x, mask: x.cpu(),
    "a copy of host memory": lambda x, mask: torch.ones(3).to("lazy", non_blocking=True),
    "a tensor from a list": lambda x, mask: torch.tensor([1.0, 2.0], device="lazy"),
    "an index by a list": lambda x, mask: x[[0, 2]],
    "an index from the host": lambda x, mask: x[torch.arange(2)],
}
SHAPED = {
    "an index by a mask": lambda x, mask: x[mask],
    "places": lambda x, mask: mask.nonzero(),
    "a selection": lambda x, mask: x.masked_select(mask),
    "different values": lambda x, mask: x.unique(),
    "places by where": lambda x, mask: torch.where(mask),
}
FREE = {
    "a mask as numbers": lambda x, mask: torch.where(mask, x, -x),
    "a number of the host's": lambda x, mask: x + torch.tensor(0.5),
    "an index from the card": lambda x, mask: x[torch.arange(2, device=x.device)],
    "one element set": lambda x, mask: x.index_fill_(0, torch.arange(1, device=x.device), 2.0),
    "a stream of the card's": lambda x, mask: torch.rand(3, device=x.device, generator=stream(0, "a", device="lazy")),
    "a draw of the host's": lambda x, mask: int(torch.randint(5, (1,), generator=stream(0, "b"))),
    "a forward derivative": lambda x, mask: torch.func.jvp(torch.sin, (x,), (x,))[1],
    "a second derivative": lambda x, mask: torch.func.grad(lambda x: torch.func.grad(lambda x: (x**3).sum())(x).sum())(
        x
    ),
}
MIXED = {
    "a tensor of the host's": lambda x, mask: x + torch.ones(3),
    "a stream of the host's": lambda x, mask: torch.rand(3, device=x.device, generator=stream(0, "c")),
}


@pytest.fixture(params=[Card, FakeCard])
def on_card(request, monkeypatch):
    with card(request.param, monkeypatch) as watched:
        x = torch.arange(3.0, device="lazy")
        yield watched, x, x > 1


@pytest.mark.parametrize("name", WAITS)
def test_the_host_waits_for(on_card, name):
    watched, x, mask = on_card
    WAITS[name](x, mask)
    assert watched.waits and "test_card.py" in watched.waits[0]


@pytest.mark.parametrize("name", SHAPED)
def test_the_host_waits_for_a_shape_that_depends_on_numbers(monkeypatch, name):
    with card(Card, monkeypatch) as watched:
        x = torch.arange(3.0, device="lazy")
        SHAPED[name](x, x > 1)
    assert watched.waits


@pytest.mark.parametrize("name", SHAPED)
def test_a_card_without_numbers_refuses(monkeypatch, name):
    with card(FakeCard, monkeypatch):
        x = torch.arange(3.0, device="lazy")
        with pytest.raises(RuntimeError):
            SHAPED[name](x, x > 1)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch's own forward derivatives
@pytest.mark.parametrize("name", FREE)
def test_the_host_does_not_wait_for(on_card, name):
    watched, x, mask = on_card
    FREE[name](x, mask)
    assert watched.waits == []


@pytest.mark.parametrize("name", MIXED)
def test_the_card_refuses(on_card, name):
    _, x, mask = on_card
    with pytest.raises(MixedError):
        MIXED[name](x, mask)


def test_numbers_on_the_card_are_the_hosts(monkeypatch):
    def numbers(device):
        x = torch.arange(12.0, device=device).view(3, 4)
        x[1:].mul_(2)
        x.requires_grad_()
        grad = torch.autograd.grad((x.sort(1).values ** 2).sum(), x)[0]
        return [*x.detach().flatten().tolist(), *grad.flatten().tolist()]

    with card(Card, monkeypatch):
        on_the_card = numbers("lazy")
    assert on_the_card == numbers("cpu")
