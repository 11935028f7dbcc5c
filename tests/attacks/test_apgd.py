"""Own APGD: in the ball, at the closed-form optimum, and as strong as pyautoattack's on a trained classifier."""

from pathlib import Path

import pytest
import torch
from helpers import Linear
from torch import nn
from torch.nn import functional as F

from mngac.attacks.apgd import (
    Problem,
    _checkpoints,
    apgd,
    cross_entropy,
    from_noise,
    targeted_margin,
)
from mngac.data.loaders.digits import load
from mngac.data.workspace import Workspace
from mngac.evaluation.acceptance import Target
from mngac.evaluation.apgd_until_broken import ROWS, apgd_until_broken
from mngac.evaluation.attacks import apgd_ce, apgd_t, batched_apgd_ce, batched_apgd_t
from mngac.norms import LP
from mngac.params.sections import AttackConfig, DataConfig
from mngac.pipeline.progress import Log
from mngac.results.statistics import mcnemar

RADII = {"linf": 0.15, "l1": 1.5, "l2": 0.55}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def digits():
    """A small net adversarially trained for a moment, and test digits that it has right."""
    settings = DataConfig(loader="digits", validation=0.0, unlabelled=0.0)
    raw = load(settings, Workspace("digits", Log(), Path(), Path()))
    x, y = raw.train_images.float() / 255, raw.train_labels
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for step in range(240):
        index = torch.randint(len(x), (128,), generator=generator(step))
        x_adv = apgd(
            net, x[index], y[index], ("linf", "l1", "l2")[step % 3], (0.1, 1.0, 0.4)[step % 3], 4, generator(step)
        )
        optimizer.zero_grad()
        F.cross_entropy(net(x_adv), y[index]).backward()
        optimizer.step()
    net.eval().requires_grad_(False)
    x, y = raw.test_images.float() / 255, raw.test_labels
    right = net(x).argmax(1) == y
    assert right.float().mean() > 0.8
    return net, x[right], y[right]


def settings(**keys):
    return AttackConfig(attack="any", norm="linf", steps=50, **keys)


PAIRS = {
    "cross-entropy": (apgd_ce, batched_apgd_ce, dict(restarts=3), dict(restarts=3)),
    "targeted": (apgd_t, batched_apgd_t, dict(restarts=1, targets=3), dict(targets=3)),
}


@pytest.mark.parametrize("norm", sorted(RADII))
@pytest.mark.parametrize("kind", PAIRS)
def test_apgd_is_no_weaker_than_pyautoattacks_by_an_exact_paired_test(digits, norm, kind):
    """Two attacks of one strength break other images by chance, and each processor trains another net."""
    net, x, y = digits
    theirs, ours, their_keys, our_keys = PAIRS[kind]
    target = Target(norm, RADII[norm], 10, 0, "cpu")
    held = [
        (net(attack.attack(net, x, y, target, settings(**keys))).argmax(1) == y).tolist()
        for attack, keys in ((ours, our_keys), (theirs, their_keys))
    ]
    assert 5 < 100 * sum(held[1]) / len(y) < 95
    assert sum(held[0]) <= sum(held[1]) or mcnemar(*held) > 0.001


@pytest.mark.parametrize("norm", sorted(RADII))
@pytest.mark.parametrize("starts", [0, 1, 3])
def test_apgd_stays_in_ball_and_pixel_range(digits, norm, starts):
    net, x, y = digits
    x, y = x[:40], y[:40]
    if starts:
        x_adv = apgd_until_broken(Problem(net, norm, RADII[norm], 10), x, y, y.expand(starts, -1), 0)
    else:
        x_adv = apgd(net, x, y, norm, RADII[norm], 10, generator())
    assert ((x_adv >= 0) & (x_adv <= 1)).all()
    assert (LP[norm].size(x_adv - x) <= RADII[norm] * (1 + 1e-5) + 64 * 6e-8).all()


class OneByOne(nn.Module):
    """Classifies one image at a time, so that no image's arithmetic depends on its batch."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return torch.cat([self.net(image) for image in x.split(1)])


@pytest.mark.parametrize("norm", sorted(RADII))
@pytest.mark.parametrize(("adapter", "keys"), [(batched_apgd_ce, {"restarts": 3}), (batched_apgd_t, {"targets": 3})])
def test_batch_size_order_and_company_change_nothing(digits, norm, adapter, keys):
    """Each image has random streams of its own: together, apart, and in another order the same images are broken."""
    net, x, y = digits
    net, x, y = OneByOne(net), x[:30], y[:30]
    target, entry = Target(norm, RADII[norm], 10, 0, "cpu"), settings(**keys).model_copy(update={"steps": 10})

    def broken(chosen):
        x_adv = adapter.attack(net, x[chosen], y[chosen], target, entry)
        return (net(x_adv).argmax(1) != y[chosen]).tolist()

    together = broken(torch.arange(30))
    assert 0 < sum(together) < 30
    assert [hit for part in torch.arange(30).split(7) for hit in broken(part)] == together
    assert broken(torch.arange(29, -1, -1)) == together[::-1]


def test_one_start_gives_the_same_points_in_any_company(digits):
    net, x, y = digits
    net, x, y = OneByOne(net), x[:8], y[:8]
    problem = Problem(net, "l2", RADII["l2"], 10)
    together = apgd_until_broken(problem, x, y, y[None], 0)
    apart = [apgd_until_broken(problem, x[i : i + 1], y[i : i + 1], y[None, i : i + 1], 0) for i in range(8)]
    assert torch.equal(together, torch.cat(apart))
    assert not torch.equal(together, apgd_until_broken(problem, x, y, y[None], 1))


def test_broken_images_leave_and_cost_nothing_more(digits):
    net, x, y = digits
    seen = []

    def counting(images):
        seen.append(len(images))
        return net(images)

    apgd_until_broken(Problem(counting, "linf", 0.5, 50), x, y, y.expand(4, -1), 0)
    assert seen[0] == len(x) and sum(seen) < 12 * len(x)


def test_rows_leave_down_to_a_multiple_of_sixteen_and_the_broken_among_them_stay_as_they_were(digits):
    net, x, y = digits
    net, x, y, seen = OneByOne(net), x[:40], y[:40], []

    def counting(images):
        seen.append(len(images))
        return net(images)

    def attacked(classifier, chosen):
        problem = Problem(classifier, "linf", RADII["linf"], 30)
        return apgd_until_broken(problem, x[chosen], y[chosen], y[None, chosen], 0)

    together = attacked(counting, slice(40))
    assert min(seen) < 40 and {count % ROWS for count in seen if count < 40} == {0}
    assert torch.equal(together, torch.cat([attacked(net, slice(i, i + 1)) for i in range(40)]))


def test_more_starts_never_lose_what_fewer_found(digits):
    net, x, y = digits
    held = []
    for starts in (1, 2, 5):
        x_adv = apgd_until_broken(Problem(net, "l1", RADII["l1"], 20), x, y, y.expand(starts, -1), 0)
        held.append((net(x_adv).argmax(1) == y).sum().item())
    assert held[0] >= held[1] >= held[2] and held[0] > held[2]


def test_a_targeted_start_ends_in_the_class_it_aims_at():
    """Three half planes: from the first class, a short step reaches the second, a longer one the third."""
    weight = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 0.8]])

    def classifier(x):
        return x.flatten(1) @ weight.T - torch.tensor([0.0, 0.6, 0.52])

    x, y = torch.full((1, 1, 1, 2), 0.5), torch.tensor([0])
    for aim in (1, 2):
        problem = Problem(classifier, "l2", 0.3, 20, targeted_margin)
        ascent = from_noise(problem, x, y, torch.tensor([aim]), -torch.ones_like(x))
        assert not ascent.fooled
        ascent.run()
        assert ascent.fooled and classifier(ascent.best).argmax(1).item() == aim


def test_the_losses_are_their_formulas():
    logits = torch.tensor([[1.0, 4.0, 2.0, -1.0, 0.5]], dtype=torch.float64)
    y, aim = torch.tensor([1]), torch.tensor([2])
    assert cross_entropy(logits, y, aim).item() == pytest.approx(-logits.log_softmax(1)[0, 1].item())
    assert targeted_margin(logits, y, aim).item() == 2.0 - 4.0


@pytest.mark.parametrize("norm", sorted(RADII))
def test_apgd_on_a_linear_model_reaches_the_closed_form_optimum(norm):
    """In l_1 AutoAttack's rule keeps two coordinates where one is best, which costs up to a tenth of the optimum."""
    weight = torch.randn(1, 4, 4, generator=generator(7))
    x, y = torch.full((2, 1, 4, 4), 0.5), torch.tensor([0, 1])
    moved = Linear(weight)(apgd(Linear(weight), x, y, norm, 0.2, 60, generator())) - Linear(weight)(x)
    dual = {"linf": 1, "l1": torch.inf, "l2": 2}[norm]
    best = 0.2 * weight.flatten().norm(dual)
    torch.testing.assert_close(
        -moved.gather(1, y[:, None])[:, 0].detach(), best.expand(2), rtol=0.1 if norm == "l1" else 1e-2, atol=0
    )


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_apgd_finds_a_maximum_inside_the_ball_as_its_steps_are_halved(norm):
    x, y = torch.full((4, 1, 4, 4), 0.5), torch.zeros(4, dtype=torch.int64)
    top = x + 0.05 * torch.randn(x.shape, generator=generator(3))

    def classifier(points):
        near = ((points - top) ** 2).flatten(1).sum(1)
        return torch.stack([near, torch.zeros_like(near)], 1)

    found = apgd(classifier, x, y, norm, 0.4, 100, generator())
    assert (LP[norm].size(found - top) < 0.05 * 0.4).all()


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5])
def test_few_steps_end_and_leave_one_for_the_ball_itself(digits, steps):
    net, x, y = digits
    within = []

    def watched(points):
        within.append((LP["l1"].size(points - x[:4]) <= 0.011).all().item() if len(points) == 4 else True)
        return net(points)

    apgd_until_broken(Problem(watched, "l1", 0.01, steps), x[:4], y[:4], y[None, :4], 0)
    assert within[-2:] == [True, True]


def test_in_l1_larger_balls_come_first_with_their_shares_of_the_steps(digits):
    net, x, y = digits
    x, y, distances = x[:20], y[:20], []

    def watched(points):
        if len(points) == 20:
            distances.append(LP["l1"].size(points - x).max().item() / 0.01)
        return net(points)

    apgd_until_broken(Problem(watched, "l1", 0.01, 20), x, y, y[None], 0)
    reached = [1 if d < 1.01 else 2 if d < 2.01 else 3 for d in distances]
    assert reached == [3] * 7 + [2] * 7 + [1] * 9
    assert max(distances) == pytest.approx(3, rel=1e-3)


def test_more_steps_never_lose_what_fewer_found(digits):
    net, x, y = digits
    losses = [
        F.cross_entropy(net(apgd(net, x, y, "l2", 0.55, steps, generator())), y).item() for steps in (1, 5, 20, 60)
    ]
    assert losses == sorted(losses)


@pytest.mark.parametrize("steps", [10, 50, 100])
def test_pyautoattacks_checkpoints_follow_the_number_of_steps(steps):
    from pyautoattack.autopgd_base import APGDAttack

    from mngac.evaluation.autoattack import iterations

    fresh = APGDAttack(Linear(torch.ones(1, 2, 2)), n_iter=steps, norm="Linf", eps=0.1)
    assert {name: getattr(fresh, name) for name in iterations(steps)} == iterations(steps)


def test_step_sizes_are_looked_at_where_the_paper_says():
    """p_0 = 0, p_1 = 0.22, p_{j+1} = p_j + max(p_j - p_{j-1} - 0.03, 0.06), times the steps."""
    assert sorted(_checkpoints(100))[:6] == [22, 41, 57, 70, 80, 87]
