"""Two records, written by hand, held against each other."""

import pytest
from evaluation_helpers import record
from scipy.stats import ttest_rel

from mngac import cli
from mngac.results.compare import compare, report
from mngac.results.records import RecordError
from mngac.results.rows import Row, p_values

# Bentur et al. 2009: one image right in both, one only in the first, seven only in the second, twelve in neither.
FIRST, SECOND = "1" + "1" + "0" * 7 + "0" * 12, "1" + "0" + "1" * 7 + "0" * 12
CLEAN = "1" * 21


def sides(**changes):
    first = record(CLEAN, {"apgd_ce linf": FIRST, "apgd_ce l2": CLEAN}, method="sat", **changes)
    second = record(CLEAN, {"apgd_ce linf": SECOND, "apgd_ce l2": CLEAN}, method="msd", **changes)
    return first, second


def test_two_records_by_hand_give_the_textbook_p_and_interval():
    found = {d.column: d for d in compare(*([side] for side in sides()))}
    linf = found["linf"]
    assert linf.p == pytest.approx(0.0703125)
    assert (round(linf.low, 1), round(linf.high, 1)) == (-51.7, -2.6)
    assert linf.difference == pytest.approx(-100 * 6 / 21)
    assert (linf.first, linf.second) == pytest.approx((100 * 2 / 21, 100 * 8 / 21))
    assert found["clean"].p == found["l2"].p == 1
    assert "union" not in found, "of one norm alone there is no union"


def test_it_names_the_images_by_their_index_in_the_data_set():
    first, second = sides(indices=list(range(100, 121)))
    linf = next(d for d in compare([first], [second]) if d.column == "linf")
    assert linf.only_first == [101]
    assert linf.only_second == list(range(102, 109))


SEEDS = (("11111111000", "11110000000"), ("11111100000", "11111000000"), ("11111110000", "11110000000"))
"""Three seeds of either side on the same images: 4, 1 and 3 of 11 images more for the first."""


def seeds():
    first = [record("1" * 11, {"apgd_ce linf": a}, method="sat", seed=k) for k, (a, _) in enumerate(SEEDS)]
    second = [record("1" * 11, {"apgd_ce linf": b}, method="msd", seed=k) for k, (_, b) in enumerate(SEEDS)]
    return first, second


def test_several_seeds_a_side_are_compared_by_the_paired_t():
    first, second = seeds()
    linf = next(d for d in compare(first, second[::-1]) if d.column == "linf")
    expected = ttest_rel([8 / 11, 6 / 11, 7 / 11], [4 / 11, 5 / 11, 4 / 11])
    assert linf.p == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval()
    assert (linf.low, linf.high) == pytest.approx((100 * interval.low, 100 * interval.high))
    assert linf.difference == pytest.approx(100 * 8 / 33)
    assert linf.only_first == [4, 5, 6, 7] and linf.only_second == []
    assert "paired t over 3 seeds" in report(first, second)


def test_the_tables_have_the_same_p_as_compare():
    first, second = seeds()
    for sides in ((first, second), (first[:1], second[:1])):
        union = next(d for d in compare(*sides) if d.column == "linf")
        rows = [Row("mng_ac", list(sides[1])), Row("sat", list(sides[0]))]
        for row in rows:
            row.records[:] = [record_of_three_norms(r) for r in row.records]
        assert p_values(rows, "mng_ac") == {"sat": pytest.approx(union.p)}


def record_of_three_norms(linf):
    """The same record with two norms more, under which nothing is broken, so that the union is l_inf's column."""
    more = {"apgd_ce linf": linf.attacks[0].correct, "apgd_ce l1": linf.clean, "apgd_ce l2": linf.clean}
    return record(linf.clean, more, method=linf.method, seed=linf.seed)


def test_seeds_whose_differences_are_all_alike_print_neither_interval_nor_p():
    first, second = seeds()
    same = [r.model_copy(update={"seed": k}) for k, r in enumerate([second[0], second[0]])]
    linf = next(d for d in compare([first[0], first[0].model_copy(update={"seed": 1})], same) if d.column == "linf")
    assert linf.difference == pytest.approx(100 * 4 / 11) and linf.low is linf.high is linf.p is None
    line = next(row for row in report(first[:2], first[:2]).splitlines() if row.startswith("| linf"))
    assert "+0.0 to +0.0" in line


def test_one_record_stands_for_itself_and_what_is_none_is_refused():
    first, second = sides()
    assert compare(first, second) == compare([first], [second]) == compare(first, [second])
    with pytest.raises(RecordError, match="compare: found str; allowed: records"):
        compare(first, "second.json")


@pytest.mark.parametrize("chosen", [[0], [0, 0], [0, 1, 1], [0, 3]])
def test_seeds_that_do_not_pair_are_refused(chosen):
    first, second = seeds()
    unpaired = [second[min(k, 2)].model_copy(update={"seed": k}) for k in chosen]
    with pytest.raises(RecordError, match=r"found seeds \[0, 1\] and .*; allowed: the same on both sides"):
        compare(first[:2], unpaired)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"dataset": "svhn"}, "data set"),
        ({"split": "validation"}, "split"),
        ({"suite": "aa2"}, "suite"),
        ({"indices": list(range(1, 22))}, "images"),
        ({"radii": {"linf": "0.2", "l2": "0.4"}}, "radii"),
    ],
)
def test_records_that_can_not_be_compared_are_refused(change, what):
    first, _ = sides()
    _, other = sides(**change)
    with pytest.raises(RecordError, match=f"differ in their {what}"):
        compare([first], [other])


def test_records_of_other_norms_are_refused():
    first, _ = sides()
    with pytest.raises(RecordError, match="differ in their"):
        compare([first], [record(CLEAN, {"apgd_ce linf": SECOND})])


def test_the_report_says_what_its_numbers_are_and_repeats_red_flags():
    first, second = sides(flags=["the classifier is stochastic"])
    text = report([first], [second])
    assert "score interval of a paired difference (Tango 1998). p: exact McNemar" in text
    assert "21 test images of digits" in text and "linf 0.1" in text
    assert "Red flag of A, B: the classifier is stochastic" in text
    assert "these two trained classifiers" in text
    assert "linf, only A" not in text
    assert "linf, only A: 1\n" in report([first], [second], images=True)


def test_the_command_prints_the_report(tmp_path, capsys):
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    for path, side in zip(paths, sides(), strict=True):
        path.write_text(side.to_json())
    assert cli.main(["compare", *map(str, paths)]) == 0
    assert "0.0703" in capsys.readouterr().out
    assert cli.main(["compare", "--images", *map(str, paths)]) == 0
    assert "linf, only A: 1\n" in capsys.readouterr().out
    assert cli.main(["compare", str(paths[0]), "--against", str(paths[1]), str(paths[1])]) == 2
    assert "found seeds [0] and [0, 0]" in capsys.readouterr().err
    assert cli.main(["compare", str(paths[0])]) == 2
    assert capsys.readouterr().err == "mngac: compare: found 1 records; allowed: two, or any number with --against\n"
