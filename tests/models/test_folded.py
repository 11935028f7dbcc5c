"""The copy that attacks ask: the classifier's own logits and gradients, of fewer batch norms, or none at all."""

import copy

import pytest
import torch
from torch import nn

from mngac.models.files import Architecture
from mngac.models.folded import Fixed, folded


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


LEFT = [("wrn_10_2", 4), ("wrn_10_2_softplus", 4), ("wrn_16_1", 7), ("preact_resnet_18", 9), ("resnet_50", 0)]


@pytest.mark.parametrize(("name", "left"), LEFT)
def test_a_copy_has_fewer_norms_all_fixed_and_the_same_logits_and_gradients(name, left):
    net, x = classifier(name), images()
    before = copy.deepcopy(net.state_dict())
    copied = folded(net, x)
    assert norms(copied) == sum(isinstance(module, Fixed) for module in copied.modules()) == left < norms(net)
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

    class OfMyOwn(nn.BatchNorm2d):
        pass

    net.block1.layer[0].bn1 = OfMyOwn(16).double().eval()
    net.block1.layer[0].bn2 = nn.GroupNorm(4, 16).double().eval()
    net.block2.layer[0].bn2 = nn.BatchNorm2d(32, track_running_stats=False).double().eval()
    copied = folded(net, x)
    assert type(copied.block1.layer[0].bn1) is OfMyOwn
    assert type(copied.block1.layer[0].bn2) is nn.GroupNorm
    assert type(copied.block2.layer[0].bn2) is nn.BatchNorm2d
    assert isinstance(copied.block3.layer[0].bn2, nn.Identity)
    torch.testing.assert_close(copied(x), net(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("affine", [True, False])
def test_norms_that_no_convolution_takes_over_are_fixed_in_any_network(affine):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, affine=affine), nn.ReLU(), nn.Flatten()).double()
    net(3 * images())  # moves the running statistics
    copied = folded(net.eval(), images())
    assert isinstance(copied[1], Fixed)
    torch.testing.assert_close(copied(images()), net(images()), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradient(copied, images()), gradient(net, images()), rtol=1e-9, atol=1e-12)


def test_a_fixed_norm_keeps_the_type_of_what_it_is_given():
    """Under autocast its input is in bfloat16, and the next convolution's must be."""
    norm = Fixed(nn.BatchNorm2d(4).eval())
    for dtype in (torch.bfloat16, torch.float32):
        assert norm(torch.ones(1, 4, 2, 2, dtype=dtype)).dtype == dtype


@pytest.mark.parametrize("what", ["in train mode", "with nothing to fold", "that is no module"])
def test_there_is_no_copy_of_a_classifier(what):
    others = {
        "in train mode": classifier("wrn_10_1").train(),
        "with nothing to fold": nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.Flatten()).double().eval(),
        "that is no module": lambda x: x.flatten(1),
    }
    assert folded(others[what], images()) is None
