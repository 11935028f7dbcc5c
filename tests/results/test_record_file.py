"""One reader for all files of a record's form: what is wrong with any of them is said in one line."""

import json

import pytest

from mngac.results import certificates, records, unforeseen
from mngac.results.json_file import RecordError

WHO = {"schema": 1, "dataset": "digits", "split": "test", "method": "sat", "seed": 0, "profile": "standard"}
WHAT = {"n": 2, "indices": [0, 1], "clean": "11", "flags": [], "timing": {}, "provenance": {"params": {}}}
ATTACK = {"name": "apgd_ce", "norm": "linf", "radius": "0.1", "correct": "10", "rejected": 0, "forwards": 4}
BALL = {"norm": "linf", "factor": "1/2", "radius": "0.1", "certified": "10", "attacks": [ATTACK]}
BOUNDS = {"bounds": "crown", "slack": 1e-3, "rounding": 1e-6, "balls": [BALL]}
FILES = {
    "record": (records, {**WHO, **WHAT, "suite": "quick", "attacks": [ATTACK]}, "evaluate it anew"),
    "unforeseen": (unforeseen, {**WHO, **WHAT, "unforeseen": "digits", "attacks": []}, "attack it anew"),
    "certificates": (
        certificates,
        {**WHO, **WHAT, **BOUNDS, "certificate": "crown", "suite": "quick"},
        "certify it anew",
    ),
}
WRONG = [
    ({"schema": 2}, r"schema 2; this version reads schema 1; "),
    ({"provenance": {"params": []}}, r"provenance\.params: Input should be a valid dictionary.*; "),
    ({"provenance": {"params": None}}, r"provenance\.params: Input should be a valid dictionary.*; "),
    ({"provenance": []}, r"provenance: Input should be a valid dictionary.*; "),
    ({"provenance": {"commit": "a\nb"}}, r"provenance\.commit: found \"a.*; allowed: printable text; "),
    ({"timing": None}, r"timing: Input should be a valid dictionary.*; "),
    ({"surprise": 1}, r"surprise: Extra inputs are not permitted; "),
    ({"flags": ["a\nb"]}, r"flags\.0: found \"a.*; allowed: printable text; "),
    ({"method": "../a"}, r"method: found \"\.\./a\"; allowed: a name without /.*; "),
]


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize(("changes", "said"), WRONG, ids=[str(changes) for changes, _ in WRONG])
def test_what_is_wrong_is_said_in_one_line(tmp_path, kind, changes, said):
    room, content, again = FILES[kind]
    path = tmp_path / "r.json"
    path.write_text(json.dumps(content))
    assert json.loads(room.read(path).to_json()) == content
    path.write_text(json.dumps({**content, **changes}))
    with pytest.raises(RecordError, match=rf"r\.json: {said}(get it again, or )?{again}$") as error:
        room.read(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("text", ["[]", "null", '"a"', "3", "{}"])
def test_another_form_than_an_object_is_another_schema(tmp_path, kind, text):
    room, _, again = FILES[kind]
    path = tmp_path / "r.json"
    path.write_text(text)
    with pytest.raises(RecordError, match=rf"r\.json: schema null; this version reads schema 1; {again}$"):
        room.read(path)
