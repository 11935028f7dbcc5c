"""The copy that attacks ask: the classifier's own logits and gradients, of fewer batch norms, or none at all."""

import copy

import pytest
import torch
from torch import nn

from mngac.models.files import Architecture
from mngac.models.folded import folded


def classifier(name, size=32):
    """With running statistics as a training leaves them, in float64."""
    torch.manual_seed(0)
    net = Architecture(name, 10, 3, size).build().double()
    for norm in net.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 2)
            nn.init.uniform_(norm.weight, 0.5, 2)
            nn.init.normal_(norm.bias)
    return net.eval()


def images(size=32):
    return torch.rand(4, 3, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def norms(net):
    return sum(isinstance(module, nn.BatchNorm2d) for module in net.modules())


def gradient(net, x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(net(x).square().sum(), x)[0]


@pytest.mark.parametrize(
    ("name", "left"), [("wrn_10_2", 4), ("wrn_16_1", 7), ("preact_resnet_18", 9), ("resnet_50", 0)]
)
def test_a_copy_has_fewer_norms_and_the_same_logits_and_gradients(name, left):
    net, x = classifier(name), images()
    before = copy.deepcopy(net.state_dict())
    copied = folded(net, x)
    assert norms(copied) == left < norms(net)
    torch.testing.assert_close(copied(x), net(x), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(gradient(copied, x), gradient(net, x), rtol=1e-6, atol=1e-9)
    assert not any(weight.requires_grad for weight in copied.parameters())
    assert all(weight.requires_grad for weight in net.parameters())
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_a_copy_that_would_be_another_classifier_is_none():
    net, x = classifier("wrn_10_1"), images()
    net.block1.layer[0].normed = {"conv1": "bn1"}  # bn1 stands before conv1
    assert folded(net, x) is None


def test_norms_of_another_kind_stay_as_they_are():
    net, x = classifier("wrn_10_1"), images()
    net.block1.layer[0].bn2 = nn.GroupNorm(4, 16).double().eval()
    net.block2.layer[0].bn2 = nn.BatchNorm2d(32, track_running_stats=False).double().eval()
    copied = folded(net, x)
    assert isinstance(copied.block1.layer[0].bn2, nn.GroupNorm)
    assert isinstance(copied.block2.layer[0].bn2, nn.BatchNorm2d)
    assert isinstance(copied.block3.layer[0].bn2, nn.Identity)
    torch.testing.assert_close(copied(x), net(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("what", ["in train mode", "with nothing to fold", "that is no module"])
def test_there_is_no_copy_of_a_classifier(what):
    others = {
        "in train mode": classifier("wrn_10_1").train(),
        "with nothing to fold": nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten()).double().eval(),
        "that is no module": lambda x: x.flatten(1),
    }
    assert folded(others[what], images()) is None
