"""Second derivatives written down, against torch's own in float64; and what is left to torch."""

import itertools

import pytest
import torch
from torch import nn

from mngac.models.frozen import frozen_statistics
from mngac.models.second_order import BatchNorm, Convolution, MixedProducts
from mngac.params.registry import find


def draws(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def mixed(network, x, toward, products=None):
    """grad_x <grad_weights loss, toward>: by torch, or in the given mode."""
    x = x.clone().requires_grad_()
    with products or torch.enable_grad():
        loss = network(x).sin().sum()
    gradients = torch.autograd.grad(loss, list(network.parameters()), create_graph=True)
    if products:
        return products.gradient(gradients, toward, x)
    return torch.autograd.grad(gradients, x, toward)[0]


def same_as_torch(network, x, within=1e-12):
    network = network.double()
    toward = [draws(*w.shape, seed=i) for i, w in enumerate(network.parameters())]
    expected, found = mixed(network, x, toward), mixed(network, x, toward, MixedProducts())
    assert expected.abs().max() > 0
    torch.testing.assert_close(found, expected, rtol=0, atol=within * expected.abs().max().item())


GEOMETRY = list(itertools.product((1, 2, (1, 2)), (0, 1, (2, 1)), (1, 2), (1, 2)))


@pytest.mark.parametrize(("stride", "padding", "dilation", "groups"), GEOMETRY)
def test_a_convolution_of_any_geometry(stride, padding, dilation, groups):
    torch.manual_seed(0)
    kind = dict(stride=stride, padding=padding, dilation=dilation, groups=groups, bias=False)
    network = nn.Sequential(nn.Conv2d(4, 6, 3, **kind), nn.Tanh(), nn.Conv2d(6, 2, 1, bias=False))
    same_as_torch(network, draws(3, 4, 9, 8))


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_batch_norm_after_batch_norm(memory):
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.BatchNorm2d(3, track_running_stats=False), nn.Tanh(), nn.BatchNorm2d(3, track_running_stats=False)
    )
    for weight in network.parameters():
        nn.init.normal_(weight)
    same_as_torch(network, (3 + 2 * draws(4, 3, 5, 6)).contiguous(memory_format=memory))


@pytest.mark.parametrize("name", ["wrn_10_2", "wrn_10_1_softplus", "preact_resnet_18", "resnet_50"])
def test_whole_models(name):
    torch.manual_seed(0)
    network = find("models", name).load()(name, 4, 3, 16)
    with frozen_statistics(network, "train"):
        same_as_torch(network, draws(4, 3, 16, 16).abs(), within=1e-9)


def test_what_is_not_written_down_is_torchs_own():
    """A bias, padding in words, running statistics, a linear layer: differentiated twice by torch, as before."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding="same", bias=False),
        nn.BatchNorm2d(3),
        nn.Tanh(),
        nn.Conv2d(3, 3, 3),
        nn.BatchNorm2d(3, affine=False, track_running_stats=False),
        nn.Flatten(),
        nn.Linear(3 * 16, 4),
    ).eval()
    same_as_torch(network, draws(4, 2, 6, 6))


def test_a_model_really_goes_through_them(monkeypatch):
    used = []
    for function in (Convolution, BatchNorm):
        monkeypatch.setattr(
            function, "apply", lambda *args, f=function, apply=function.apply: used.append(f) or apply(*args)
        )
    network = nn.Sequential(nn.Conv2d(2, 3, 3, bias=False), nn.BatchNorm2d(3, track_running_stats=False))
    with MixedProducts():
        network(torch.rand(2, 2, 5, 5))
    assert used == [Convolution, BatchNorm]
    network(torch.rand(2, 2, 5, 5))
    assert len(used) == 2


def test_in_bfloat16_the_product_is_the_float32_one_to_its_rounding():
    torch.manual_seed(0)
    network = find("models", "wrn_10_1").load()("wrn_10_1", 4, 3, 8)
    x = torch.rand(16, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    toward = [draws(*w.shape, seed=i).float() for i, w in enumerate(network.parameters())]
    with frozen_statistics(network, "train"):
        exact = mixed(network, x, toward, MixedProducts())
        with torch.autocast("cpu", torch.bfloat16):
            torchs, ours = mixed(network, x, toward), mixed(network, x, toward, MixedProducts())
    assert ours.dtype == torch.float32
    error = [(found - exact).norm() / exact.norm() for found in (torchs, ours)]
    assert error[1] < 1.5 * error[0] and error[1] < 0.3


def test_weights_get_first_derivatives_only():
    torch.manual_seed(0)
    network = nn.Conv2d(1, 1, 3, bias=False)
    x = torch.rand(1, 1, 4, 4, requires_grad=True)
    with MixedProducts() as products:
        loss = network(x).square().sum()
    (gradient,) = torch.autograd.grad(loss, network.weight, create_graph=True)
    torch.testing.assert_close(gradient, torch.autograd.grad(network(x).square().sum(), network.weight)[0])
    products.gradient([gradient], [torch.ones_like(gradient)], x)
    assert network.weight.grad is None
