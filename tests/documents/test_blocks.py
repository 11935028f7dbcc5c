"""Every code block of a document is run as it stands, or is output, or says why it is not run."""

import itertools

import pytest
import yaml
from documents.blocks import COMMANDS, OUTPUT, blocks, run_page
from helpers import ROOT, raw_params, small

from mngac.params.checks import parse
from mngac.params.inheritance import merged

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob(".github/*.md")])
METHODS = {"evaluation.md": ("nat", "sat_ac_noise", "mng_ac")}
"""Of the small run in whose checkout a page's blocks are run; of other pages:"""
OTHERWISE = ("nat", "adv_linf", "mng_ac")


ELSEWHERE = ("own_method_and_model.md",)
"""Pages that other tests run, to look at more of what comes out: tests/pipeline/test_own_package.py."""


def runs(page):
    here = page.name not in ELSEWHERE
    return here and any(block.language in COMMANDS and not block.not_run for block in blocks(page))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """One for all pages: what one has trained, the next one has, as its reader would."""
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_says_what_it_is(page):
    assert [b.where for b in blocks(page) if b.language not in (*COMMANDS, *OUTPUT)] == []
    lines = page.read_text().split("\n")
    unfenced = [line for above, line in itertools.pairwise(lines) if line.startswith("    ") and not above.strip()]
    inside = "\n".join(block.text for block in blocks(page)).split("\n")
    assert [line for line in unfenced if line not in inside] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_is_to_stand_in_params_yaml_may_stand_in_the_shipped_one(page, tmp_path, monkeypatch):
    """The run below is a small one, which may hide what a reader's is refused for."""
    monkeypatch.syspath_prepend(str(tmp_path / "research"))
    raw = raw_params()
    for block in blocks(page):
        if block.file.startswith("~/"):
            path = tmp_path / block.file[2:]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
        elif block.language == "yaml" and not block.not_run and not block.file:
            raw = merged(raw, yaml.safe_load(block.text))
            parse(raw)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_block_that_shows_a_file_of_the_tree_shows_what_it_says(page):
    for block in blocks(page):
        if block.file and (ROOT / block.file).exists():
            text = (ROOT / block.file).read_text()
            assert block.text in text and set(text.replace(block.text, "").splitlines()) <= {""}, block.where


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if runs(page)], ids=lambda page: page.name)
def test_its_blocks_run(page, tmp_path, cache):
    raw = small(METHODS.get(page.name, OTHERWISE), suites=["quick"])
    raw["evaluation"]["quick"] |= {"n": 20}
    run_page(page, tmp_path, raw, cache)
