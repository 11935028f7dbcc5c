"""One contract over every kind of method, and each loss against a slow, literal transcription of its formula."""

import copy
import math

import pytest
import torch
from helpers import attacks, entry, raw_params, setup
from literal import ce, js, kl, mean, posterior
from torch import nn

from mngac.methods.base import Batch, Step
from mngac.params.checks import parse
from mngac.params.registry import kinds
from mngac.params.types import number

METHODS = sorted(raw_params()["methods"])


def net(channels=1, classes=3, size=6):
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * (size - 2) ** 2, classes)
    ).train()


def batch(channels=1, n=6, size=6):
    draws = torch.Generator().manual_seed(2)
    return Batch(torch.rand(n, channels, size, size, generator=draws), torch.arange(n) % 3)


def build(name, channels=1, **changes):
    import importlib

    params = entry(name, **changes)
    method = importlib.import_module(f"mngac.methods.{params.kind}").Method(params, setup(channels))
    if params.kind != "imported":
        method.initialise(net(channels))
    return method


STEP = Step(5, 0.05, 0, "cpu")


def test_every_kind_has_an_entry_and_every_entry_a_kind():
    assert {parse(raw_params()).methods[m].kind for m in METHODS} | {"imported"} == set(kinds("methods"))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", METHODS)
def test_the_loss_is_a_finite_scalar_whose_gradient_reaches_every_weight(name, channels):
    classifier = net(channels)
    loss = build(name, channels).loss(classifier, batch(channels, n=5), STEP)
    assert loss.shape == () and loss.isfinite()
    loss.backward()
    for weight in classifier.parameters():
        assert weight.grad is not None and weight.grad.isfinite().all()
    assert classifier[-1].weight.grad.abs().sum() > 0


@pytest.mark.parametrize("name", METHODS)
def test_a_method_that_draws_a_norm_for_a_step_says_which_afterwards(name):
    m = build(name)
    m.loss(net(), batch(), STEP)
    drawn = m.drawn(STEP)
    assert (drawn is not None) == m.draws_a_norm and (drawn is None or drawn in m.config.norms)


def test_eat_says_which_norm_it_drew_though_it_would_now_draw_another():
    m = build("eat")
    first = m.draw(STEP)
    m.loss(net(), batch(), STEP)
    m.accuracy = {norm: float(norm == first) for norm in m.config.norms}
    assert m.drawn(STEP) == first != m.draw(STEP)


@pytest.mark.parametrize("name", METHODS)
def test_the_loss_is_deterministic_and_leaves_the_global_generator_alone(name):
    before = torch.random.get_rng_state()
    losses = [build(name).loss(net(), batch(), STEP) for _ in range(2)]
    assert torch.equal(*losses)
    torch.manual_seed(1)
    net()
    assert torch.equal(build(name).loss(net(), batch(), STEP), losses[0])
    torch.random.set_rng_state(before)
    m, classifier = build(name), net()
    state = torch.random.get_rng_state()
    m.loss(classifier, batch(), STEP)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("name", METHODS)
def test_only_the_passes_of_the_loss_move_batch_norm(name):
    """A method's passes are few; its attack's are many and leave num_batches_tracked where it was."""
    passes = {"natural": 1, "adversarial": 1, "trades": 2, "average": 3, "maximum": 1, "msd": 1, "mng_ac": 3, "eat": 1}
    passes["ramp"] = 3
    params = entry(name)
    expected = passes.get(params.kind, 1 if not params.beta else 2 + (params.noise == "gaussian"))
    classifier = net()
    build(name).loss(classifier, batch(), STEP)
    assert int(classifier[1].num_batches_tracked) == expected
    assert classifier.training


@pytest.mark.parametrize("name", METHODS)
def test_the_loss_falls_on_a_separable_problem(name):
    """Bright upper half against bright lower half: far apart against every radius of the test."""
    x = torch.zeros(8, 1, 6, 6)
    x[::2, :, :3] = 1
    x[1::2, :, 3:] = 1
    b = Batch(x, torch.arange(8) % 2)
    classifier, m = net(classes=2), build(name)
    optimizer = torch.optim.SGD(classifier.parameters(), lr=0.05, momentum=0.9)
    losses = []
    for number_of_step in range(40):
        loss = m.loss(classifier, b, Step(number_of_step, 0.05, 0, "cpu"))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.3 * sum(losses[:5])


@pytest.mark.parametrize("name", METHODS)
def test_state_that_is_kept_comes_back(name):
    m, classifier = build(name), net()
    m.loss(classifier, batch(), STEP)
    twin = build(name)
    twin.load_state_dict(copy.deepcopy(m.state_dict()))
    other = copy.deepcopy(classifier)
    assert torch.equal(m.loss(classifier, batch(), STEP), twin.loss(other, batch(), STEP))


# ---------------------------------------------------------------- literal transcriptions, image by image


def recorded(name, **changes):
    """The loss, and the logits of the passes that carry gradient, in order, in double precision lists."""
    classifier, passes = net(), []

    def note(module, args, out):
        if module[1].track_running_stats and torch.is_grad_enabled() and not args[0].requires_grad:
            passes.append((args[0].detach(), out.detach().double().tolist()))

    classifier.register_forward_hook(note)
    b = batch()
    loss = build(name, **changes).loss(classifier, b, STEP).item()
    return loss, passes, b.x, b.y.tolist()


def assert_equal(loss, expected):
    assert abs(loss - expected) <= 1e-6 * max(1, abs(expected))


def norm_of(delta, p):
    return delta.flatten(1).norm(p=p, dim=1)


ORDER = {"linf": math.inf, "l1": 1, "l2": 2}


def assert_attacked(x, x_adv, norm):
    radius = attacks()[norm].radius
    assert (norm_of(x_adv - x, ORDER[norm]) <= radius * 1.0001).all()
    assert (norm_of(x_adv - x, ORDER[norm]) > 0.3 * radius).all()


def test_nat_is_cross_entropy_on_clean_images():
    loss, [(seen, rows)], x, y = recorded("nat")
    assert torch.equal(seen, x)
    assert_equal(loss, mean(ce(r, k) for r, k in zip(rows, y, strict=True)))


@pytest.mark.parametrize("norm", ["linf", "l1", "l2"])
def test_adv_is_cross_entropy_on_images_attacked_in_its_norm(norm):
    loss, [(seen, rows)], x, y = recorded(f"adv_{norm}")
    assert_attacked(x, seen, norm)
    assert_equal(loss, mean(ce(r, k) for r, k in zip(rows, y, strict=True)))


@pytest.mark.parametrize("name", ["trades_linf", "rst_linf"])
def test_trades_is_cross_entropy_plus_six_times_the_divergence(name):
    loss, [(clean, rows), (adv, rows_adv)], x, y = recorded(name)
    assert torch.equal(clean, x)
    assert_attacked(x, adv, "linf")
    divergence = mean(kl(posterior(r), posterior(a)) for r, a in zip(rows, rows_adv, strict=True))
    assert_equal(loss, mean(ce(r, k) for r, k in zip(rows, y, strict=True)) + 6 * divergence)


def test_adv_avg_is_the_mean_over_norms():
    loss, passes, x, y = recorded("adv_avg")
    for (seen, _), norm in zip(passes, ("linf", "l1", "l2"), strict=True):
        assert_attacked(x, seen, norm)
    assert_equal(loss, mean(mean(ce(r, k) for r, k in zip(rows, y, strict=True)) for _, rows in passes))


def test_adv_max_takes_each_images_worst_norm():
    classifier, b, m = net(), batch(), build("adv_max")
    twin = copy.deepcopy(classifier)
    loss = m.loss(classifier, b, STEP).item()
    by_norm = []
    for norm in ("linf", "l1", "l2"):
        x_adv = m.attack(twin, b, STEP, norm, "train")
        twin[1].track_running_stats = False
        by_norm.append((x_adv, [ce(r, k) for r, k in zip(twin(x_adv).double().tolist(), b.y.tolist(), strict=True)]))
        twin[1].track_running_stats = True
    worst = [max(range(3), key=lambda i: by_norm[i][1][image]) for image in range(6)]
    assert len(set(worst)) > 1
    chosen = torch.stack([by_norm[i][0][image] for image, i in enumerate(worst)])
    rows = twin(chosen).double().tolist()
    assert_equal(loss, mean(ce(r, k) for r, k in zip(rows, b.y.tolist(), strict=True)))


def test_msd_is_cross_entropy_on_its_attack_with_the_entrys_step_sizes():
    from dataclasses import replace

    from mngac.attacks.msd import msd
    from mngac.models.frozen import frozen_statistics

    classifier, b = net(), batch()
    sizes = entry("msd").step_sizes
    balls = [replace(a, step_size=a.radius * number(sizes[n])) for n, a in attacks().items()]
    with frozen_statistics(classifier, "train"):
        x_adv = msd(classifier, b.x, b.y, balls)
    loss, [(seen, rows)], _, y = recorded("msd")
    assert torch.equal(seen, x_adv)
    assert_equal(loss, mean(ce(r, k) for r, k in zip(rows, y, strict=True)))


def test_sat_is_cross_entropy_on_one_norm_drawn_uniformly_a_batch():
    loss, [(_, rows)], _, y = recorded("sat")
    assert_equal(loss, mean(ce(r, k) for r, k in zip(rows, y, strict=True)))
    drawn = [Step(i, 0.1, 0, "cpu").draw(["linf", "l1", "l2"]) for i in range(3000)]
    for norm in ("linf", "l1", "l2"):
        assert abs(drawn.count(norm) - 1000) < 100


@pytest.mark.parametrize(("name", "views"), [("sat_ac", 2), ("sat_ac_noise", 3)])
def test_consistency_is_added_with_weight_beta(name, views):
    loss, passes, x, y = recorded(name)
    assert len(passes) == views and torch.equal(passes[0][0], x)
    rows = [p[1] for p in passes]
    consistency = mean(js([r[i] for r in rows]) for i in range(6))
    assert_equal(loss, mean(ce(r, k) for r, k in zip(rows[-1], y, strict=True)) + 12 * consistency)


@pytest.mark.parametrize("name", ["mng_ac", "mng_ac_rst_linf"])
def test_mng_ac_adds_the_generated_view(name):
    loss, passes, x, y = recorded(name)
    (clean, rows), (x_aug, rows_aug), (x_adv, rows_adv) = passes
    norm = STEP.draw(["linf", "l1", "l2"])
    assert torch.equal(clean, x)
    assert_attacked(x, x_adv, norm)
    assert (norm_of(x_aug - x, ORDER[norm]) <= attacks()[norm].radius * 1.0001).all()
    consistency = mean(js([rows[i], rows_aug[i], rows_adv[i]]) for i in range(6))
    assert_equal(loss, mean(ce(r, k) for r, k in zip(rows_adv, y, strict=True)) + 12 * consistency)


def test_sat_linf_l1_never_draws_l2():
    m = build("sat_linf_l1")
    assert {Step(i, 0.1, 0, "cpu").draw(m.config.norms) for i in range(50)} == {"linf", "l1"}
