"""Fine-tuning: a training goes on from another's classifier, and its cost is both trainings'."""

import copy
import json
from pathlib import Path

import pytest
import torch
from helpers import small
from stopping import stopped_at

from mngac.models.files import Architecture, load_classifier, save_classifier
from mngac.params.checks import parse
from mngac.params.errors import ParamsError, UserError
from mngac.pipeline.jobs import job
from mngac.results.costs import SUMMED, in_all, repeating_digest
from mngac.results.records import read
from mngac.results.rows import Row, marks_told
from mngac.training.start import Start

TUNED = [{"method": name, "start": "adv_linf"} for name in ("eat_ft", "ramp_ft", "soup")]


def raw_run(methods=("adv_linf",), tuned=TUNED, **run):
    raw = small(methods=methods, tuned=copy.deepcopy(tuned), **run)
    raw["evaluation"]["quick"] = {**raw["evaluation"]["apgd"], "n": 12}
    for name in ("eat_ft", "ramp_ft", "soup"):
        raw["methods"][name]["training"] |= {"epochs": 2}
        raw["methods"][name]["training"]["schedule"]["drops"] = [1]
    raw["methods"]["soup"]["grid"] = 2
    return raw


def made(params, stage, method, **where):
    if not Path("data/digits.safetensors").exists():
        job(params, "data", dataset="digits").run()
    found = job(params, stage, dataset="digits", method=method, seed="0", **where)
    assert found.run() == "made"
    return found.outputs


def summary_of(outputs):
    return json.loads(Path(outputs["train.json"]).read_text())


def weights_of(outputs):
    return load_classifier(outputs["classifier.safetensors"], "cpu").state_dict()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The start and what is fine-tuned from it, each one's outputs."""
    patch = pytest.MonkeyPatch()
    folder = tmp_path_factory.mktemp("tuned")
    patch.chdir(folder)
    patch.setenv("MNGAC_CACHE", str(folder / "cache"))
    params = parse(raw_run())
    outputs = {"adv_linf": made(params, "train", "adv_linf")}
    outputs |= {name: made(params, "train_tuned", name) for name in params.run.tuned_methods}
    yield folder, {name: {k: str(folder / path) for k, path in each.items()} for name, each in outputs.items()}
    patch.undo()


@pytest.fixture
def here(trained, tmp_path, monkeypatch):
    """A workspace with the start's outputs, and a cache of its own."""
    folder, outputs = trained
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNGAC_CACHE", str(tmp_path / "cache"))
    for path in outputs["adv_linf"].values():
        own = tmp_path / Path(path).relative_to(folder)
        own.parent.mkdir(parents=True, exist_ok=True)
        own.write_bytes(Path(path).read_bytes())
    return tmp_path


def test_at_a_rate_of_nothing_the_classifier_stays_the_start_but_for_running_statistics(trained, here):
    raw = raw_run()
    raw["methods"]["eat_ft"]["training"]["schedule"]["peak"] = 1e-30
    start, after = weights_of(trained[1]["adv_linf"]), weights_of(made(parse(raw), "train_tuned", "eat_ft"))
    moved = {name for name, value in after.items() if not torch.equal(value, start[name])}
    assert moved and all("running" in name or "tracked" in name for name in moved)


@pytest.mark.parametrize("method", ["eat_ft", "ramp_ft", "soup"])
def test_the_cost_is_its_own_with_the_starts_beside_it(trained, method):
    start, tuned = (summary_of(trained[1][name]) for name in ("adv_linf", method))
    assert tuned["start"] == {"method": "adv_linf", **{key: start[key] for key in SUMMED}}
    assert tuned["epochs"] == 2 and tuned["images_seen"] == 2 * 9 * 64 and tuned["attacked"] is True
    for key in SUMMED:
        assert in_all(tuned, key) == tuned[key] + start[key] and in_all(start, key) == start[key] > 0
    # A step of these costs more than one of adv_linf: another attack's passes, a further classifier.
    assert tuned["flops"] / tuned["images_seen"] > start["flops"] / start["images_seen"]


def test_a_record_and_a_soups_log_say_so_too(trained, monkeypatch):
    folder, outputs = trained
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MNGAC_CACHE", str(folder / "cache"))
    record = read(made(parse(raw_run()), "evaluate", "soup", suite="apgd", profile="standard")["record"])
    assert record.timing["training"]["flops"] == summary_of(outputs["soup"])["flops"]
    row, start = Row("soup", [record]), summary_of(outputs["adv_linf"])
    assert row.training("flops") == summary_of(outputs["soup"])["flops"] + start["flops"]
    assert marks_told([row]) == ["Fine-tuned, at a cost that includes the start's: soup from adv_linf."]
    first, last = map(json.loads, Path(outputs["soup"]["train.jsonl"]).read_text().splitlines())
    shares = [last[f"share_{name}"] for name in ("start", "l1", "l2")]
    assert sum(shares) == 1 and set(shares) <= {0, 0.5, 1} and "share_l1" not in first
    assert last["replaced"] and "replaced" not in first


@pytest.mark.slow
@pytest.mark.parametrize("method", ["eat_ft", "soup"])
def test_what_was_stopped_goes_on_to_the_same_bytes(trained, here, monkeypatch, method):
    for stop in ((0, 2), (1, 5)):
        with stopped_at(monkeypatch, *stop), pytest.raises(KeyboardInterrupt):
            made(parse(raw_run()), "train_tuned", method)
    outputs = made(parse(raw_run()), "train_tuned", method)
    whole = Path(trained[1][method]["classifier.safetensors"]).read_bytes()
    assert Path(outputs["classifier.safetensors"]).read_bytes() == whole


def test_another_start_is_another_key_and_its_times_are_not(here):
    params = parse(raw_run())
    job(params, "data", dataset="digits").run()
    tuned = job(params, "train_tuned", dataset="digits", method="eat_ft", seed="0")
    before, file = tuned.key_parts(), Path(tuned.inputs["start_training"])
    told = json.loads(file.read_text())
    file.write_text(json.dumps({**told, "seconds": 7.0, "process_seconds": 6.0, "device": "a card"}))
    assert tuned.key_parts() == before
    file.write_text(json.dumps({**told, "additional_images": 9}))
    assert tuned.key_parts() != before
    file.write_text(json.dumps(told))
    network = load_classifier(tuned.inputs["start"], "cpu")
    with torch.no_grad():
        next(network.parameters()).add_(1)
    save_classifier(tuned.inputs["start"], network, Architecture("wrn_10_1", 10, 1, 8))
    assert tuned.key_parts() != before


def test_only_what_starts_from_another_has_that_code_in_its_key():
    params = parse(raw_run())
    tuned = job(params, "train_tuned", dataset="digits", method="eat_ft", seed="0").stated()
    plain = job(params, "train", dataset="digits", method="adv_linf", seed="0").stated()
    assert "mngac.training.start" in tuned["code"] and "mngac.training.start" not in plain["code"]
    soup = job(params, "train_tuned", dataset="digits", method="soup", seed="0").stated()
    assert {"mngac.training.validation", "mngac.evaluation.acceptance"} <= set(soup["code"])
    assert not {"mngac.training.validation", "mngac.training.selection"} & set(tuned["code"])
    raw = raw_run()
    raw["evaluation"]["quick"]["n"] = 13
    assert job(parse(raw), "train_tuned", dataset="digits", method="soup", seed="0").stated() != soup
    assert job(parse(raw), "train_tuned", dataset="digits", method="eat_ft", seed="0").stated() == tuned


def test_somebodys_classifier_is_a_start_as_well_and_of_unknown_cost(trained, here):
    raw = raw_run(methods=("theirs",), tuned=[{"method": "eat_ft", "start": "theirs"}])
    file = trained[1]["adv_linf"]["classifier.safetensors"]
    raw["methods"]["theirs"] = {"kind": "imported", "checkpoint": file, "model": "wrn_10_1"}
    params = parse(raw)
    made(params, "train", "theirs")
    outputs = made(params, "train_tuned", "eat_ft")
    ours, from_adv_linf = weights_of(outputs), weights_of(trained[1]["eat_ft"])
    assert all(torch.equal(ours[name], value) for name, value in from_adv_linf.items())
    summary = summary_of(outputs)
    assert summary["start"] == {"method": "theirs", **dict.fromkeys(SUMMED)} and summary["flops"] > 0
    assert all(in_all(summary, key) is None for key in SUMMED)


@pytest.mark.parametrize(
    ("own", "starts", "both"),
    [(False, True, True), (True, None, True), (False, None, None), (False, False, False), (None, False, None)],
)
def test_either_trainings_attacks_and_additional_images_are_the_classifiers(own, starts, both):
    start = Start("nat", "x", {**dict.fromkeys(SUMMED, 3), "attacked": starts, "additional_images": 9})
    found = start.added_to({"attacked": own, "additional_images": 5, **dict.fromkeys(SUMMED, 2)})
    assert found["attacked"] is both and found["additional_images"] == 9 and found["seconds"] == 2
    assert found["start"] == {"method": "nat", **dict.fromkeys(SUMMED, 3)}


def test_what_differs_between_equal_trainings_is_in_no_digest_of_theirs(tmp_path):
    def digest(**changes):
        start = {"method": "nat", **dict.fromkeys(SUMMED, 3), **changes.pop("start", {})}
        path = tmp_path / "train.json"
        path.write_text(json.dumps({**dict.fromkeys(SUMMED, 2), "attacked": True, "start": start, **changes}))
        return repeating_digest(path)

    same = digest()
    assert same == digest(seconds=9, process_seconds=8, device="another", start={"seconds": 5, "process_seconds": 4})
    others = [digest(flops=3), digest(attacked=None), digest(start={"flops": 4}), digest(start={"seconds": None})]
    assert len({same, *others}) == 5


def test_a_classifier_of_another_architecture_is_refused(tmp_path):
    file, own = tmp_path / "classifier.safetensors", Architecture("wrn_10_1", 10, 1, 8)
    other = Architecture("wrn_10_1", 7, 1, 8)
    save_classifier(file, other.build(), other)
    with pytest.raises(UserError, match=r"classes=7.*; allowed: .*classes=10.*, which is fine-tuned"):
        Start("nat", str(file), {}).put(own.build(), own)


WRONG = [
    ([{"method": "eat_tf", "start": "adv_linf"}], "method", "one of .*eat_ft"),
    ([{"method": "adv_linf", "start": "adv_linf"}], "method", "the run does not train otherwise"),
    ([{"method": "eat_ft", "start": "sat"}], "start", "one that the run trains: adv_linf"),
    ([{"method": "eat_ft", "start": "eat_ft"}], "start", "one that the run trains: adv_linf"),
    ([{"method": "theirs", "start": "adv_linf"}], "method", "a method that trains something"),
]


@pytest.mark.parametrize(("tuned", "key", "said"), WRONG, ids=[said for *_, said in WRONG])
def test_what_can_not_be_fine_tuned_is_refused(tuned, key, said):
    raw = raw_run(tuned=tuned)
    raw["methods"]["theirs"] = {"kind": "imported", "checkpoint": "file.pt", "model": "wrn_10_1"}
    with pytest.raises(ParamsError, match=rf"^run\.tuned\.0\.{key}: found .*; allowed: .*{said}"):
        parse(raw)


def test_a_method_is_fine_tuned_once():
    with pytest.raises(ParamsError, match=r"^run\.tuned\.1\.method: found \"eat_ft\"; allowed: no name twice"):
        parse(raw_run(tuned=[TUNED[0], TUNED[0]]))


def test_the_start_has_the_same_model():
    raw = raw_run()
    raw["methods"]["eat_ft"]["training"]["model"] = "wrn_16_1"
    said = r"^run\.tuned\.0\.start: found \"adv_linf\"; allowed: .* as eat_ft on digits, wrn_16_1; found wrn_10_1"
    with pytest.raises(ParamsError, match=said):
        parse(raw)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("suite", "quik", r"^methods\.soup\.suite: found \"quik\"; allowed: one of "),
        ("average", {"decay": 0.9}, r"^methods\.soup\.training\.average: .*; allowed: null, since soup itself chooses"),
        ("select", {"epoch": "best"}, r"^methods\.soup\.training\.select\.epoch: .*; allowed: last, since soup itself"),
    ],
)
def test_what_does_not_go_with_a_soup_is_refused(path, value, said):
    raw = raw_run()
    (raw["methods"]["soup"] if path == "suite" else raw["methods"]["soup"]["training"])[path] = value
    with pytest.raises(ParamsError, match=said):
        parse(raw)


@pytest.mark.parametrize(("key", "names"), [("methods", ["adv_linf", "soup"]), ("semi_methods", ["soup"])])
def test_a_soup_has_a_start(key, names):
    raw = raw_run(tuned=[], **{key: names})
    with pytest.raises(
        ParamsError, match=rf"^run\.{key}\.{len(names) - 1}: found \"soup\"; allowed: a soup in run.tuned alone"
    ):
        parse(raw)


def test_a_soup_needs_validation_images():
    raw = raw_run()
    raw["data"]["digits"]["validation"] = 0
    with pytest.raises(
        ParamsError, match=r"^methods\.soup\.suite: .*; allowed: nothing, since data\.digits\.validation is 0"
    ):
        parse(raw)
