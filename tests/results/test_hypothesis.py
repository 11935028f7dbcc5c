"""Pairs of methods from hand-made records: differences, intervals, corrections and verdicts, held to closed forms."""

import csv
import io
import json
import math
from pathlib import Path
from statistics import mean, stdev

import pytest
from attack_space import record
from helpers import raw_params
from scipy.stats import binomtest, t, ttest_rel

from mngac.figures import hypothesis as figure
from mngac.params.checks import parse
from mngac.params.errors import ParamsError
from mngac.pipeline.jobs import job
from mngac.pipeline.paths import record_path
from mngac.results.hypothesis import Difference, found, said
from mngac.results.hypothesis_table import comma_separated, section
from mngac.results.printed import latex, markdown
from mngac.results.statistics import detectable, holm

UNIONS = {"sat": [3, 5, 4, 6, 5], "mng_ac": [5, 6, 6, 8, 6], "eat": [3, 6, 4, 6, 4]}
"""Of ten images, by seed."""
PAIRS = [{"method": "mng_ac", "against": "sat"}, {"method": "eat", "against": "sat"}]


def raw_run(pairs=PAIRS, margin=None, seeds=5, **entry):
    raw = raw_params()
    raw["run"] |= {"methods": list(UNIONS), "semi_methods": [], "teachers": [], "seeds": list(range(seeds))}
    raw["run"] |= {"suites": ["quick"], "hypotheses": ["one"]}
    raw["hypotheses"] = {
        "one": {"suite": "quick", "profile": "standard", "pairs": pairs, "equivalence": margin, **entry}
    }
    return raw


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Writes the records of some unions by method and seed, and gives the run."""
    monkeypatch.chdir(tmp_path)

    def written(unions=UNIONS, missing=(), **kwargs):
        for method, counts in unions.items():
            for seed, count in enumerate(counts):
                if (method, seed) in missing:
                    continue
                content = record(method, "standard", (count, 9, 9), seed)
                names = ("dataset", "method", "seed", "suite", "profile")
                path = tmp_path / record_path({name: str(content[name]) for name in names})
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(content))
        seeds = len(next(iter(unions.values())))
        return parse(raw_run(**{"seeds": seeds, **kwargs}))

    return written


def percent(method):
    return [10.0 * count for count in UNIONS[method]]


def test_differences_are_paired_by_seed_and_their_intervals_those_of_student(run):
    first, second = found(run(), "digits", "one").pairs
    by_seed = [a - b for a, b in zip(percent("mng_ac"), percent("sat"), strict=True)]
    assert first.by_seed == pytest.approx(by_seed) and first.seeds == [0, 1, 2, 3, 4]
    union, error = first.columns["union"], stdev(by_seed) / math.sqrt(5)
    assert union.centre == pytest.approx(mean(by_seed)) and first.deviation == pytest.approx(stdev(by_seed))
    for ends, level in (((union.low, union.high), 0.95), ((union.inner_low, union.inner_high), 0.9)):
        half = t.ppf((1 + level) / 2, 4) * error
        assert ends == pytest.approx((mean(by_seed) - half, mean(by_seed) + half))
    raw = [ttest_rel(percent(method), percent("sat")).pvalue for method in ("mng_ac", "eat")]
    assert [first.p, second.p] == pytest.approx(holm(raw)) and first.p == pytest.approx(2 * raw[0])
    assert first.columns["linf"].centre == pytest.approx(mean(by_seed)) and first.columns["clean"].centre == 0


def test_seeds_that_one_side_lacks_are_left_out(run):
    first, _ = found(run(missing={("sat", 1), ("mng_ac", 4)}), "digits", "one").pairs
    assert first.seeds == [0, 2, 3] and first.by_seed == pytest.approx([20, 20, 20])


def test_of_one_seed_the_test_is_over_images(run):
    one = {method: counts[:1] for method, counts in UNIONS.items()}
    (pair,) = found(run(one, pairs=PAIRS[:1]), "digits", "one").pairs
    assert pair.p == pytest.approx(binomtest(0, 2, 0.5).pvalue) and pair.deviation is None and pair.detectable is None
    assert pair.columns["union"].inner_low > pair.columns["union"].low


def difference(centre, half):
    return Difference(centre, centre - 1.2 * half, centre + 1.2 * half, centre - half, centre + half, None)


@pytest.mark.parametrize(
    ("centre", "half", "p", "margin", "verdict"),
    [
        (2.0, 1.0, 0.01, 0.8, "higher"),
        (-2.0, 1.0, 0.01, 0.8, "lower"),
        (0.1, 0.6, 0.7, 0.8, "no difference"),
        (0.1, 0.6, 0.7, 0.7, "open"),
        (0.1, 0.6, 0.7, None, "open"),
        (-0.4, 0.3, 0.02, 0.8, "lower within the margin"),
        (0.2, 0.6, None, 0.8, "open"),
        (0.2, 0.6, 0.05, 0.8, "open"),
    ],
)
def test_a_verdict_says_a_direction_only_by_its_p_and_equality_only_by_its_interval(centre, half, p, margin, verdict):
    given = difference(centre, half)
    if centre == 0.2 and p is None:
        given = Difference(centre, None, None, None, None, None)
    assert said(given, p, margin) == verdict


def test_differences_that_are_all_alike_are_open(run):
    unions = {"sat": [3, 5], "mng_ac": [5, 7], "eat": [3, 5]}
    alike, equal = found(run(unions, margin=5.0), "digits", "one").pairs
    assert (alike.p, alike.verdict, alike.detectable) == (None, "open", None)
    assert (equal.p, equal.verdict) == (1.0, "no difference")


def test_a_p_that_is_not_known_counts_in_the_correction_of_the_others(run):
    unions = {"sat": [3, 5, 4], "mng_ac": [5, 7, 6], "eat": [3, 6, 6]}
    alike, other = found(run(unions), "digits", "one").pairs
    assert alike.p is None and other.p == pytest.approx(2 * other.columns["union"].p)


@pytest.mark.parametrize("count", [2, 5, 80])
def test_the_detectable_difference_is_found_in_four_of_five_studies(count):
    import numpy as np

    wanted = detectable(1.7, count, 0.05, 0.8)
    draws = np.random.default_rng(0).normal(wanted, 1.7, (40_000, count))
    statistic = draws.mean(1) / (draws.std(1, ddof=1) / math.sqrt(count))
    assert (np.abs(statistic) > t.ppf(0.975, count - 1)).mean() == pytest.approx(0.8, abs=0.01)


def test_the_table_and_its_lines_say_the_same(run):
    measured = found(run(margin=30.0), "digits", "one")
    printed = section(measured, "one")
    first, second = printed.printed
    assert (first["method"], first["against"], first["seeds"], first["union"]) == ("mng_ac", "sat", "5", "62.0")
    assert first["other"] == "46.0" and first["difference"].startswith("+16.00 ±5.5")
    assert first["l_1"] == "+0.0" and first["l_inf"] == "+16.0"
    assert (first["verdict"], second["verdict"]) == ("higher within the margin", "no difference")
    for said_there in ("within ±30 points", "Holm over 2 pairs", "paired t over seeds", "seeds 0, 1, 2, 3, 4"):
        assert said_there in printed.caption
    assert max(map(len, markdown([printed]).splitlines())) <= 100
    assert "| mng_ac" in markdown([printed]) and "mng\\_ac" in latex([printed])
    lines = list(csv.DictReader(io.StringIO(comma_separated([measured], "one"))))
    assert len(lines) == 2 * 5
    union = next(line for line in lines if line["column"] == "union" and line["method"] == "mng_ac")
    assert float(union["difference"]) == 16 and union["verdict"] == "higher within the margin"
    assert float(union["p_holm"]) == pytest.approx(2 * float(union["p"])) and union["n"] == "10"
    assert float(union["detectable"]) == pytest.approx(detectable(stdev([20, 10, 20, 20, 10]), 5, 0.05, 0.8), abs=1e-3)


def test_without_records_there_are_dashes(run):
    measured = found(run({method: [] for method in UNIONS}, seeds=2), "digits", "one")
    printed = section(measured, "one")
    assert {row["verdict"] for row in printed.printed} == {
        "–"
    } and printed.caption == "No seed of suite quick that both of a pair have."
    assert len(list(csv.DictReader(io.StringIO(comma_separated([measured], "one"))))) == 2


def test_the_stage_writes_both_in_every_form_and_the_same_bytes_again(run, tmp_path, monkeypatch):
    params, files = run(margin=0.8), []
    for cache in ("one", "two"):
        monkeypatch.setenv("MNGAC_CACHE", str(tmp_path / cache))
        stage = job(params, "hypothesis", hypothesis="one")
        assert stage.run() == "made"
        files.append({name: Path(path).read_bytes() for name, path in stage.outputs.items()})
    assert files[0] == files[1] and sorted(files[0]) == [
        f"hypothesis.{f}" for f in ("csv", "json", "md", "png", "svg", "tex")
    ]
    assert "within ±0.8" in files[0]["hypothesis.md"].decode()


def test_the_figure_has_a_dot_a_seed_and_the_margin(run):
    drawn = figure.draw([found(run(margin=3.0), "digits", "one")])
    (axis,) = drawn.axes
    dots = [line.get_xdata().tolist() for line in axis.lines if line.get_marker() == "o"]
    assert [sorted(each) for each in dots] == [[10, 10, 20, 20, 20], [-10, 0, 0, 0, 10]]
    (band,) = axis.patches
    assert (band.get_x(), band.get_width()) == (-3, 6)
    assert [text.get_text() for text in axis.texts] == ["higher", "open"]


@pytest.mark.parametrize(
    ("change", "said_there"),
    [
        ({"suite": "apgd"}, 'hypotheses.one.suite: found "apgd"; allowed: one of run.suites: quick'),
        ({"profile": "large_l1"}, 'hypotheses.one.profile: found "large_l1"; allowed: one of run.profiles: standard'),
        ({"pairs": []}, "hypotheses.one.pairs: found .*1 item"),
        ({"pairs": [{"method": "msd", "against": "sat"}]}, 'pairs.0.method: found "msd"; allowed: a method of the run'),
        ({"pairs": [{"method": "sat", "against": "sat"}]}, "pairs.0.against: .*; allowed: another method"),
        ({"pairs": [*PAIRS, PAIRS[0]]}, "pairs.2: .*; allowed: no pair twice"),
        ({"pairs": [*PAIRS, {"method": "sat", "against": "eat"}]}, "pairs.2: .*; allowed: no pair twice"),
        ({"equivalence": 0}, "hypotheses.one.equivalence: found 0; allowed: greater than 0"),
    ],
)
def test_what_can_not_be_tested_is_refused(change, said_there):
    with pytest.raises(ParamsError, match=said_there):
        parse(raw_run(**change))


def test_a_hypothesis_needs_all_norms():
    raw = raw_run()
    raw["evaluation"]["quick"]["attacks"] = raw["evaluation"]["quick"]["attacks"][:2]
    with pytest.raises(ParamsError, match=r"hypotheses\.one\.suite: .*; allowed: one that attacks linf, l1, l2"):
        parse(raw)


def test_a_hypothesis_that_is_not_run_may_be_about_others():
    raw = raw_run(pairs=[{"method": "msd", "against": "sat"}])
    raw["run"]["hypotheses"] = []
    assert parse(raw).hypotheses["one"].equivalence is None
