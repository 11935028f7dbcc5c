"""Autocast casts a weight once and keeps the cast: it must never be that of a weight which has moved since."""

import pytest
import torch
from device_steps import PARAMS, TRAINED, Training, batch, classifier, method
from torch.func import functional_call
from torch.nn import functional as F

from mngac.methods.base import Step
from mngac.methods.lookahead import virtual_step
from mngac.models.frozen import frozen_statistics
from mngac.params.types import NORMS


def bfloat16(cached=True):
    """Autocast on the CPU, which casts and keeps as it does on CUDA."""
    return torch.autocast("cpu", torch.bfloat16, cache_enabled=cached)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return classifier("wrn_10_1", "cpu")


X, Y = batch(4, "cpu").x, batch(4, "cpu").y


def logits_without_a_cache(network, weights):
    """What the weights give when each is cast anew."""
    with bfloat16(cached=False), frozen_statistics(network, "train"), torch.no_grad():
        return functional_call(network, weights, (X,))


def test_autocast_keeps_casts_here_so_that_these_tests_can_fail(network):
    with bfloat16(), frozen_statistics(network, "train"):
        before = network(X)
        with torch.no_grad():
            network.fc.weight.mul_(2)
        assert torch.equal(network(X), before)
        torch.clear_autocast_cache()
        assert not torch.equal(network(X), before)


def test_weights_given_to_a_call_are_the_ones_used(network):
    with bfloat16(), frozen_statistics(network, "train"):
        network(X)
        weights = dict(network.named_parameters())
        gradients = torch.autograd.grad(F.cross_entropy(network(X), Y), list(weights.values()))
        moved = virtual_step(weights, gradients, 0.5)
        found = functional_call(network, moved, (X,))
    assert torch.equal(found, logits_without_a_cache(network, moved))
    assert not torch.equal(found, logits_without_a_cache(network, dict(network.named_parameters())))


@pytest.mark.parametrize("norm", NORMS)
def test_the_meta_step_uses_the_moved_classifier_and_then_the_moved_generator(network, norm):
    def seen(cached):
        """The meta loss of a step, the noise drawn after the generator moved, and the loss."""
        torch.manual_seed(0)
        net = classifier("wrn_10_1", "cpu")
        training = method(PARAMS.methods["mng_ac"], "cpu", norms=[norm])
        noises = []
        training.generator.register_forward_hook(lambda module, given, out: noises.append(out.detach()))
        with bfloat16(cached):
            loss = training.loss(net, batch(4, "cpu"), Step(0, 2.0, 0, "cpu"))
            meta = training.last.meta_loss
        return [meta, noises[-1], loss.detach()]

    for found, wanted in zip(seen(True), seen(False), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", TRAINED)
def test_the_next_step_starts_from_the_weights_that_the_optimizer_moved(name):
    torch.manual_seed(0)
    training = Training(method(PARAMS.methods[name], "cpu"), classifier("wrn_10_1", "cpu"), batch(4, "cpu"))
    with bfloat16():
        loss = training.method.loss(training.classifier, training.batch, Step(0, 0.1, 0, "cpu"))
    loss.backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in training.classifier.parameters())
    with bfloat16():
        training.method.watch(training.classifier)
    training.optimizer.step()
    with bfloat16(), frozen_statistics(training.classifier, "train"):
        found = training.classifier(X)
    assert torch.equal(found, logits_without_a_cache(training.classifier, dict(training.classifier.named_parameters())))
