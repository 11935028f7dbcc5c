"""A union challenged: rounds see what all before them left, and what breaks without gradients alone is told."""

import pytest
import torch
from evaluation_helpers import RADII, digits, suite, trained
from torch import nn

from mngac.evaluation import evaluate
from mngac.evaluation.challenge import challenge
from mngac.evaluation.transfer import transferred
from mngac.params.challenge import TRANSFER
from mngac.params.errors import UserError
from mngac.results.challenges import Challenge, broken_blindly, left

EVERY = ("linf", "l1", "l2")
WEAK = suite("pgd l2")
STRONG = suite(*(f"apgd_ce {norm}" for norm in EVERY))


class Masked(nn.Module):
    """The same decisions as a classifier, but its logits have the gradients of another function of the image."""

    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        logits = self.inner(x)
        return logits.detach() + 1e-3 * (x - x.detach()).flatten(1).sum(1, keepdim=True)


def test_what_does_not_stand_is_not_attacked():
    x, y = digits()
    standing = [i % 2 == 0 for i in range(40)]
    found = evaluate(trained(), x, y, STRONG, RADII, standing=standing)
    whole = evaluate(trained(), x, y, STRONG, RADII)
    assert found.clean == whole.clean
    for attack in found.attacks:
        assert set(attack.correct[1::2]) == {"."} and "1" in attack.correct[::2]
    assert 0 < sum(found.union()) < sum(whole.union())
    alone = evaluate(trained(), x, y, suite("apgd_ce linf", "pgd linf", mode="all"), RADII, standing=standing)
    assert all(mark != "1" for attack in alone.attacks for mark in attack.correct[1::2])


def test_standing_of_other_images_is_refused():
    x, y = digits()
    with pytest.raises(UserError, match=r"^standing: found 3 images; allowed: as many as are given, 40$"):
        evaluate(trained(), x, y, STRONG, RADII, standing=[True] * 3)


def test_each_round_attacks_what_all_before_it_left(tmp_path):
    x, y = digits()
    first = evaluate(trained(), x, y, WEAK, RADII)
    again = [("weak", WEAK.model_copy(update={"seed": 1})), ("strong", STRONG)]
    found = challenge(trained(), x, y, RADII, first.union(), WEAK, again, work=tmp_path)
    rounds = found.rounds
    assert [each.name for each in rounds] == list(found.seconds) == ["weak, seed 1", "strong, seed 0"]
    before = "".join("1" if each else "0" for each in first.union())
    counts = [sum(left(before, rounds[:k])) for k in range(3)]
    assert counts[0] >= counts[1] > counts[2] > 0
    for k, each in enumerate(rounds):
        for norm in {attack.norm for attack in each.attacks}:
            seen = next(a for a in each.attacks if a.norm == norm).correct
            assert [mark != "." for mark in seen] == left(before, rounds[:k])
    # Broken by both together: what is left of the second evaluation alone, of the images that the others left.
    strong = evaluate(trained(), x, y, STRONG, RADII, standing=left(before, rounds[:1]))
    assert left(before, rounds) == strong.union()
    assert found.confirmation == []
    again = challenge(trained(), x, y, RADII, first.union(), WEAK, again, work=tmp_path)
    assert again.rounds == rounds


def test_images_that_break_one_classifier_are_tried_on_another():
    x, y = digits()
    classifier = trained()
    found = evaluate(classifier, x, y, STRONG, RADII)
    kept = torch.tensor(found.clean_correct)
    moved = {"linf": x.clone()}
    with torch.enable_grad():
        z = x.clone().requires_grad_()
        nn.functional.cross_entropy(classifier(z), y).backward()
    moved["linf"] = (x + 0.1 * z.grad.sign()).clamp(0, 1)
    wrong = classifier(moved["linf"]).argmax(1) != y
    attacks, _ = transferred(classifier, x, y, RADII, found.clean_correct, {"twin": moved})
    assert [(a.name, a.norm, a.radius, a.rejected) for a in attacks] == [("twin", "linf", "0.1", 0)]
    wanted = ["." if not k else "0" if w else "1" for k, w in zip(kept.tolist(), wrong.tolist(), strict=True)]
    assert list(attacks[0].correct) == wanted and "0" in wanted


def test_an_image_outside_the_ball_breaks_nothing():
    x, y = digits()
    far = {"linf": (x + 0.11 * (torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).sign())).clamp(0, 1)}
    classifier = trained()
    attacks, _ = transferred(classifier, x, y, RADII, [True] * 40, {"twin": far})
    assert attacks[0].correct == "1" * 40
    assert attacks[0].rejected == int((classifier(far["linf"]).argmax(1) != y).sum()) > 0


def test_images_of_another_shape_are_an_error():
    x, y = digits()
    with pytest.raises(ValueError, match=r"^twin linf: found \(3, 1, 8, 8\); allowed: \(40, 1, 8, 8\)$"):
        transferred(trained(), x, y, RADII, [True] * 40, {"twin": {"linf": x[:3]}})


def twin():
    """Images that break the honest classifier, moved along its gradients."""
    x, y = digits()
    z = x.clone().requires_grad_()
    nn.functional.cross_entropy(trained()(z), y).backward()
    return {"twin": {"linf": (x + 0.1 * z.grad.sign()).clamp(0, 1)}}


def told(found):
    """How many images only attacks without gradients broke, and how many of these gradients do not find either."""
    about = {"dataset": "d", "split": "test", "method": "m", "seed": 0, "suite": "s", "profile": "p", "n": 40}
    rest = {"attack_seed": 0, "norms": list(EVERY), "standing": "1" * 40, "timing": {}, "provenance": {}}
    whole = Challenge(schema_=1, **about, **rest, rounds=found.rounds, confirmation=found.confirmation)
    return sum(broken_blindly(found.rounds, 40)), sum(whole.without_gradients)


def test_masked_gradients_are_told_by_what_breaks_without_gradients():
    """Attacks that follow gradients leave a masked classifier's images; its honest twin's images break them."""
    x, y = digits()
    masked = Masked(trained()).eval()
    found = evaluate(masked, x, y, STRONG, RADII)
    assert sum(found.union()) > sum(evaluate(trained(), x, y, STRONG, RADII).union())
    tried = challenge(masked, x, y, RADII, found.union(), STRONG, [], twin())
    broken = tried.rounds[-1].attacks[0].correct.count("0")
    blindly, kept = told(tried)
    assert tried.rounds[-1].suite == TRANSFER and blindly == broken > 0
    assert kept > broken / 2  # by rounding alone, which processors do differently, gradients may find one of them
    assert [attack.name for attack in tried.confirmation] == ["apgd_ce"] * 3


def test_an_honest_classifier_is_not_told_for_who_came_first():
    """Square and the twin's images break it before any gradients are asked; these find the same images."""
    x, y = digits()
    square = suite("square linf", batch_size=40)
    tried = challenge(trained(), x, y, RADII, [True] * 40, STRONG, [("square", square)], twin())
    blindly, masked = told(tried)
    assert blindly > 5 and masked == 0
    nobody = challenge(trained(), x, y, RADII, [True] * 40, square, [("square", square)])
    assert nobody.confirmation == [] and told(nobody)[1] == 0 < told(nobody)[0]


def test_what_a_suite_is_known_to_overstate_is_no_flag_of_a_round():
    x, y = digits(24)
    alone = evaluate(trained(), x, y, STRONG, RADII)
    assert any(flag.startswith("not re-evaluated") for flag in alone.flags)
    tried = challenge(trained(), x, y, RADII, [True] * 24, STRONG, [("strong", STRONG)])
    assert tried.rounds[0].flags == []
