"""The optimizer: torch.optim.SGD to the bit, resumed too."""

import copy

import pytest
import torch
from torch import nn

from mngac.sgd import SGD


def networks():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))
    net.register_parameter("unused", nn.Parameter(torch.ones(2)))
    return net, copy.deepcopy(net)


def descend(net, optimizer, number, step):
    optimizer.zero_grad()
    x = torch.randn(6, 5, generator=torch.Generator().manual_seed(number))
    net(x).square().sum().backward()
    step()


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
def test_steps_are_torchs_to_the_bit_and_weights_without_gradient_stay(momentum, weight_decay):
    ours, theirs = networks()
    optimizer = SGD(ours.parameters(), momentum, weight_decay)
    reference = torch.optim.SGD(theirs.parameters(), lr=0.0, momentum=momentum, weight_decay=weight_decay)
    for number, rate in enumerate((0.0, 0.1, 0.05)):
        reference.param_groups[0]["lr"] = rate
        descend(theirs, reference, number, reference.step)
        descend(ours, optimizer, number, lambda rate=rate: optimizer.step(rate))
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    assert torch.equal(ours.unused, torch.ones(2))


def test_batch_norms_and_biases_decay_only_where_that_is_said():
    ours, theirs = networks()
    optimizer = SGD(ours.parameters(), 0.9, 0.1, vectors_decay=False)
    groups = [[w for w in theirs.parameters() if (w.dim() > 1) is decays] for decays in (True, False)]
    reference = torch.optim.SGD(
        [{"params": groups[0], "weight_decay": 0.1}, {"params": groups[1], "weight_decay": 0.0}], lr=0.1, momentum=0.9
    )
    for number in range(3):
        descend(theirs, reference, number, reference.step)
        descend(ours, optimizer, number, lambda: optimizer.step(0.1))
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    everywhere, _ = networks()
    other = SGD(everywhere.parameters(), 0.9, 0.1)
    descend(everywhere, other, 0, lambda: other.step(0.1))
    descend(everywhere, other, 1, lambda: other.step(0.1))
    assert not torch.equal(everywhere[0].bias, ours[0].bias)


def test_a_resumed_optimizer_goes_on_where_it_was():
    ours, resumed = networks()
    first = SGD(ours.parameters(), 0.9, 0.01)
    descend(ours, first, 0, lambda: first.step(0.1))
    resumed.load_state_dict(ours.state_dict())
    second = SGD(resumed.parameters(), 0.9, 0.01)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for net, optimizer in ((ours, first), (resumed, second)):
        descend(net, optimizer, 1, lambda optimizer=optimizer: optimizer.step(0.1))
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), resumed.parameters(), strict=True))


def test_a_step_against_a_loss_is_the_same_and_leaves_weights_that_want_or_have_no_gradient():
    ours, theirs = networks()
    for net in (ours, theirs):
        net[0].bias.requires_grad_(False)
    one, other = (SGD(net.parameters(), 0.9, 0.01) for net in (ours, theirs))
    for number in range(3):
        x = torch.randn(6, 5, generator=torch.Generator().manual_seed(number))
        one.descend(ours(x).square().sum(), 0.1)
        descend(theirs, other, number, lambda: other.step(0.1))
    for name, weight in theirs.named_parameters():
        assert torch.equal(dict(ours.named_parameters())[name], weight)
    assert all(weight.grad is None for weight in ours.parameters())
    assert torch.equal(ours.unused, torch.ones(2)) and torch.equal(ours[0].bias, networks()[0][0].bias)
