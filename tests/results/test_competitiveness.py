"""Competitiveness ratios from hand-made records, worked out by hand; their intervals held to closed forms."""

import csv
import io
from math import isnan

import numpy as np
import pytest
from attack_space import HELD, SPACE, written
from scipy.stats import binom

from mngac.params.attack_spaces import AttackSpace
from mngac.results.bootstrap import RESAMPLES, interval, resampled
from mngac.results.competitiveness import attacks_of, measured, ratios, sets_of
from mngac.results.competitiveness_table import comma_separated, section
from mngac.results.printed import latex, markdown
from mngac.results.records import RecordError


@pytest.fixture
def found(tmp_path, monkeypatch):
    """Writes the records of some methods, counts a seed, and gives what is measured of them."""
    monkeypatch.chdir(tmp_path)
    return lambda *by_seed, **changes: measured(written(tmp_path, *by_seed, **changes), "digits", "lp")


def centres(found, method):
    """Mean and least ratio of a method by set of attacks."""
    standing = next(each for each in found.standings if each.method == method)
    return {key: (r.average and r.average[0], r.worst and r.worst[0], r.weakest) for key, r in standing.ratios.items()}


def test_ratios_are_those_worked_out_by_hand(found):
    sat = centres(found(HELD), "sat")
    assert sat["linf half"] == (pytest.approx(75), pytest.approx(75), "linf half")
    assert sat["linf standard"][0] == pytest.approx(60)
    assert sat["l1 half"][0] == sat["l1 standard"][0] == pytest.approx(75)
    assert sat["linf"] == (pytest.approx(67.5), pytest.approx(60), "linf standard")
    assert sat["l1"] == (pytest.approx(75), pytest.approx(75), "l1 half")
    assert sat["all"] == (pytest.approx(71.25), pytest.approx(60), "linf standard")
    nat = centres(found(HELD), "nat")
    assert nat["all"] == (pytest.approx((25 + 0 + 25 + 0) / 4), 0, "linf standard")


def test_a_specialist_reaches_just_100_on_its_own_attack_with_no_uncertainty(found):
    standings = {each.method: each.ratios for each in found(HELD).standings}
    for method, attack in (("adv_linf_half", "linf half"), ("adv_linf", "linf standard"), ("adv_l1", "l1")):
        assert standings[method][attack].average == standings[method][attack].worst == (100, 100, 100)


def test_a_method_may_surpass_the_specialist(found):
    assert centres(found(HELD | {"sat": (9, 3, 6, 3)}), "sat")["linf half"][0] == pytest.approx(112.5)


def test_with_clean_images_as_an_attack_the_definition_is_that_of_the_benchmarks_code(found):
    """There each set has the clean images' ratio, once."""
    sat = centres(found(HELD, space={**SPACE, "clean": "nat"}), "sat")
    assert sat["clean"][0] == pytest.approx(100)
    assert sat["linf"][0] == pytest.approx((100 + 75 + 60) / 3)
    assert sat["all"][0] == pytest.approx((100 + 75 + 60 + 75 + 75) / 5) and sat["all"][1] == pytest.approx(60)


def test_a_specialist_that_holds_nothing_leaves_no_ratio_and_the_table_says_so(found):
    none = found(HELD | {"adv_l1": (4, 1, 8, 0)})
    sat = centres(none, "sat")
    assert sat["l1 standard"] == sat["l1"] == sat["all"] == (None, None, "")
    assert sat["linf"][0] == pytest.approx(67.5)
    made = section(none, "lp")
    assert made.printed[3]["all: avg"] == made.printed[3]["weakest attack"] == "–"
    assert "the specialist holds no image against l_1 standard" in made.caption


def test_a_method_without_all_its_records_is_a_row_of_dashes(found):
    without = {method: counts for method, counts in HELD.items() if method != "sat"}
    made = section(found(without), "lp")
    assert set(made.printed[3].values()) == {"sat", "–"} and "–" not in made.printed[4].values()


def test_of_a_specialist_only_the_record_of_its_own_attack_is_asked_for(found, tmp_path):
    found(HELD)
    (tmp_path / "records/digits/adv_linf_half/seed0/quick-standard.json").unlink()
    made = section(found({}), "lp")
    assert "–" not in made.printed[3].values() and set(list(made.printed[0].values())[1:]) == {"–"}


def test_without_any_record_the_table_is_dashes_and_says_so(found):
    made = section(found({}), "lp")
    assert all(set(row.values()) == {row["method"], "–"} for row in made.printed)
    assert made.caption == "No record of suite quick yet."


def test_several_seeds_are_spread_each_against_its_own_specialists(found):
    second = HELD | {"sat": (4, 5, 6, 3)}
    several = found(HELD, second)
    sat = {each.method: each.ratios for each in several.standings}["sat"]
    assert sat["linf half"].average == pytest.approx((62.5, 62.5 - 12.5 * 2**0.5, 62.5 + 12.5 * 2**0.5))
    assert sat["linf"].worst[0] == pytest.approx((60 + 50) / 2)
    made = section(several, "lp")
    assert "±: standard deviation over seeds" in made.caption and "bootstrap" not in made.caption
    assert "±" in made.printed[3]["all: avg"]


def test_a_method_with_one_of_several_seeds_is_resampled_and_named(found):
    one = {method: counts for method, counts in HELD.items() if method != "nat"}
    made = section(found(HELD, one), "lp")
    assert "in brackets, of nat, with one seed" in made.caption
    assert "to" in made.printed[4]["all: avg"] and "±" in made.printed[3]["all: avg"]


def test_records_of_other_images_or_code_do_not_stand_together(found):
    with pytest.raises(RecordError, match="differ in their attack code"):
        found(HELD, sat_half={"provenance": {"code": "d" * 64}})
    with pytest.raises(RecordError, match="differ in their images"):
        found(HELD, sat_standard={"indices": list(range(1, 11))})


def test_where_no_image_is_held_the_caption_says_what_the_bootstrap_cannot(found):
    assert "Wilson's limit is 27.8 % of them" in section(found(HELD), "lp").caption
    some = {method: tuple(max(count, 1) for count in counts) for method, counts in HELD.items()}
    assert "Wilson's limit" not in section(found(some), "lp").caption


def test_the_table_says_what_it_rests_on(found):
    made = section(found(HELD), "lp")
    text, tex = markdown([made]), latex([made])
    assert "10 test images" in text and "half: l_inf 0.1" in text and "seed 0" in text and "2,000 bootstrap" in text
    assert "l_1 half: adv_l1" in made.caption
    assert list(made.printed[0])[1:5] == ["l_inf: avg", "l_inf: worst", "l_1: avg", "l_1: worst"]
    assert r"\toprule" in tex


def test_the_csv_has_each_attack_with_its_accuracy_and_exact_bounds(found):
    lines = list(csv.DictReader(io.StringIO(comma_separated([found(HELD)], "lp"))))
    assert len(lines) == len(HELD) * (4 + 2 + 1)
    sat = {line["attacks"]: line for line in lines if line["method"] == "sat"}
    assert float(sat["linf standard"]["accuracy"]) == 30 and sat["all"]["accuracy"] == ""
    assert float(sat["all"]["cr_ind_avg"]) == 71.25 and sat["all"]["weakest"] == "linf standard"
    assert float(sat["all"]["cr_ind_avg_low"]) < 71.25 < float(sat["all"]["cr_ind_avg_high"])


def test_sets_of_attacks_are_each_alone_each_norm_and_all():
    attacks = attacks_of(AttackSpace.model_validate(SPACE))
    assert sets_of(attacks) == {
        "linf half": [0], "linf standard": [1], "l1 half": [2], "l1 standard": [3],
        "linf": [0, 1], "l1": [2, 3], "all": [0, 1, 2, 3],
    }  # fmt: skip


def test_without_a_denominator_a_ratio_is_the_binomials_own_interval():
    """A specialist that holds every image leaves the share, whose resampled count is binomial, of known quantiles."""
    n, held = 400, 240
    outcomes = np.zeros((2, 1, n))
    outcomes[0, 0, :held], outcomes[1] = 1, 1
    method, specialist = np.moveaxis(resampled(outcomes, "any"), 1, 0)
    centre, low, high = interval(60.0, ratios(method, specialist)[:, 0])
    exact = [100 * binom.ppf(q, n, held / n) / n for q in (0.025, 0.975)]
    # Two percentiles of 2,000 draws: their standard errors are under half an image's share, 0.25 points, each.
    assert centre == 60 and [low, high] == pytest.approx(exact, abs=3 * 0.25)


def test_pairing_by_image_is_kept():
    """Two shares of the same images: the ratio's deviation is that of the delta method with their covariance."""
    n = 1000
    outcomes = np.zeros((2, 1, n))
    outcomes[0, 0, :500], outcomes[1, 0, :800] = 1, 1
    method, specialist = np.moveaxis(resampled(outcomes, "any"), 1, 0)
    deviation = ratios(method, specialist)[:, 0].std()
    # All that the method holds the specialist holds: the ratio is a share of the specialist's 800 images.
    assert deviation == pytest.approx(100 * (0.625 * 0.375 / 800) ** 0.5, rel=3 / (2 * RESAMPLES) ** 0.5)
    apart = 100 * 0.625 * ((1 - 0.5) / (0.5 * n) + (1 - 0.8) / (0.8 * n)) ** 0.5
    assert apart > 1.2 * deviation


def test_resamples_are_a_function_of_the_name_and_whole_counts():
    outcomes = (np.arange(30).reshape(1, 3, 10) % 3 == 0).astype(float)
    one, again, other = (resampled(outcomes, name) for name in ("a", "a", "b"))
    assert one.shape == (RESAMPLES, 1, 3)
    assert (one == again).all() and (one != other).any()
    assert (one * 10 == (one * 10).round()).all() and one.mean() == pytest.approx(outcomes.mean(), abs=0.02)


def test_an_undefined_ratio_has_no_interval():
    assert isnan(ratios(np.array([0.0]), np.array([0.0]))[0]) and isnan(ratios(np.array([0.5]), np.array([0.0]))[0])
    assert interval(float("nan"), np.array([1.0])) is None and interval(1.0, np.array([np.nan])) is None
