"""Records of unforeseen attacks and their table, from records written by hand."""

import csv
import io
import json
from pathlib import Path

import pytest
from evaluation_helpers import record as suite_record
from helpers import small

from mngac.params.checks import parse
from mngac.pipeline.paths import record_path, unforeseen_path
from mngac.results import printed, unforeseen
from mngac.results.intervals import wilson
from mngac.results.printed import latex, markdown
from mngac.results.records import RecordError
from mngac.results.unforeseen_table import as_printed, comma_separated, parts

CORRUPTED = {"fog 1": "1111", "fog 2": "1101", "snow 1": "1011", "snow 2": "0001"}


def attack(name="l0", budget="3 pixels", **columns):
    severities = unforeseen.by_severity(columns)
    return {
        "name": name, "attack": name, "budget": budget, "columns": columns, "severities": severities, "rejected": 1,
        "forwards": 10,
    }  # fmt: skip


def record(method="sat", clean="1111111100", column="11110000..", **changes):
    content = {
        "schema": 1, "dataset": "digits", "split": "test", "method": method, "seed": 0, "unforeseen": "digits",
        "profile": "standard", "n": len(clean), "indices": list(range(len(clean))), "clean": clean,
        "attacks": [attack(**{"worst case": column}), attack("corruptions", "2 corruptions, mean", **CORRUPTED)],
        "flags": [], "timing": {}, "provenance": {"code": "c", "commit": "abc", "params": {}},
    }  # fmt: skip
    return {**content, **changes}


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes records where the run would look for them; gives the parameters."""
    monkeypatch.chdir(tmp_path)

    def write(*contents, **run):
        for content in contents:
            keys = ("dataset", "method", "seed", "unforeseen", "profile")
            path = Path(unforeseen_path({key: str(content[key]) for key in keys}))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content))
        return parse(small(methods=("nat", "sat"), unforeseen=["digits"], **run))

    return write


def cells(params):
    (part,) = parts(params, "digits")
    table = as_printed(part, "digits", "apgd")
    return {row["method"]: row for row in table.printed}, table


def half(successes, n):
    low, high = wilson(successes, n)
    return 50 * (high - low)


def test_each_number_is_a_share_of_all_images_with_its_interval(written):
    rows, _ = cells(written(record()))
    assert rows["sat"] == {
        "method": "sat",
        "clean": f"80.0 ±{half(8, 10):.1f}",
        "l0: 3 pixels": f"40.0 ±{half(4, 10):.1f}",
        "corruptions: 2 corruptions, mean": "68.8 ±23.5",
        "beside them: union, apgd": "–",
    }
    assert set(rows["nat"].values()) == {"nat", "–"}, "no record: dashes, no zeros"


def test_the_interval_of_the_mean_by_hand():
    """Images have 3, 2, 2 and 4 of 4 columns right: mean 68.75 %, standard deviation of 0.75, 0.5, 0.5, 1."""
    one = unforeseen.UnforeseenAttackRecord.model_validate(attack("corruptions", **CORRUPTED))
    low, high = one.interval
    assert one.share == pytest.approx(68.75) and one.severities == {"1": 87.5, "2": 50.0}
    assert low == pytest.approx(68.75 - 1.959964 * 100 * 0.2393568 / 2, abs=1e-3)
    assert high == pytest.approx(68.75 + 1.959964 * 100 * 0.2393568 / 2, abs=1e-3)


def test_over_several_seeds_the_deviation_stands(written):
    other = record(seed=1, column="11000000..")
    rows, table = cells(written(record(), other, seeds=[0, 1]))
    assert rows["sat"]["l0: 3 pixels"] == "30.0 ±14.1", "40 and 20 %"
    assert "standard deviation over seeds" in table.caption and "Seeds 0, 1" in table.caption


def test_the_union_of_the_first_suite_stands_beside_them_and_has_none_of_them(written):
    params = written(record())
    columns = {"apgd_ce linf": "1100000000", "apgd_ce l1": "1110000000", "apgd_ce l2": "1111000000"}
    of_suite = suite_record("1111111100", columns)
    who = {"dataset": "digits", "method": "sat", "seed": "0", "suite": "apgd", "profile": "standard"}
    path = Path(record_path(who))
    path.parent.mkdir(parents=True)
    path.write_text(of_suite.to_json())
    before, table = cells(params)
    assert before["sat"]["beside them: union, apgd"] == f"20.0 ±{half(2, 10):.1f}"
    assert "none of them is a part of union" in table.caption and "over 10 test images" in table.caption
    written(record(column="00000000.."))
    after, _ = cells(params)
    assert after["sat"]["beside them: union, apgd"] == before["sat"]["beside them: union, apgd"]
    assert after["sat"]["l0: 3 pixels"].startswith("0.0")


def test_what_was_not_measured_is_a_dash(written):
    nothing = record(attacks=[attack(**{"worst case": "1111000011"}), attack("corruptions", "2 corruptions, mean")])
    rows, table = cells(written(nothing))
    assert rows["sat"]["corruptions: 2 corruptions, mean"] == "–"
    assert "clean passes" not in table.caption


def test_the_caption_says_what_a_mean_is_and_what_was_rejected(written):
    _, table = cells(written(record()))
    assert "corruptions: mean over 4 sets" in table.caption and "no worst case" in table.caption
    assert "2 outputs of attacks were misclassified but not valid" in table.caption
    assert "Seed 0. Commit abc" in table.caption and "on 10 test images" in table.caption


def test_red_flags_stand_in_the_caption_with_the_rows_that_they_concern(written, tmp_path):
    doubtful = ["the classifier is stochastic: the same images give other logits", "some logits are not finite"]
    params = written(record(flags=doubtful), record("nat", flags=doubtful[1:]))
    _, table = cells(params)
    assert table.flags == [f"{doubtful[1]} [all rows]", f"{doubtful[0]} [sat]"]
    assert table.caption.endswith(f" Red flags: {'; '.join(table.flags)}.")
    _, without = cells(written(record(), record("nat")))
    assert without.flags == [] and "Red flags" not in without.caption


def test_the_json_form_carries_flags_and_is_read_without_them_too(written, tmp_path):
    _, table = cells(written(record(flags=["some logits are not finite"])))
    outputs = {f"t.{form}": str(tmp_path / f"t.{form}") for form in ("md", "csv", "tex", "json")}
    printed.write(outputs, "t", [table], "")
    assert printed.read(outputs["t.json"]) == [table] and table.flags
    (content,) = json.loads(Path(outputs["t.json"]).read_text())
    del content["flags"]
    Path(outputs["t.json"]).write_text(json.dumps([content]))
    assert printed.read(outputs["t.json"])[0].flags == []


def test_the_three_forms_say_the_same(written):
    params = written(record())
    made = parts(params, "digits")
    tables = [as_printed(part, "digits", "apgd") for part in made]
    assert "| sat" in markdown(tables) and "40.0" in markdown(tables)
    assert "40.0" in latex(tables) and "$\\pm$" in latex(tables)
    lines = {line["column"]: line for line in csv.DictReader(io.StringIO(comma_separated(made, "digits")))}
    assert set(lines) == {"clean", "l0", "corruptions", "corruptions, severity 1", "corruptions, severity 2"}
    assert (float(lines["l0"]["share"]), lines["l0"]["n"], lines["l0"]["seeds"]) == (40.0, "10", "1")
    assert float(lines["corruptions, severity 2"]["share"]) == 50.0 and lines["corruptions"]["n"] == "4"


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"indices": list(range(1, 11))}, "images"),
        ({"attacks": [attack(budget="4 pixels", **{"worst case": "1111000011"})]}, "attacks"),
        ({"provenance": {"code": "c", "params": {"unforeseen": {"seed": 3}}}}, "parameters"),
        ({"provenance": {"code": "d", "params": {}}}, "attack code"),
    ],
)
def test_records_of_other_measurements_do_not_share_a_table(written, changes, what):
    params = written(record(), record("nat", **changes))
    with pytest.raises(RecordError, match=f"differ in their {what}"):
        parts(params, "digits")


def test_other_code_may_share_it_where_the_run_says_so(written):
    params = written(record(), record("nat", provenance={"code": "d", "params": {}}), mixed=True)
    assert len(cells(params)[0]) == 2


def test_a_record_at_anothers_path_is_refused(written):
    params = written(record())
    path = Path("unforeseen/digits/nat/seed0/digits-standard.json")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(record()))
    with pytest.raises(RecordError, match="found the record of digits/sat/seed0"):
        parts(params, "digits")


WRONG = [
    ({"schema": 2}, "schema 2"),
    ({"schema": None}, "schema"),
    ({"more": 1}, "more"),
    ({"clean": "1111", "n": 10, "indices": list(range(10))}, "clean has 4 images, n is 10"),
    ({"clean": "11111111x0"}, "clean"),
    ({"attacks": [attack(**{"worst case": "111"})]}, "l0 has 3 images, n is 10"),
    ({"attacks": [attack(**{"worst case": "1" * 10})] * 2}, "two attacks have one name"),
    ({"attacks": [attack("c", **{"fog 1": "111", "fog 2": "11"})]}, "columns of different length"),
    ({"attacks": [{**attack("c", **CORRUPTED), "severities": {"1": 99.0}}]}, "severities that are not"),
]


@pytest.mark.parametrize(("changes", "words"), WRONG, ids=[words for _, words in WRONG])
def test_a_wrong_record_is_refused_in_one_line(tmp_path, changes, words):
    path = tmp_path / "r.json"
    path.write_text(json.dumps(record(**changes)))
    with pytest.raises(RecordError) as refused:
        unforeseen.read(path)
    assert words in str(refused.value) and "\n" not in str(refused.value)
    path.write_text(json.dumps(record()))
    assert json.loads(unforeseen.read(path).to_json()) == record()
