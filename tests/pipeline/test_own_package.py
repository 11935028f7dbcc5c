"""docs/own_method_and_model.md as it stands: a package outside the checkout becomes a row and bars of a figure."""

import csv
import json
import os
import re
import subprocess
import textwrap
from pathlib import Path

import pytest
import yaml
from helpers import ROOT, run, small, workspace, write_params

from mngac.params.inheritance import merged
from mngac.pipeline.cache import Cache

PAGE = (ROOT / "docs/own_method_and_model.md").read_text()


def blocks():
    """Indented blocks of the page by their first line, the comment that says what they are."""
    found = [textwrap.dedent(block) for block in re.findall(r"(?:^(?: {4}.*)?\n)*^ {4}.*\n", PAGE, re.M)]
    return {block.strip().split("\n")[0].removeprefix("# "): block.strip() + "\n" for block in found}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The page's package in a home of its own, and a workspace after the page's commands."""
    home = tmp_path_factory.mktemp("home")
    pieces = blocks()
    for name in [name for name in pieces if name.endswith(".py")]:
        path = home / name.removeprefix("~/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(pieces[name])
    raw = merged(small(methods=("nat",)), yaml.safe_load(pieces["params.yaml"]))
    folder = workspace(tmp_path_factory.mktemp("own") / "w", raw)
    run(folder, "git", "init", "-q")
    commands = "".join(text for name, text in pieces.items() if name.startswith("in the "))
    env = {**os.environ, "HOME": str(home), "MNGAC_CACHE": str(folder / "cache"), "PYTHONPATH": str(folder)}
    done = subprocess.run(["bash", "-ec", commands], cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return home, folder, raw, done.stdout


def planned(home, folder):
    """What `snakemake -n` would do."""
    env = {**os.environ, "MNGAC_CACHE": str(folder / "cache"), "PYTHONPATH": f"{home}/research:{folder}"}
    done = subprocess.run(
        ["snakemake", "-n", "--quiet", "host"], cwd=folder, env=env, capture_output=True, text=True, check=True
    )
    return set(re.findall(r"^rule (\w+):", done.stdout + done.stderr, re.M))


@pytest.mark.slow
def test_it_is_trained_evaluated_and_in_the_table_and_the_figure(made):
    _, folder, _, said = made
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
    home, folder, _, _ = made
    parts = {e.name: e.about["parts"] for e in Cache(folder / "cache").entries()}
    assert {"noisynets.methods:Noisy", "noisynets.nets:small"} < set(parts["train digits noisy 0"]["code"])
    assert parts["train digits noisy 0"]["params"]["method"]["options"] == {"alpha": 0.2}
    assert planned(home, folder) == set()
    path = home / "research/noisynets/methods.py"
    path.write_text(path.read_text().replace("2 * torch.rand", "2.0 * torch.rand"))
    assert {"train", "evaluate"} <= planned(home, folder)


@pytest.mark.slow
def test_a_package_that_is_not_on_the_path_is_one_line(made):
    _, folder, raw, _ = made
    write_params(folder, raw)
    done = run(folder, "mngac", "train", "--dataset", "digits", "--method", "noisy", "--seed", "0", check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith('mngac: training.digits.model: found "noisynets.nets:small", but no file of a module')


def test_the_page_names_files_that_exist():
    assert all(Path(ROOT, name).exists() for name in re.findall(r"(?:tests|mngac)/[\w/]+(?:\.py)?", PAGE))
