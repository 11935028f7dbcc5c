"""A specialist's training is a row like any other, and its ratios come out the same under both engines."""

import json

import pytest
from helpers import run, small, workspace

from mngac.pipeline.cache import Cache

pytestmark = pytest.mark.slow
HALF = {"linf": 0.075, "l1": 0.75, "l2": 0.275}


def with_a_space():
    """Two specialists of l_2, one of them in half the ball."""
    raw = small(methods=("nat", "adv_l2", "adv_l2_half"), profiles=["standard", "half"], attack_spaces=["l2_alone"])
    raw["radii"]["half"] = {"digits": HALF}
    raw["methods"]["adv_l2_half"] = {"like": "adv_l2", "training": {"profile": "half"}}
    specialists = {"l2": ["adv_l2_half", "adv_l2"]}
    raw["attack_spaces"] = {"l2_alone": {"suite": "apgd", "profiles": ["half", "standard"], "specialists": specialists}}
    raw["evaluation"]["apgd"]["attacks"] = [a for a in raw["evaluation"]["apgd"]["attacks"] if a["norm"] == "l2"]
    return raw


def test_both_engines_train_specialists_at_their_radii_and_write_the_same_ratios(tmp_path):
    folders = {}
    table = "results/tables/competitiveness-l2_alone.csv"
    for engine, command in (
        ("snakemake", ["snakemake", "--cores", "1", table]),
        ("dvc", ["dvc", "repro", "competitiveness@l2_alone"]),
    ):
        folder = folders[engine] = workspace(tmp_path / engine, with_a_space())
        run(folder, "git", "init", "-q")
        run(folder, *command)
    trained = {e.name: e.about["parts"]["params"] for e in Cache(folders["dvc"] / "cache").entries()}
    assert trained["train digits adv_l2_half 0"]["radii"] == HALF != trained["train digits adv_l2 0"]["radii"]
    for form in ("tables/{}.md", "tables/{}.csv", "tables/{}.tex", "figures/{}.png", "figures/{}.svg"):
        path = f"results/{form.format('competitiveness-l2_alone')}"
        one, other = ((folders[engine] / path).read_bytes() for engine in folders)
        assert one == other or form.endswith((".md", ".tex")), path  # whose captions name the machine's commit
    lines = (folders["snakemake"] / table).read_text().splitlines()
    assert len(lines) == 1 + 3 * (2 + 1 + 1)
    record = json.loads((folders["dvc"] / "records/digits/adv_l2_half/seed0/apgd-half.json").read_text())
    assert {attack["radius"] for attack in record["attacks"]} == {"0.275"}
