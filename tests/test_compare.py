"""Two records, written by hand, held against each other."""

import pytest
from evaluation_helpers import record

from mngac import cli
from mngac.compare import compare, report
from mngac.records import RecordError

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
    assert found["union"].p == linf.p


def test_it_names_the_images_by_their_index_in_the_data_set():
    first, second = sides(indices=list(range(100, 121)))
    linf = next(d for d in compare([first], [second]) if d.column == "linf")
    assert linf.only_first == [101]
    assert linf.only_second == list(range(102, 109))


def test_several_records_a_side_are_bootstrapped_over_seeds_and_images():
    first, second = sides()
    found = {d.column: d for d in compare([first, first.model_copy(update={"seed": 1})], [second])}
    assert found["linf"].p is None
    assert found["linf"].low < found["linf"].difference < found["linf"].high
    assert "bootstrap over 2 and 1 seeds" in report([first, first], [second])


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
    assert "Red flag of digits/sat/seed0/apgd-standard: the classifier is stochastic" in text
    assert "linf, only A right: 1\n" in text


def test_the_command_prints_the_report(tmp_path, capsys):
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    for path, side in zip(paths, sides(), strict=True):
        path.write_text(side.to_json())
    assert cli.main(["compare", *map(str, paths)]) == 0
    assert "0.0703" in capsys.readouterr().out
    assert cli.main(["compare", str(paths[0]), "--against", str(paths[1]), str(paths[1])]) == 0
    assert "bootstrap over 1 and 2 seeds" in capsys.readouterr().out
    assert cli.main(["compare", str(paths[0])]) == 2
    assert capsys.readouterr().err == "mngac: compare: found 1 records; allowed: two, or any number with --against\n"
