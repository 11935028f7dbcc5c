"""Documents name what exists."""

import re

import pytest
from helpers import ROOT

from benchmarks import measured
from benchmarks.page import page

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
FILE = r"(?<![\w./-])(?:mngac|tests|benchmarks|workflow|docs|examples)/[\w./-]*\w"
IN_A_WHEEL = {"mngac/shipped"}
"""What stands in no checkout."""


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_that_a_document_names_exists(document):
    named = set(re.findall(FILE, document.read_text())) - IN_A_WHEEL
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def test_the_page_of_measurements_is_rendered_from_its_json():
    assert page(measured.read(ROOT / "docs/measurements.json")) == (ROOT / "docs/measurements.md").read_text()
