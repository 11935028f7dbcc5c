"""Networks as lists of layers: as many operations, weights and statistics as torch finds in the real ones."""

import pytest
import torch

from mngac.models.noise_generator import NoiseGenerator
from mngac.params.registry import find, kinds
from mngac.planning.networks import FAMILIES, network, noise_generator
from mngac.training.cost import Operations, flops_of_a_forward

DIGITS, CIFAR, TINY = (1, 8), (3, 32), (3, 64)
REAL = [
    ("wrn_10_1", DIGITS),
    ("wrn_10_2", CIFAR),
    ("wrn_16_4", (3, 15)),
    ("wrn_28_10", CIFAR),
    ("preact_resnet_18", DIGITS),
    ("preact_resnet_18_softplus", DIGITS),
    ("wrn_10_2_softplus", DIGITS),
    ("preact_resnet_18", CIFAR),
    ("resnet_50", CIFAR),
    ("resnet_50", TINY),
    ("authors_resnet", TINY),
]


def numbers(tensors):
    return sum(tensor.numel() for tensor in tensors)


@pytest.mark.parametrize(("model", "shape"), REAL)
def test_a_network_has_the_operations_weights_and_statistics_of_the_real_one(model, shape):
    (channels, size), classes = shape, 37
    real = find("models", model).load()(model, classes, channels, size).eval()
    found = network(model, classes, channels, size)
    assert 2 * found.forward == 2 * flops_of_a_forward(real, torch.rand(1, channels, size, size))
    assert found.weights == numbers(real.parameters())
    assert found.statistics == numbers(real.buffers())


@pytest.mark.parametrize("model", ["wrn_10_2", "preact_resnet_18", "resnet_50", "authors_resnet"])
def test_its_activations_are_what_the_convolutions_give_out(model):
    real, seen = find("models", model).load()(model, 10, *TINY).eval(), []
    for module in real.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda module, given, out: seen.append(out[0].numel()))
    with torch.no_grad():
        real(torch.rand(1, 3, 64, 64))
    assert network(model, 10, *TINY).activations == sum(seen)


@pytest.mark.parametrize("shape", [DIGITS, CIFAR])
@pytest.mark.parametrize("input_dependent", [True, False])
def test_so_has_the_noise_generator(shape, input_dependent):
    channels, size = shape
    real, found = NoiseGenerator(channels, input_dependent), noise_generator(channels, size, input_dependent)
    x, z = torch.rand(2, channels, size, size), torch.rand(2, channels, size + 2, size + 2)
    with Operations() as counted, torch.no_grad():
        real(x, z)
    assert 2 * found.forward == counted.total and found.weights == numbers(real.parameters())


def test_every_family_of_models_has_a_network():
    assert set(FAMILIES) == set(kinds("models"))


def test_of_ones_own_model_nothing_is_guessed(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("def build(classes, channels, size): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert network("mine:build", 10, 3, 32) is None
