"""params.yaml: one source of truth, every wrong value refused at once in one line."""

import copy
import json

import pytest
import yaml
from dvc.utils.serialize import load_yaml
from helpers import ROOT, raw_params

from mngac.params.checks import load, parse, schema_text
from mngac.params.errors import ParamsError
from mngac.params.keys import keys_read
from mngac.params.registry import kinds
from mngac.params.types import number
from mngac.params.yaml_file import read


def changed(path, value):
    raw = copy.deepcopy(raw_params())
    *folders, last = path.split(".")
    node = raw
    for part in folders:
        node = node[int(part) if isinstance(node, list) else part]
    node[int(last) if isinstance(node, list) else last] = value
    return raw


WRONG = [
    ("run.sedes", [1], ["run.sedes", "unknown key", "seeds"]),
    ("training.default.epochz", 3, ["training.default.epochz", "unknown key", "epochs"]),
    ("training.digits.attack", {"linf": {"stepz": 3}}, ["training.digits.attack.linf.stepz", "steps"]),
    ("training.default.epochs", "30", ["training.default.epochs", '"30"', "integer"]),
    ("training.default.epochs", 0, ["training.default.epochs", "0", "greater than 0"]),
    ("training.default.attack.l2.steps", 0, ["training.default.attack.l2.steps", "0"]),
    ("training.default.weight_decay", "5e-4", ["training.default.weight_decay", "5e-4", "number"]),
    ("training.digits.schedule", {"peak": 0.1, "peak_epoch": 99}, ["training.digits.schedule.peak_epoch", "99"]),
    ("training.digits.schedule", {"drops": [20, 15]}, ["training.digits.schedule.drops", "rise", "12 (peak_epoch)"]),
    ("training.digits.schedule", {"drops": [5]}, ["training.digits.schedule.drops", "between 12 (peak_epoch) and 30"]),
    ("training.digits.weight_decay_on", "biases", ["training.digits.weight_decay_on", "biases", "'weights'"]),
    ("training.digits.additional_share", 0.5, ["training.digits.additional_share", "0.5", "data.digits.additional"]),
    ("training.digits.additional_share", 1, ["training.digits.additional_share", "1", "less than 1"]),
    ("methods.ramp.projection", 2, ["methods.ramp.projection", "2", "less than or equal to 1"]),
    ("radii.standard.digits.linf", -0.1, ["radii.standard.digits.linf", "-0.1", "8/255"]),
    ("radii.standard.digits.linf", 8, ["radii.standard.digits.linf", "8", "at most 1, such as 8/255"]),
    ("radii.standard.digits.linf", "0.15", ["radii.standard.digits.linf", "0.15", "8/255"]),
    ("radii.standard.digits.l2", "1/0", ["radii.standard.digits.l2", "1/0"]),
    ("radii.standard.digits", None, ["radii.standard.digits"]),
    ("run.methods", ["nat", "madeup"], ["run.methods.1", "madeup", "mng_ac"]),
    ("run.datasets", ["cifra10"], ["run.datasets.0", "cifra10", "digits"]),
    ("run.suites", ["weak"], ["run.suites.0", "weak", "apgd"]),
    ("run.suites", [], ["run.suites", "1 item"]),
    ("run.profiles", ["wide"], ["run.profiles.0", "wide", "standard"]),
    ("run.attack_spaces", ["lp"], ["run.attack_spaces.0", "lp", "[]"]),
    ("run.all_methods", ["nat"], ["run.all_methods", "unknown key", "semi_methods"]),
    ("run.semi_methods", ["rst_linf", "nat"], ["run.semi_methods.1", "nat", "not in run.methods too"]),
    ("run.teachers", [], ["run.teachers", "one of"]),
    ("run.teachers", ["sat_linf_l1"], ["run.teachers", "sat_linf_l1"]),
    ("tables.reference", "mng", ["tables.reference", "mng", "one of mng_ac"]),
    ("tables.baseline", 3, ["tables.baseline", "3", "string"]),
    ("tables.components", ["sat", "mng"], ["tables.components.1", "mng", "one of mng_ac"]),
    ("tables.motivation", ["nat", "nat"], ["tables.motivation", "no name twice"]),
    ("tables.motivation", [], ["tables.motivation", "at least 1 item"]),
    ("tables.all", ["nat"], ["tables.all", "unknown key", "single_perturbation"]),
    ("run.device", "tpu", ["run.device", "tpu", "'cpu'"]),
    ("run.threads", 0, ["run.threads", "0"]),
    ("run.seeds", [0, 0], ["run.seeds", "twice"]),
    ("data.digits.loader", "mnist", ["data.digits.loader", "mnist", "digits"]),
    ("data.digits.validation", 1.5, ["data.digits.validation", "1.5"]),
    ("methods.sat.kind", "chaotic", ["methods.sat.kind", "chaotic", "stochastic"]),
    ("methods.nat.beta", 3, ["methods.nat.beta", "not read by natural"]),
    ("methods.nat.profile", "standard", ["methods.nat.profile", "unknown key", "training"]),
    ("methods.sat.training", {"profile": "wide"}, ["methods.sat.training.profile", "wide", "one of standard"]),
    ("methods.sat.training", {"epochs": 0}, ["methods.sat.training.epochs", "0", "greater than 0"]),
    ("methods.sat.training", {"epochs": 3}, ["methods.sat.training.schedule.peak_epoch", "12", "at most", "3"]),
    ("methods.sat.training", {"model": "wrn_1"}, ["methods.sat.training.model", "wrn_1", "such as"]),
    ("methods.sat.training", {"attack": {"kind": "fgsm"}}, ["methods.sat.training.attack.kind", "fgsm", "'apgd'"]),
    ("methods.msd.training", {"attack": {"l1": {"kind": "apgd"}}}, ["methods.msd.training.attack.l1.kind", "by it"]),
    (
        "methods.eat.training",
        {"attack": {"kind": "pgd"}},
        ["methods.eat.training.attack.kind", "pgd", "not attack by it"],
    ),
    ("methods.ramp.norms", ["linf"], ["methods.ramp.norms", "linf", "2 norms"]),
    ("methods.ramp.norms", ["linf", "linf"], ["methods.ramp.norms", "no norm twice"]),
    ("methods.adv_l1.norms", ["linf", "l1"], ["methods.adv_l1.norms", "linf", "one norm"]),
    ("training.digits.semi", {"fraction": 0.001}, ["training.digits.semi.fraction", "0.001", "more", "batch of 64"]),
    ("training.digits.semi", {"fraction": 0.999}, ["training.digits.semi.fraction", "0.999", "less", "64"]),
    ("training.digits.schedule", {"drops": []}, ["training.digits.schedule.drops", "1 item"]),
    ("methods.sat.training", {"like": "mng_ac"}, ["methods.sat.training.like", "unknown key", "epochs"]),
    ("methods.mng_ac", {"kind": "mng_ac"}, ["methods.mng_ac", "missing", "mng_ac reads it"]),
    ("methods.sat.norms", ["l3"], ["methods.sat.norms.0", "l3", "'linf'"]),
    ("evaluation.apgd.attacks.0.attack", "apdg", ["evaluation.apgd.attacks.0.attack", "apdg", "apgd_ce"]),
    ("run.unforeseen", ["digits"] * 2, ["run.unforeseen", "no name twice"]),
    ("unforeseen.digits.attacks.0.attack", "l00", ["unforeseen.digits.attacks.0.attack", "l00", "l0, "]),
    ("unforeseen.digits.attacks.0.degrees", 3, ["unforeseen.digits.attacks.0.degrees", "not read by l0", "pixels"]),
    ("unforeseen.digits.attacks.0.pixels", 0, ["unforeseen.digits.attacks.0.pixels", "0", "greater than 0"]),
    ("unforeseen.digits.attacks.1", {"attack": "l0"}, ["unforeseen.digits.attacks.1", "missing", "l0 reads it"]),
    ("unforeseen.digits.attacks.2.beta", 1, ["unforeseen.digits.attacks.2.beta", "1", "less than 1"]),
    ("unforeseen.cifar10.attacks.3.corruptions", [], ["unforeseen.cifar10.attacks.3.corruptions", "at least 1"]),
    ("evaluation.apgd.attacks.0.step_size", 0.1, ["evaluation.apgd.attacks.0.step_size", "not read by apgd_ce"]),
]


@pytest.mark.parametrize(("path", "value", "words"), WRONG, ids=[f"{p}={v}"[:60] for p, v, _ in WRONG])
def test_a_wrong_value_is_refused_in_one_line_that_names_it(path, value, words):
    with pytest.raises(ParamsError) as error:
        parse(changed(path, value))
    text = str(error.value)
    assert "\n" not in text
    for word in words:
        assert word in text, text


def test_params_yaml_is_right():
    assert parse(raw_params()).run.datasets == ["digits"]


def test_both_parsers_read_params_yaml_alike():
    assert json.dumps(raw_params()) == json.dumps(load_yaml(str(ROOT / "params.yaml")))


def test_the_schema_is_in_sync():
    assert (ROOT / "workflow/schemas/params.schema.json").read_text() == schema_text(), "run: make schema"


def test_the_schema_admits_params_yaml_and_refuses_an_unknown_key():
    import jsonschema

    schema = json.loads(schema_text())
    jsonschema.validate(raw_params(), schema)
    for path, value, _ in WRONG[:3]:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(changed(path, value), schema)


def test_every_section_and_every_key_of_the_schema_has_a_description():
    schema = json.loads(schema_text())
    sections = {"params.yaml": schema, **schema["$defs"]}
    assert {"Run", "FigureParams", "AttackConfig", "TrainingOverride"} <= set(sections)
    bare = [name for name, section in sections.items() if not section.get("description")]
    keys = [(name, key, field) for name, section in sections.items() for key, field in section["properties"].items()]
    bare += [f"{name}.{key}" for name, key, field in keys if not field.get("description")]
    assert len(keys) > 100 and not bare


def test_radii_are_parsed_exactly():
    assert number("2000/255") == 2000 / 255 and number("8/255") == 8 / 255 and number(0.15) == 0.15


def test_a_data_set_overrides_the_default_key_by_key():
    params = parse(raw_params())
    ours, default = params.training_for("digits"), params.training_for("cifar10")
    assert ours.model == "wrn_10_1" and default.model == "wrn_28_10"
    assert ours.momentum == default.momentum and ours.monitor.images == 64
    assert ours.attack.l1.top == 3 and default.attack.l1.top == 31


def test_registries_are_the_files_that_define_what_is_asked_for():
    assert "mng_ac" in kinds("methods") and not {"base", "learned_noise", "generator_diagnostics"} & set(
        kinds("methods")
    )
    assert keys_read("methods", "natural") == set()
    assert {"norms", "beta", "attack_mode", "noise"} <= keys_read("methods", "stochastic")


def test_a_number_such_as_5e_4_is_text_in_yaml():
    assert yaml.safe_load("a: 5e-4")["a"] == "5e-4"


LONG = b"x" * 100_000
UNREADABLE = [
    (b"split: test", b"split: [", ["not YAML", "flow sequence"]),
    (b"split: test", b"split: !" + LONG + b" y", ["not YAML", " characters)"]),
    (b"split: test", b"split: test # \xe9", ["0xe9 in line ", "UTF-8"]),
    (b"split: test", b"split: test\n  split: validation", ["run.split: found twice, in lines "]),
    (b"nat: {kind: natural}", b"nat: {kind: natural, kind: eat}", ["methods.nat.kind: found twice, in lines"]),
    (b"peak: 0.21", b"peak: " + b"9" * 400, ["training.default.schedule.peak: found 999", "(400 characters)"]),
    (b"peak: 0.21", b"peak: " + b"9" * 5000, ["training.default.schedule.peak: found 999", "(5,000 characters)"]),
    (b"peak: 0.21", b"peak: .nan", ["training.default.schedule.peak: found NaN", "finite"]),
    (b"linf: 0.15", b"linf: .inf", ["radii.standard.digits.linf: found Infinity", "8/255"]),
    (b"linf: 0.15", b'linf: "' + b"9" * 400 + b'/1"', ["radii.standard.digits.linf", "8/255"]),
    (b"epochs: 30", b"epochs: " + b"9" * 400, ["training.default.epochs: found 999", "18 digits"]),
    (b"mixed: false", b"mixed: &x [*x]", ["run.mixed.0: found an alias of what it stands in"]),
    (b"split: test", b"split: 2026-99-99", ["run.split: found 2026-99-99", "a date that exists"]),
    (b"split: test", b"split: {2026-09-09: 1}", ["run.split: found dict", "'validation' or 'test'"]),
    (b"split: test", b'split: test\n  "a\\nb": 1', ['run."a\\nb": unknown key']),
    (
        b"split: test",
        b'split: test\n  ? "' + LONG + b'"\n  : 1',
        ['run."xxx', "(100,002 characters): unknown"],
    ),
    (b"split: test", b"split: " + LONG, ['run.split: found "xxx', "(100,002 characters)"]),
    (b"seeds:\n  - 0", b"seeds: [" + b"[" * 3000, ["nested too deeply"]),
    (b"split: test", b"split: !!bool x", ["run.split: found x; allowed: true or false"]),
    (b"split: test", b"split: !!int ''", ["run.split: found nothing; allowed: an integer"]),
    (b"split: test", b"split: !!timestamp x", ["run.split: found x; allowed: a date that exists"]),
    (b"\nrun:", b"\n2020-13-45: 1\nrun:", ["params.yaml: found 2020-13-45; allowed: a date that exists"]),
    (b"mixed: false", b"mixed: &x {<<: *x}", ['run.mixed."<<": found an alias of what it stands in']),
    (b"mixed: false", b"mixed: {<<: {a: !!bool x}}", ['run.mixed."<<".a: found x; allowed: true or false']),
    (b"mixed: false", b"mixed: {<<: 3}", ["not YAML", "expected a mapping"]),
]


@pytest.mark.parametrize(
    ("old", "new", "words"), UNREADABLE, ids=[new[:40].decode(errors="replace") for _, new, _ in UNREADABLE]
)
def test_a_file_that_can_not_be_meant_is_refused_in_one_short_line(tmp_path, old, new, words):
    text = (ROOT / "params.yaml").read_bytes()
    assert old in text
    (tmp_path / "params.yaml").write_bytes(text.replace(old, new, 1))
    with pytest.raises(ParamsError) as error:
        load(str(tmp_path / "params.yaml"))
    said = str(error.value)
    assert "\n" not in said and len(said) < 500
    for word in words:
        assert word in said, said


MERGED = """run: {}
methods:
  sat: &sat {kind: stochastic, beta: 1, noise: false}
  own: {<<: *sat, beta: 2}
  own_too: {beta: 3, <<: [{noise: true}, *sat], <<: {norms: [linf]}}
"""


def test_merged_keys_are_read_as_snakemake_reads_them(tmp_path):
    (tmp_path / "params.yaml").write_text(MERGED)
    found = read(str(tmp_path / "params.yaml"))
    assert found == yaml.safe_load(MERGED)
    assert found["methods"]["own"] == {"kind": "stochastic", "beta": 2, "noise": False}
    assert found["methods"]["own_too"] == {"kind": "stochastic", "beta": 3, "noise": True, "norms": ["linf"]}


@pytest.mark.parametrize(
    ("first", "more"),
    [("&l0 [x]", "&l{} [{}]"), ("&l0 {x: 1}", "&l{} {{<<: [{}]}}")],
    ids=["lists", "merges"],
)
def test_aliases_of_aliases_are_refused_as_soon_as_a_short_value(tmp_path, first, more):
    lines = [first, *(more.format(k, ", ".join([f"*l{k - 1}"] * 9)) for k in range(1, 11))]
    value = "split:\n" + "".join(f"    - {line}\n" for line in lines)
    text = (ROOT / "params.yaml").read_text().replace("split: test", value)
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(ParamsError, match=r"^run.split: found \["):
        load(str(tmp_path / "params.yaml"))


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(ParamsError, match=r"missing.yaml: not found; allowed: a file that is there"):
        load(str(tmp_path / "missing.yaml"))


@pytest.mark.parametrize("name", ["datasets", "methods", "seeds", "suites", "profiles"])
def test_a_run_that_plans_nothing_is_refused(name):
    with pytest.raises(ParamsError, match=rf"^run.{name}: found \[\]; allowed: .*at least 1 item"):
        parse(changed(f"run.{name}", []))


def test_a_run_without_semi_supervised_methods_needs_no_teacher():
    raw = raw_params()
    raw["run"] |= {"semi_methods": [], "teachers": []}
    assert parse(raw).run.teachers == []
