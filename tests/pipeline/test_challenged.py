"""Challenges run for real, under both engines: equal results, nothing to do afterwards, and only what must again."""

import json
import shutil

import pytest
from helpers import run, small, workspace, write_params
from outputs import outputs

from mngac.pipeline.cache import Cache

pytestmark = pytest.mark.slow


def raw(**challenge):
    """Two methods with pseudo-labels and without, one union challenged by a further seed and another suite."""
    found = small(methods=("nat",), semi=("rst_linf",), challenges=["apgd"])
    found["challenge"] |= {"attack_seeds": 2, "opinions": ["pgd"], "transfer_steps": 3, **challenge}
    found["evaluation"]["pgd"] |= {"n": 20}
    for entry in found["evaluation"]["pgd"]["attacks"]:
        entry["steps"] = 5
    return found


def made(folder):
    """How many entries of each stage the cache has."""
    stages = [entry.about["parts"]["stage"] for entry in Cache(folder / "cache").entries()]
    return {stage: stages.count(stage) for stage in ("train", "evaluate", "craft", "challenge", "tightness")}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Two workspaces, each run by one engine from an empty cache of its own."""
    folders = {}
    for engine, command in (("snakemake", ["snakemake", "--cores", "1"]), ("dvc", ["dvc", "repro"])):
        folders[engine] = workspace(tmp_path_factory.mktemp(engine) / "w", raw())
        run(folders[engine], "git", "init", "-q")
        run(folders[engine], *command)
    return folders


def test_both_engines_make_the_same(both):
    ours, theirs = (outputs(folder) for folder in both.values())
    assert {path for path in ours if path.startswith(("challenges/", "crafted/"))} == {
        f"{kind}/digits/{method}/seed0/apgd-standard.{form}"
        for kind, form in (("challenges", "json"), ("crafted", "safetensors"))
        for method in ("nat", "rst_linf")
    }
    assert {path for path in ours if ours[path] != theirs.get(path)} == set() and set(ours) == set(theirs)


def test_a_challenge_says_what_each_round_left(both):
    found = json.loads((both["dvc"] / "challenges/digits/nat/seed0/apgd-standard.json").read_text())
    assert [(each["suite"], each["attack_seed"]) for each in found["rounds"]] == [
        ("apgd", 1),
        ("pgd", 0),
        ("transfer", 0),
    ]
    assert {attack["name"] for attack in found["rounds"][-1]["attacks"]} == {"rst_linf"}
    record = json.loads((both["dvc"] / "records/digits/nat/seed0/apgd-standard.json").read_text())
    withstood = zip(record["clean"], *(attack["correct"] for attack in record["attacks"]), strict=True)
    assert found["standing"] == "".join("1" if set(image) == {"1"} else "0" for image in withstood)


def test_afterwards_there_is_nothing_to_do_and_a_change_reruns_what_it_touches(both):
    folder = both["snakemake"]
    before = made(folder)
    assert before == {"train": 1, "evaluate": 2, "craft": 2, "challenge": 2, "tightness": 1}
    for engine in ("snakemake", "dvc"):
        run(folder, *(["snakemake", "--cores", "1"] if engine == "snakemake" else ["dvc", "repro"]))
        assert made(folder) == before
    write_params(folder, raw(attack_seeds=3))
    run(folder, "snakemake", "--cores", "1")
    assert made(folder) == {**before, "challenge": 4, "tightness": 2}
    write_params(folder, raw(attack_seeds=3, transfer_steps=4))
    run(folder, "dvc", "repro")
    assert made(folder)["evaluate"] == 2 and made(folder)["craft"] == 4
    shutil.rmtree(folder / "challenges")
    known = made(folder)
    run(folder, "snakemake", "--cores", "1")
    assert made(folder) == known and (folder / "challenges/digits/nat/seed0/apgd-standard.json").exists()


def test_a_record_of_other_images_is_refused(both):
    folder = both["dvc"]
    path = folder / "records/digits/nat/seed0/apgd-standard.json"
    kept = path.read_text()
    other = json.loads(kept)
    other["indices"] = other["indices"][::-1]
    path.unlink()
    path.write_text(json.dumps(other))
    command = ["mngac", "challenge", "--dataset", "digits", "--method", "nat", "--seed", "0", "--suite", "apgd"]
    write_params(folder, raw(attack_seeds=4))
    done = run(folder, *command, "--profile", "standard", check=False)
    path.write_text(kept)
    assert done.returncode == 2
    assert "found a record of other images; allowed: those of run.split; evaluate it anew" in done.stderr
