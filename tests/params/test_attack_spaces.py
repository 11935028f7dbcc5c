"""Attack spaces: what the run cannot measure is refused in one line; a method's own radii move its training alone."""

import copy
import json

import pytest
from helpers import raw_params

from mngac.cli import main
from mngac.params.checks import parse
from mngac.params.errors import ParamsError
from mngac.pipeline.jobs import job, jobs

HALF = {"linf": 0.075, "l1": 0.75, "l2": 0.275}


def raw(**changes):
    """The run with a second profile, a specialist for it, and a space of two norms, changed."""
    found = copy.deepcopy(raw_params())
    found["radii"]["half"] = {"digits": HALF}
    found["methods"]["adv_l2_half"] = {"like": "adv_l2", "training": {"profile": "half"}}
    found["run"]["methods"].append("adv_l2_half")
    found["run"] |= {"profiles": ["standard", "half"], "attack_spaces": ["some"]}
    specialists = {"l2": ["adv_l2_half", "adv_l2"], "linf": ["adv_linf", "adv_linf"]}
    space = {"suite": "quick", "profiles": ["half", "standard"], "specialists": specialists, **changes}
    found["attack_spaces"] = {"some": space}
    return found


WRONG = [
    ({"suite": "apgd"}, ["attack_spaces.some.suite", "apgd", "run.suites", "quick"]),
    ({"profiles": ["half", "large_l1"]}, ["attack_spaces.some.profiles.1", "large_l1", "run.profiles"]),
    ({"profiles": ["standard", "half"]}, ["attack_spaces.some.profiles", "0.275", "radii that rise on digits"]),
    ({"profiles": ["half", "half"]}, ["attack_spaces.some.profiles", "radii that rise on digits"]),
    ({"profiles": []}, ["attack_spaces.some.profiles", "1 item"]),
    ({"specialists": {}}, ["attack_spaces.some.specialists", "1 item"]),
    ({"specialists": {"l3": ["nat", "nat"]}}, ["attack_spaces.some.specialists", "l3"]),
    ({"specialists": {"l2": ["adv_l2"]}}, ["attack_spaces.some.specialists.l2", "adv_l2", "one for each of half"]),
    ({"specialists": {"l2": ["eat", "adv_l2"]}}, ["attack_spaces.some.specialists.l2.0", "eat", "a method of the run"]),
    ({"clean": "eat"}, ["attack_spaces.some.clean", "eat", "a method of the run"]),
    ({"radius": 3}, ["attack_spaces.some.radius", "unknown key", "profiles"]),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "words"), WRONG, ids=[str(changes)[:60] for changes, _ in WRONG])
def test_a_space_that_fits_no_ratio_is_refused_in_one_line_that_names_it(changes, words):
    with pytest.raises(ParamsError) as error:
        parse(raw(**changes))
    assert "\n" not in str(error.value)
    assert [word for word in words if word not in str(error.value)] == []


def test_a_space_of_a_norm_that_the_suite_does_not_attack_is_refused():
    found = raw()
    found["evaluation"]["quick"]["attacks"] = [a for a in found["evaluation"]["quick"]["attacks"] if a["norm"] != "l2"]
    with pytest.raises(ParamsError, match=r"specialists.l2: found .* allowed: norms that quick attacks: linf, l1"):
        parse(found)


def test_a_space_that_the_run_does_not_name_is_not_held_against_it():
    found = raw(suite="apgd", profiles=["large_l1"])
    found["run"]["attack_spaces"] = []
    assert parse(found).attack_spaces["some"].suite == "apgd"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"clean": "eat"}, 'attack_spaces.some.clean: found "eat"; allowed: a method of the run: '),
        ({"profiles": ["half", "large_l1"]}, 'attack_spaces.some.profiles.1: found "large_l1"; allowed: one of run.'),
    ],
)
def test_a_job_of_a_space_that_the_run_does_not_name_is_refused_in_one_line(
    tmp_path, monkeypatch, capsys, changes, said
):
    found = raw(**changes)
    found["run"]["attack_spaces"] = []
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(json.dumps(found))
    assert main(["competitiveness", "--space", "some"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"mngac: {said}")


def test_a_profile_without_radii_of_the_runs_data_is_refused():
    found = raw()
    found["methods"]["adv_l2_half"]["training"]["profile"] = "large_l1"
    with pytest.raises(ParamsError, match=r"radii.large_l1.digits: missing"):
        parse(found)


def test_a_methods_profile_moves_the_radii_of_its_training_and_of_nothing_else():
    own, like = (job(parse(raw()), "train", dataset="digits", method=m, seed="0") for m in ("adv_l2_half", "adv_l2"))
    assert own.values["radii"] == HALF and own.values["training"]["profile"] == "half"
    assert (
        like.values["radii"] == raw()["radii"]["standard"]["digits"]
        and like.values["training"]["profile"] == "standard"
    )
    assert own.values["method"] == like.values["method"]
    rest = ("training", "radii")
    assert {k: v for k, v in own.values.items() if k not in rest} == {
        k: v for k, v in like.values.items() if k not in rest
    }


def test_a_data_sets_own_profile_gives_way_to_the_methods():
    found = raw()
    found["training"]["digits"]["profile"] = "standard"
    assert job(parse(found), "train", dataset="digits", method="adv_l2_half", seed="0").values["radii"] == HALF


def test_no_key_of_the_run_moves_with_methods_and_spaces_that_it_is_given():
    """But of what collects rows, since there are more of them."""
    before = {each.command: each.stated() for each in jobs(parse(raw_params()))}
    after = {each.command: each.stated() for each in jobs(parse(raw()))}
    computed = [command for command in before if command.split()[1] in ("data", "train", "train_semi", "evaluate")]
    assert len(computed) > 20 and [c for c in computed if before[c] != after[c]] == []
