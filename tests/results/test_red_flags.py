"""Planted cheats are caught; an honest classifier raises no flag."""

import torch
from evaluation_helpers import RADII, digits, record, suite, trained
from torch import nn

from mngac.evaluation.flags import at_chance
from mngac.evaluation.loop import evaluate
from mngac.evaluation.probes import probe
from mngac.results import red_flags


def flags_of(classifier, *attacks: str) -> list[str]:
    x, y = digits()
    found = evaluate(classifier, x, y, suite(*(attacks or ("apgd_ce linf",))), RADII).flags
    return [flag for flag in found if not flag.startswith("not re-evaluated")]


def test_an_honest_classifier_raises_no_flag():
    assert flags_of(trained(), "apgd_ce linf", "square linf", "apgd_ce l1", "apgd_ce l2") == []


def test_rounding_the_input_is_caught_as_zero_gradients():
    inner = trained()
    found = flags_of(lambda x: inner((x * 4).round() / 4))
    assert len(found) == 2 and found[0].startswith("the gradient to the image is zero on ")
    assert found[1].startswith("the logits do not change with the image's last bits: on ")


def test_rounding_without_a_gradient_path_is_a_flag_of_the_probe():
    inner, (x, y) = trained(), digits()
    found = probe(lambda x: inner((x.detach() * 4).round() / 4).detach(), x, y)
    assert found.flags[0].startswith("the logits have no gradient to the image on ")


def test_square_beating_the_gradient_attacks_is_caught():
    inner, (x, y) = trained(), digits()
    wide = RADII.model_copy(update={"linf": 0.3})
    found = evaluate(lambda x: inner((x * 2).round() / 2), x, y, suite("apgd_ce linf", "square linf"), wide).flags
    assert any(f.startswith("square linf broke ") for f in found)


def test_noise_is_caught_as_stochastic():
    inner = trained()
    assert "the classifier is stochastic: the same images give other logits" in flags_of(
        lambda x: inner(x + 0.05 * torch.randn_like(x))
    )


def test_probabilities_are_caught():
    inner = trained()
    assert flags_of(lambda x: inner(x).softmax(1)) == ["the outputs look like probabilities, not logits"]


def test_train_mode_is_caught():
    model = trained()
    model.train()
    assert flags_of(model) == ["the classifier is in train mode"]
    assert model.training


def test_batch_statistics_behind_a_function_are_caught():
    norm = nn.Sequential(nn.BatchNorm2d(1), trained())
    assert "the logits of an image depend on the other images of its batch" in flags_of(lambda x: norm(x))


def test_a_classifier_at_chance_is_caught():
    found = flags_of(lambda x: torch.eye(10)[0] + 1e-3 * x.flatten(1)[:, :10])
    assert any("at chance level for 10 classes" in flag for flag in found)


def test_a_suite_that_overstates_is_a_flag_of_the_evaluation_itself():
    x, y = digits()
    weak = evaluate(trained(), x, y, suite("apgd_ce linf", "apgd_ce l1"), RADII).flags
    assert weak == [
        "not re-evaluated: this suite is known to overstate (no targeted attack in linf, a single start in l1)"
    ]
    assert evaluate(trained(), x, y, suite("batched_apgd_t linf", "batched_apgd_ce l1"), RADII).flags == []


def test_chance_is_told_by_wilsons_interval():
    """12 of 60 right: 11.8 to 31.8 %, above one in ten; 10 of 60: 9.3 to 28.0 %."""
    assert at_chance(12, 60, 10) == []
    assert at_chance(10, 60, 10) == ["clean accuracy is 16.7 % of 60 images: at chance level for 10 classes"]
    assert at_chance(30, 60, 2) != [] and at_chance(40, 60, 2) == []


def test_pgd_more_than_two_points_above_apgd_is_a_flag():
    clean = "1" * 100
    apgd = record(clean, {"apgd_ce linf": "1" * 50 + "0" * 50, "apgd_ce l1": "1" * 50 + "0" * 50}, suite="apgd")
    pgd = record(clean, {"pgd linf": "1" * 52 + "0" * 48, "pgd_l1 l1": "1" * 53 + "0" * 47}, suite="pgd")
    assert red_flags.across([pgd, apgd]) == ["pgd is 3.0 points above APGD on l1: no number may rest on it"]


def test_records_of_other_classifiers_or_images_are_not_held_against_each_other():
    clean = "1" * 100
    apgd = record(clean, {"apgd_ce linf": "0" * 100})
    for change in ({"method": "msd"}, {"seed": 1}, {"indices": list(range(100, 200))}, {"split": "validation"}):
        assert red_flags.across([record(clean, {"pgd linf": clean}, suite="pgd", **change), apgd]) == []


def test_a_larger_radius_with_a_higher_accuracy_is_a_flag():
    small = record("1111", {"apgd_ce linf": "1000"})
    large = record("1111", {"apgd_ce linf": "1100"}, profile="wide", radii={"linf": "1/5"})
    assert red_flags.across([small, large]) == ["apgd linf: radius 1/5 leaves 25.0 points more than 0.1"]
    honest = record("1111", {"apgd_ce linf": "1000"}, profile="wide", radii={"linf": "1/5"})
    assert red_flags.across([small, honest]) == []


def test_more_steps_with_a_higher_accuracy_is_a_flag_even_within_one_record():
    entries = [{"attack": "apgd_ce", "norm": "linf", "steps": s, "restarts": 1} for s in (100, 10)]
    one = record("1111", {"apgd_ce linf": "1110", "apgd_ce_2 linf": "1000"}, entries=entries)
    assert red_flags.across([one]) == ["apgd_ce linf: 100 steps leave 50.0 points more than 10"]
    apart = [record("1111", {"apgd_ce linf": c}, entries=[e]) for c, e in zip(("1110", "1000"), entries, strict=True)]
    assert len(red_flags.across(apart)) == 1


def test_columns_of_survivors_alone_say_nothing_about_steps():
    entries = [{"attack": "apgd_ce", "norm": "linf", "steps": s, "restarts": 1} for s in (10, 100)]
    one = record("1111", {"apgd_ce linf": "1000", "apgd_ce_2 linf": "1..."}, entries=entries)
    assert red_flags.across([one]) == []
