"""`like`: an entry inherits a sibling's keys, in the file and in its schema, or is refused in one line."""

import copy
import json

import jsonschema
import pytest
from helpers import raw_params
from hypothesis import given
from hypothesis import strategies as st

from mngac.params.checks import parse, schema_text
from mngac.params.errors import ParamsError
from mngac.params.inheritance import merged, resolved

MNG_AC = {"kind": "mng_ac", "norms": ["linf"], "attack_mode": "train", "beta": 1, "input_dependent": True}
NESTED = st.recursive(
    st.integers(), lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=8
)


def test_a_value_set_once_holds_for_every_method_that_is_like_it():
    raw = raw_params()
    raw["methods"]["mng_ac"]["beta"] = 8
    params = parse(raw)
    assert params.methods["mng_ac"].beta == params.methods["mng_ac_rst_linf"].beta == 8


def test_own_keys_win_over_a_chain_of_siblings_at_every_depth():
    raw = raw_params()
    raw["methods"] |= {"a": {"like": "b", "beta": 3}, "b": {"like": "c", "norms": ["l1"]}, "c": MNG_AC}
    raw["training"]["small"] = {"like": "digits", "attack": {"l1": {"top": 5}}}
    raw["radii"]["standard"]["small"] = {"like": "digits", "l2": 1}
    raw["data"]["small"] = {"like": "digits", "train_images": 100}
    params = parse(raw)
    assert params.methods["a"] == type(params.methods["a"])(**{**MNG_AC, "norms": ["l1"], "beta": 3})
    small, digits = params.training_for("small"), params.training_for("digits")
    assert (small.attack.l1.top, small.attack.l1.steps) == (5, digits.attack.l1.steps)
    assert (small.attack.linf, small.model) == (digits.attack.linf, digits.model)
    assert params.radii_for("standard", "small").model_dump() == {"linf": 0.15, "l1": 1.5, "l2": 1.0}
    assert params.data["small"].loader == "digits" and params.data["small"].train_images == 100


@given(st.dictionaries(st.sampled_from("abc"), NESTED), st.dictionaries(st.sampled_from("abc"), NESTED))
def test_merging_changes_neither_side_and_own_values_stand(base, own):
    before = copy.deepcopy((base, own))
    found = merged(base, own)
    assert (base, own) == before and merged(base, {}) == base and merged({}, own) == own
    assert set(found) == set(base) | set(own)
    assert merged(found, own) == found
    assert all(found[key] == value for key, value in own.items() if not isinstance(value, dict))


def test_the_given_content_stays_as_it_is():
    raw = raw_params()
    before = copy.deepcopy(raw)
    resolved(raw)
    assert raw == before


REFUSED = [
    ("methods", {"x": {"like": "mng"}}, 'methods.x.like: found "mng"; allowed: one of mng_ac, '),
    (
        "methods",
        {"x": {"like": "y"}, "y": {"like": "x"}},
        'methods.y.like: found "x", which is like it in turn',
    ),
    ("methods", {"x": {"like": "x"}}, 'methods.x.like: found "x", which is like it in turn'),
    ("methods", {"x": {"like": "y"}, "y": [1]}, 'methods.x.like: found "y"; allowed: one of nat'),
    ("methods", {"x": {"like": ["nat"]}}, 'methods.x.like: found ["nat"]; allowed: one of nat'),
    ("methods", {"x": {"like": None}}, "methods.x.like: found null; allowed: one of nat"),
    ("data", {"x": {"like": 3}}, "data.x.like: found 3; allowed: one of digits"),
    ("training", {"x": {"like": "default"}}, 'training.x.like: found "default"; allowed: one of digits'),
    ("training", {"default": {"like": "digits"}}, "training.default.like: unknown key"),
    (
        "radii",
        {"only": {"x": {"like": "x"}}},
        'radii.only.x.like: found "x", which is like it in turn',
    ),
    ("figures", {"like": "nat"}, "figures.like: unknown key"),
    ("pseudo_label", {"like": "nat"}, "pseudo_label.like: unknown key"),
]


@pytest.mark.parametrize(("section", "entries", "said"), REFUSED, ids=[said[:40] for _, _, said in REFUSED])
def test_what_can_not_be_inherited_is_refused_in_one_line(section, entries, said):
    raw = raw_params()
    for name, entry in entries.items():
        raw[section][name] = {**raw[section].get(name, {}), **entry} if name == "default" else entry
    with pytest.raises(ParamsError) as error:
        parse(raw)
    assert str(error.value).startswith(said) and "\n" not in str(error.value)


@pytest.mark.parametrize("raw", [None, 3, [], {"methods": 3, "radii": [], "training": None, "data": {"x": 1}}])
def test_what_is_no_section_is_left_to_the_checks_of_sections(raw):
    assert resolved(raw) == raw


def test_the_schema_admits_like_in_just_these_places():
    schema = json.loads(schema_text())
    places = [name for name, section in schema["$defs"].items() if "like" in section["properties"]]
    assert sorted(places) == ["DataConfig", "MethodConfig", "Radii", "TrainingOverride"]
    raw = raw_params()
    jsonschema.validate(raw, schema)
    for change in ({"beta": 3}, {"kind": "natural", "like": 3}, {"like": "nat", "betta": 3}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**raw, "methods": {**raw["methods"], "x": change}}, schema)
