"""A soup: classifiers that each go their own way, and the mixture of their weights that validation likes best."""

import copy
from itertools import product

import pytest
import torch
from helpers import attacks, entry, setup
from torch import nn
from torch.nn import functional as F

from mngac.attacks.training import attacked
from mngac.methods.base import Batch, Step
from mngac.methods.soup import Method, mixture, shares_in_steps
from mngac.models.frozen import under_attack
from mngac.sgd import SGD

RATE = 0.1


def net():
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)).train()


def batch(number):
    draws = torch.Generator().manual_seed(number)
    return Batch(torch.rand(6, 1, 6, 6, generator=draws), torch.randint(3, (6,), generator=draws))


def step(number):
    return Step(number, RATE, 0, "cpu")


def build(classifier, **given):
    method = Method(entry("soup", **given.pop("changes", {})), setup(**given))
    method.initialise(classifier)
    return method


def trained(method, classifier, steps=3):
    """The classifier after steps as the trainer takes them."""
    optimizer = SGD(classifier.parameters(), 0.9, 0.0005)
    for number in range(steps):
        loss = method.loss(classifier, batch(number), step(number))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step(RATE)
    return classifier


def alone(norm, steps=3):
    """A classifier that is trained against one norm by hand."""
    classifier = net()
    optimizer = torch.optim.SGD(classifier.parameters(), lr=RATE, momentum=0.9, weight_decay=0.0005)
    for number in range(steps):
        b = batch(number)
        with under_attack(classifier, "train"):
            x = attacked(classifier, b.x, b.y, attacks()[norm], step(number).stream(f"attack {norm}"))
        optimizer.zero_grad()
        F.cross_entropy(classifier(x), b.y).backward()
        optimizer.step()
    return classifier.state_dict()


def assert_equal(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        assert torch.allclose(ours[name].double(), value.double(), atol=1e-6), name


def test_each_norm_has_a_classifier_that_is_trained_as_if_alone():
    classifier = net()
    method = build(classifier)
    trained(method, classifier)
    assert_equal(classifier.state_dict(), alone("l1"))
    (other,) = method.networks()
    assert_equal(other.state_dict(), alone("l2"))


def test_shares_go_in_steps_add_up_to_one_and_begin_with_the_most_even():
    for count, steps in ((2, 4), (3, 4), (3, 3), (4, 2)):
        found = shares_in_steps(count, steps)
        grid = [each for each in product(range(steps + 1), repeat=count) if sum(each) == steps]
        assert sorted(found) == sorted(tuple(part / steps for part in each) for each in grid)
        assert all(sum(shares) == pytest.approx(1) for shares in found)
    assert shares_in_steps(2, 2)[0] == (0.5, 0.5) and shares_in_steps(3, 3)[0] == pytest.approx((1 / 3,) * 3)
    assert sorted(shares_in_steps(2, 1)) == [(0, 1), (1, 0)]


def test_a_mixture_is_the_mean_by_shares_of_weights_and_running_statistics():
    draws = torch.Generator().manual_seed(0)
    ingredients = [
        {"w": torch.randn(2, 3, generator=draws), "mean": torch.randn(3, generator=draws), "count": torch.tensor(k)}
        for k in (4, 7, 9)
    ]
    kept = copy.deepcopy(ingredients)
    found = mixture(ingredients, (0.25, 0.5, 0.25))
    for name in ("w", "mean"):
        rows = [each[name].double().flatten().tolist() for each in ingredients]
        expected = [0.25 * a + 0.5 * b + 0.25 * c for a, b, c in zip(*rows, strict=True)]
        assert found[name].flatten().tolist() == pytest.approx(expected, abs=1e-6)
    assert found["count"] == 9
    for before, after in zip(kept, ingredients, strict=True):
        assert all(torch.equal(before[name], after[name]) for name in before)
    whole = mixture(ingredients, (0.0, 1.0, 0.0))
    assert all(torch.equal(whole[name], ingredients[1][name]) for name in ("w", "mean"))


class Liking:
    """Stands for the union on validation images: the nearer to one classifier's weights, the better."""

    def __init__(self, liked):
        self.liked, self.asked = liked, 0

    def __call__(self, classifier, suite):
        assert suite == "quick"
        self.asked += 1
        state = classifier.state_dict()
        return -sum(float((state[name].double() - self.liked[name]).abs().sum()) for name in self.liked)


@pytest.mark.parametrize("wanted", [(0.5, 0.25, 0.25), (0.0, 0.0, 1.0), (0.75, 0.25, 0.0)])
def test_the_classifier_becomes_the_mixture_with_the_best_union_after_the_last_epoch(wanted):
    ingredients = [net().state_dict(), alone("l1"), alone("l2")]
    liking = Liking({name: value.double() for name, value in mixture(ingredients, wanted).items()})
    classifier = net()
    method = build(classifier, epochs=2, union_of=liking)
    trained(method, classifier)
    method.after_epoch(classifier, 0)
    assert liking.asked == 0 and method.diagnostics() == {}
    assert_equal(classifier.state_dict(), ingredients[1])
    method.after_epoch(classifier, 1)
    assert liking.asked == 15
    assert_equal(classifier.state_dict(), mixture(ingredients, wanted))
    assert method.diagnostics() == dict(zip(("share_start", "share_l1", "share_l2"), wanted, strict=True))


def test_of_several_with_an_equal_union_the_most_even_is_taken():
    classifier = net()
    method = build(classifier, union_of=lambda network, suite: 50.0, changes={"grid": 3})
    method.after_epoch(classifier, 0)
    assert method.diagnostics() == pytest.approx(dict.fromkeys(("share_start", "share_l1", "share_l2"), 1 / 3))


def test_the_further_classifiers_and_their_momentum_come_back():
    classifier = net()
    method = build(classifier)
    trained(method, classifier, steps=2)
    kept, weights = copy.deepcopy(method.state_dict()), copy.deepcopy(classifier.state_dict())
    fresh = net()
    resumed = build(fresh)
    resumed.load_state_dict(kept)
    fresh.load_state_dict(weights)
    losses = [m.loss(c, batch(5), step(5)) for m, c in ((method, classifier), (resumed, fresh))]
    assert torch.equal(*losses)
    for one, other in zip(method.networks(), resumed.networks(), strict=True):
        assert all(torch.equal(other.state_dict()[name], value) for name, value in one.state_dict().items())


def test_without_validation_images_nothing_is_mixed():
    classifier = net()
    with pytest.raises(ValueError, match="quick: no validation images"):
        build(classifier).after_epoch(classifier, 0)
