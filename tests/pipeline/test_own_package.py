"""docs/own_method_and_model.md as it stands: a package outside the checkout becomes a row and bars of a figure."""

import csv
import json
import os
import re
import subprocess

import pytest
from documents.blocks import run_page
from helpers import ROOT, run, small

from mngac.pipeline.cache import Cache

PAGE = ROOT / "docs/own_method_and_model.md"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The home that the page's package lies in, and the checkout after the page's blocks."""
    at = tmp_path_factory.mktemp("own")
    said = run_page(PAGE, at, small(methods=("nat",)))
    return at / "home", at / "mngac", said


def planned(home, folder):
    """What `snakemake -n` would do."""
    cache = folder.parent / "cache"
    env = {**os.environ, "MNGAC_CACHE": str(cache), "PYTHONPATH": f"{home}/research:{folder}"}
    done = subprocess.run(
        ["snakemake", "-n", "--quiet", "host"], cwd=folder, env=env, capture_output=True, text=True, check=True
    )
    return set(re.findall(r"^rule (\w+):", done.stdout + done.stderr, re.M))


@pytest.mark.slow
def test_it_is_trained_evaluated_and_in_the_table_and_the_figure(made):
    _, folder, said = made
    about = json.loads((folder / "trained/digits/noisy/seed0/train.json").read_text())
    assert about["model"] == "noisynets.nets:small"
    rows = {line["method"]: line for line in csv.DictReader((folder / "results/tables/components.csv").open())}
    assert list(rows) == ["nat", "adv_linf", "noisy"] and all(rows["noisy"][c] for c in ("clean", "linf", "union"))
    assert "| noisy " in said and "p (vs noisy)" in " ".join(said.split())
    for figure in ("components", "motivation", "clean_and_union", "over_radius-digits"):
        assert "noisy" in (folder / f"results/figures/{figure}.svg").read_text(), figure
    record = json.loads((folder / "noisy.json").read_text())
    assert record["n"] == 10 and record["attacks"]


@pytest.mark.slow
def test_the_key_of_its_training_names_its_code_and_a_change_there_is_seen(made):
    home, folder, _ = made
    parts = {e.name: e.about["parts"] for e in Cache(folder.parent / "cache").entries()}
    assert {"noisynets.methods:Noisy", "noisynets.nets:small"} < set(parts["train digits noisy 0"]["code"])
    assert parts["train digits noisy 0"]["params"]["method"]["options"] == {"alpha": 0.2}
    assert planned(home, folder) == set()
    path = home / "research/noisynets/methods.py"
    path.write_text(path.read_text().replace("2 * torch.rand", "2.0 * torch.rand"))
    assert {"train", "evaluate"} <= planned(home, folder)


@pytest.mark.slow
def test_a_package_that_is_not_on_the_path_is_one_line(made):
    _, folder, _ = made
    done = run(folder, "mngac", "train", "--dataset", "digits", "--method", "noisy", "--seed", "0", check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith('mngac: training.digits.model: found "noisynets.nets:small", but no file of a module')
