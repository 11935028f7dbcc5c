"""How tight a bound is: what rounds left, the fall of each, the limit for one more seed, the table and its figure."""

import csv
import io
import json

import matplotlib.pyplot as plt
import pytest

from mngac.figures.tightness import draw
from mngac.params.errors import UserError
from mngac.results import tightness, tightness_table
from mngac.results.challenges import Challenge, read
from mngac.results.tightness import Row

ATTACK = {"radius": "0.1", "rejected": 0, "forwards": 1}


def attack(name, column):
    return {**ATTACK, "name": name.split()[0], "norm": name.split()[1], "correct": column}


def challenge(standing, *rounds, confirmation=(), **changes):
    """Rounds (suite, attack seed, columns by attack and norm, who is blind) after a record of quick."""
    made = [
        {
            "suite": suite,
            "attack_seed": seed,
            "attacks": [attack(name, column) for name, column in columns.items()],
            "blind": [name.split()[0] in blind for name in columns],
            "flags": [],
        }
        for suite, seed, columns, blind in rounds
    ]
    who = {"dataset": "digits", "split": "test", "method": "sat", "seed": 0, "suite": "quick", "profile": "standard"}
    rest = {
        "schema": 1,
        "norms": ["linf", "l1", "l2"],
        "n": len(standing),
        "attack_seed": 0,
        "timing": {},
        "provenance": {"commit": "c0"},
    }
    checked = [attack(name, column) for name, column in confirmation]
    found = {"standing": standing, "rounds": made, "confirmation": checked}
    return Challenge.model_validate({**who, **rest, **found, **changes})


BLIND = ("square", "nat", "mng_ac")
ROUNDS = (
    ("quick", 1, {"apgd linf": "11110.....", "apgd l1": "111111...."}, BLIND),
    ("quick", 2, {"apgd linf": "1111......", "apgd l1": "1111......"}, BLIND),
    ("autoattack", 0, {"fab linf": "1111......", "square linf": "1110......"}, BLIND),
    ("transfer", 0, {"nat linf": "011.......", "mng_ac linf": "010......."}, BLIND),
)
# Square broke the fourth image, other rows' the first and the third: gradients find the third one, too.
SAT = challenge("1111100000", *ROUNDS, confirmation=[("apgd linf", "1.01......"), ("fab linf", "1..1......")])


def test_what_is_left_by_hand():
    left = [sum(SAT.after(rounds)) for rounds in range(5)]
    assert left == [5, 4, 4, 3, 1]
    assert SAT.after(4) == [False, True] + [False] * 8


def test_each_round_has_its_fall():
    found = [(s.name, s.before, s.after, s.fall, s.share) for s in tightness.steps(SAT)]
    assert found == [
        ("quick, seed 1", 5, 4, 10, 40),
        ("quick, seed 2", 4, 4, 0, 40),
        ("autoattack, seed 0", 4, 3, 10, 30),
        ("transfer", 3, 1, 20, 10),
    ]
    assert [s.name for s in tightness.of_seeds(SAT)] == ["quick, seed 1", "quick, seed 2"]


def test_images_that_gradients_find_too_are_no_sign_of_masked_ones():
    assert SAT.without_gradients == [True, False, False, True] + [False] * 6
    assert tightness.flags_of(SAT) == ["2 images broken without gradients only: a sign of masked gradients"]
    assert challenge("1111100000", *ROUNDS).without_gradients == [False] * 10  # nobody asked gradients about them
    together = ("autoattack", 0, {"fab linf": "0111......", "square l1": "0111......"}, BLIND)
    assert (
        challenge("1111000000", together, confirmation=[("apgd linf", "1.........")]).without_gradients == [False] * 10
    )


@pytest.mark.parametrize(("before", "after", "n"), [(400, 400, 1000), (400, 397, 1000), (50, 49, 100), (3, 0, 10)])
def test_the_limit_for_one_more_seed_is_the_exact_one(before, after, n):
    from scipy.stats import binom

    step = tightness.Step("quick, seed 4", before, after, n)
    limit = tightness.one_more(step)
    if not after:
        assert limit == 0
        return
    probability = limit * n / 100 / after
    assert binom.cdf(before - after, before, probability) == pytest.approx(0.05, abs=1e-9)
    assert limit >= step.fall * after / before


def test_the_limit_holds_where_seeds_break_at_random():
    """Images with probabilities of their own: what a further seed breaks on average lies below the limit, mostly."""
    import numpy as np

    draw = np.random.default_rng(0)
    held = []
    for hardness in draw.beta(0.3, 6, size=(400, 300)):
        seeds = draw.random((4, 300)) < hardness  # who breaks which image
        before, after = ~seeds[:3].any(0), ~seeds.any(0)
        step = tightness.Step("quick, seed 3", int(before.sum()), int(after.sum()), 300)
        held.append(100 * hardness[after].sum() / 300 <= tightness.one_more(step))
    assert sum(held) >= 0.95 * len(held)


def test_the_curve_is_the_mean_over_training_seeds():
    other = challenge("1" * 10, *[(s, k, {"apgd linf": "1" * 10}, BLIND) for s, k, _, _ in ROUNDS], seed=1)
    assert Row("sat", [SAT, other]).curve() == [75, 70, 70, 65, 55]
    assert Row("sat", []).curve() == [] and Row("sat", []).one_more() is None
    alone = challenge("1111100000", ROUNDS[-1])
    assert Row("sat", [alone]).one_more() is None


def test_the_table_says_what_was_left_and_what_is_doubtful():
    section = tightness_table.sections({"digits": [Row("sat", [SAT]), Row("nat", [])]}, "quick", "standard")[0]
    first = section.printed[0]
    assert list(first) == [
        *("method", "union", "3 seeds", "+ autoattack", "+ transfer", "left", "fell by", "one more seed"),
        "without gradients",
    ]
    assert [first[key] for key in ("3 seeds", "+ autoattack", "+ transfer", "fell by", "without gradients")] == [
        "40.0",
        "30.0",
        "10.0",
        "40.0",
        "2",
    ]
    assert first["union"].startswith("50.0 ±") and section.printed[1] == {**dict.fromkeys(first, "–"), "method": "nat"}
    assert "10 test images; training seed 0" in section.caption
    assert "By transfer alone: mng_ac broke 2 of sat, nat broke 1 of sat." in section.caption
    assert "2 images broken without gradients only: a sign of masked gradients [all rows]" in section.caption
    assert section.flags == ["2 images broken without gradients only: a sign of masked gradients [all rows]"]


def test_the_table_has_a_line_a_round():
    text = tightness_table.comma_separated({"digits": [Row("sat", [SAT])]}, "quick", "standard")
    lines = list(csv.DictReader(io.StringIO(text)))
    assert [(line["round"], line["left"], line["without_gradients"]) for line in lines] == [
        ("0", "5", ""),
        ("1", "4", ""),
        ("2", "4", ""),
        ("3", "3", ""),
        ("4", "1", "2"),
    ]


def test_the_figure_draws_each_method_and_says_what_is_missing():
    figure = draw({"digits": [Row("sat", [SAT]), Row("nat", [])], "svhn": [Row("sat", [])]}, "mng_ac", "quick")
    drawn, missing = figure.axes
    assert list(drawn.lines[0].get_ydata()) == [50, 40, 40, 30, 10]
    assert any("sat  50.0 → 10.0" in text.get_text() for text in drawn.texts)
    assert "no union of quick was challenged" in " ".join(missing.texts[0].get_text().split())
    plt.close(figure)


def test_a_file_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "c.json"
    path.write_text(SAT.to_json())
    assert read(path) == SAT


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"schema": 2}, "schema 2; this version reads schema 1; challenge it anew"),
        ({"n": 11}, "a column that has not 11 images"),
        ({"extra": 1}, "extra: Extra inputs are not permitted"),
        ({"standing": "2"}, "standing: "),
    ],
)
def test_another_file_is_refused_in_one_line(tmp_path, change, line):
    path = tmp_path / "c.json"
    path.write_text(json.dumps({**json.loads(SAT.to_json()), **change}))
    with pytest.raises(UserError) as refused:
        read(path)
    assert line in str(refused.value) and "\n" not in str(refused.value)
