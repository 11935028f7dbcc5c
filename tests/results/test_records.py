"""Records: what they refuse, and the worst cases that follow from them."""

import json
import subprocess
import sys

import pytest
from evaluation_helpers import record
from pydantic import ValidationError

from mngac.results import records
from mngac.results.records import RecordError, worst_case

COLUMNS = {"apgd_ce linf": "110.", "apgd_t linf": "10..", "apgd_ce l1": "101.", "apgd_ce l2": "111."}


def test_worst_case_union_and_clean_by_hand():
    made = record("1110", COLUMNS)
    assert made.clean_correct == [True, True, True, False]
    assert made.robust("linf") == [True, False, False, False]
    assert made.robust("l1") == [True, False, True, False]
    assert made.union() == [True, False, False, False]
    assert made.norms() == ["linf", "l1", "l2"]


def test_a_norm_that_was_not_attacked_is_no_column_and_leaves_the_union_out():
    assert record("1110", COLUMNS).columns() == ["clean", "linf", "l1", "l2", "union"]
    alone = record("1110", {"apgd_ce linf": "110."})
    assert alone.columns() == ["clean", "linf"] and alone.share("linf") == 50 and alone.union() == alone.robust("linf")
    for name in ("l1", "union", "l_inf", "avg", None):
        with pytest.raises(RecordError, match=r"column: found .*; allowed: one of clean, linf"):
            alone.share(name)
    with pytest.raises(RecordError, match='norm: found "l_1"; allowed: one attacked: linf'):
        alone.robust("l_1")


def test_a_dot_is_never_correct():
    assert worst_case("1.1", "11.") == [True, False, False]


def test_written_and_read_it_is_the_same(tmp_path):
    made = record("1110", COLUMNS)
    (tmp_path / "r.json").write_text(made.to_json())
    assert records.read(tmp_path / "r.json") == made


def test_its_keys_are_those_of_the_contract():
    content = json.loads(record("1110", COLUMNS).to_json())
    who = ["schema", "dataset", "split", "method", "seed", "suite", "profile"]
    what = ["n", "indices", "clean", "attacks", "flags", "timing", "provenance"]
    assert list(content) == who + what
    assert list(content["attacks"][0]) == ["name", "norm", "radius", "correct", "rejected", "forwards"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 2}, "schema 2; this version reads schema 1"),
        ({"surprise": 1}, "surprise: Extra inputs are not permitted"),
        ({"clean": "11.0"}, "clean: String should match"),
        ({"clean": "111"}, "clean has 3 images, n is 4"),
        ({"indices": [0]}, "indices has 1 images, n is 4"),
    ],
)
def test_a_wrong_record_is_refused_in_one_line(tmp_path, change, message):
    content = {**json.loads(record("1110", COLUMNS).to_json()), **change}
    (tmp_path / "r.json").write_text(json.dumps(content))
    with pytest.raises(RecordError, match=message) as caught:
        records.read(tmp_path / "r.json")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, r"nested too deeply; allowed"),
        ('{"schema": ' + "[" * 900 + "]" * 900 + "}", r"schema \[\[.*; this version reads schema 1"),
        ("9" * 5000, r"Exceeds the limit"),
        ("", r"no JSON, ends too early at line 1, column 1; allowed"),
        ('{"schema":\n', r"no JSON, ends too early at line 2, column 1; allowed"),
        ('{"schema": 1,\n "n" 4}', r"no JSON, wrong at line 2, column 6; allowed"),
        (b'{"suite": "\xff"}', r"no text in UTF-8, wrong at byte 11; allowed"),
    ],
    ids=["too deep", "deep", "too long", "empty", "cut", "wrong", "bytes"],
)
def test_what_is_no_record_is_refused_in_one_short_line(tmp_path, text, message):
    (tmp_path / "r.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(RecordError, match=rf"r\.json: {message}") as caught:
        records.read(tmp_path / "r.json")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_a_column_of_another_length_is_refused_whatever_its_norm():
    with pytest.raises(ValidationError, match="apgd_ce linf has 3 images"):
        record("1110", {"apgd_ce linf": "110", "apgd_ce l1": "1101"})


@pytest.mark.parametrize(
    "module", ["mngac.results.compare", "mngac.results.red_flags", "mngac.results.records", "mngac.results.statistics"]
)
def test_it_loads_without_torch(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
