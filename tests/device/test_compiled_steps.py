"""What torch.compile takes whole: each norm's functions, an attack's step, a classifier's step; and that it is right.

An attack's step is traced through torch.func.grad: `gradient` of mngac/attacks/pgd.py asks for a gradient to a tensor
of its own making, which the compiler does not trace. Random draws from a generator stay outside.
"""

import importlib
import inspect
import shutil
import types

import pytest
import torch
from device_steps import batch, classifier
from torch.nn import functional as F

from mngac.attacks.pgd import Attack, ascend, gradient, summed_cross_entropy
from mngac.models.frozen import frozen_statistics
from mngac.params.types import NORMS


def plain(name):
    """A module without the checks of shapes that tests put around its functions, which the compiler does not trace."""
    module = types.ModuleType(name)
    exec(inspect.getsource(importlib.import_module(name)), module.__dict__)
    return module


norms, losses = plain("mngac.norms"), plain("mngac.losses")
LP = norms.LP
RADIUS, LENGTH, TOP = 0.5, 0.1, 31


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def whole(function, backend="aot_eager"):
    """The function compiled in one graph."""
    return torch.compile(function, backend=backend, fullgraph=True)


def images(dtype=torch.float64):
    """Images, a perturbation of them, and labels."""
    given = batch(6, "cpu")
    delta = 0.1 * torch.randn(given.x.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return given.x.to(dtype), delta.to(dtype), given.y


def network(dtype=torch.float64, mode="train"):
    """A small classifier."""
    torch.manual_seed(0)
    return classifier("wrn_10_1", "cpu").to(dtype).train(mode == "train")


def image_gradient(network):
    """The gradient to images as a function that is traced whole."""
    return lambda x, y: torch.func.grad(lambda x: summed_cross_entropy(network(x), y))(x)


def step(network, lp):
    """One step of projected ascent as a function that is traced whole."""
    to_images = image_gradient(network)
    return lambda x, delta, y: lp.to_ball(x, delta + lp.ascend(to_images(x + delta, y), LENGTH, TOP), RADIUS)


FUNCTIONS = {
    "start": lambda lp, x, delta: lp.start(x, RADIUS, None).abs().clamp_max(0),
    "ascend": lambda lp, x, delta: lp.ascend(delta, LENGTH, TOP),
    "to_ball": lambda lp, x, delta: lp.to_ball(x, 100 * delta, RADIUS),
    "add_noise": lambda lp, x, delta: lp.add_noise(x, 100 * delta, RADIUS),
    "box": lambda lp, x, delta: norms.l1_box_project(x, 100 * delta, RADIUS),
}


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_norms_functions_are_taken_whole(norm, name):
    x, delta, _ = images()
    function = FUNCTIONS[name]
    found = whole(lambda x, delta: function(LP[norm], x, delta))(x, delta)
    torch.testing.assert_close(found, function(LP[norm], x, delta), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("norm", "mode"), [("linf", "train"), ("l1", "eval"), ("l2", "train")])
def test_an_attacks_step_is_taken_whole_and_is_pgds(norm, mode):
    x, delta, y = images()
    net, lp = network(), LP[norm]
    delta = lp.to_ball(x, delta, RADIUS)
    attack = Attack(norm, RADIUS, LENGTH, 1, TOP)
    with torch.no_grad(), frozen_statistics(net, mode):
        found = (x + whole(step(net, lp), "eager")(x, delta, y)).clamp(0, 1)
        wanted = ascend(net, x, y, delta, attack)
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)


LOSSES = {
    "natural, adversarial, maximum, msd, eat": lambda net, x, x_adv, x_aug, y: F.cross_entropy(net(x_adv), y),
    "average": lambda net, x, x_adv, x_aug, y: torch.stack([F.cross_entropy(net(a), y) for a in (x_adv, x_aug)]).mean(),
    "trades": lambda net, x, x_adv, x_aug, y: F.cross_entropy(logits := net(x), y) + 6 * losses.kl(logits, net(x_adv)),
    "stochastic, mng_ac": lambda net, x, x_adv, x_aug, y: consistent(net(x), net(x_aug), net(x_adv), y),
}
"""The classifier's step of each kind of method, as a function of the views that the method has made."""


def consistent(logits, logits_aug, logits_adv, y):
    """MNG-AC's loss of three posteriors."""
    return F.cross_entropy(logits_adv, y) + 12 * losses.jensen_shannon(logits, logits_adv, logits_aug)


def learned(net, loss, compiled=None):
    """The loss, gradients of the weights and running statistics after one step."""
    x, delta, y = images(next(net.parameters()).dtype)
    value = (compiled or loss)(net, x, (x + delta).clamp(0, 1), (x - delta).clamp(0, 1), y)
    value.backward()
    return [value.detach(), *(w.grad for w in net.parameters()), *(b for b in net.buffers() if b.is_floating_point())]


@pytest.mark.parametrize("kinds", LOSSES)
def test_a_classifiers_step_is_taken_whole_and_is_the_methods(kinds):
    loss = LOSSES[kinds]
    eager, traced = network(), network()
    backend = "aot_eager" if "mng_ac" in kinds else "eager"
    for found, wanted in zip(learned(traced, loss, whole(loss, backend)), learned(eager, loss), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-10)


def test_a_compiled_classifier_heeds_frozen_statistics_in_both_modes():
    net = network()
    compiled, (x, _, _) = whole(net), images()

    def statistics():
        return [b.clone() for b in net.buffers()]

    for _ in range(2):
        before = statistics()
        for mode in ("train", "eval"):
            with frozen_statistics(net, mode):
                torch.testing.assert_close(compiled(x), net(x), rtol=1e-10, atol=1e-10)
        assert all(torch.equal(a, b) for a, b in zip(statistics(), before, strict=True))
        compiled(x)
        assert not any(torch.equal(a, b) for a, b in zip(statistics(), before, strict=True))


def apart(found, wanted):
    """The largest difference, as a share of the largest number."""
    found, wanted = (torch.cat([t.detach().float().flatten() for t in given]) for given in (found, wanted))
    return ((found - wanted).abs().max() / wanted.abs().max()).item()


def far(found, wanted):
    """The length of the difference, as a share of the length."""
    return ((found - wanted).norm() / wanted.norm()).item()


needs_a_compiler = pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler: no g++ here")


@pytest.mark.slow
@needs_a_compiler
def test_compiled_steps_in_float32_are_the_eager_ones():
    x, _, y = images(torch.float32)
    net = network(torch.float32, "eval")
    with torch.no_grad():
        found = whole(image_gradient(net), "inductor")(x, y)
    assert apart([found], [gradient(net, x, y, summed_cross_entropy)]) < 1e-5
    loss, eager, traced = LOSSES["trades"], network(torch.float32), network(torch.float32)
    assert apart(learned(traced, loss, whole(loss, "inductor")), learned(eager, loss)) < 1e-5


@pytest.mark.slow
@needs_a_compiler
def test_compiled_bfloat16_is_no_farther_from_float32_than_eager_bfloat16():
    x, _, y = images(torch.float32)
    net = network(torch.float32, "eval")
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        logits = whole(net, "inductor")(x)
        found = whole(image_gradient(net), "inductor")(x, y)
        assert apart([logits], [net(x)]) < 1e-2
        eager = gradient(net, x, y, summed_cross_entropy)
    exact = gradient(net, x, y, summed_cross_entropy)
    assert far(found, exact) < 1.25 * far(eager, exact)
