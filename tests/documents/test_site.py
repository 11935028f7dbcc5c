"""What the documentation site is laid out from. `make docs` builds it, looks for dead links, and at every page."""

import importlib.util
import json
import re

import pytest
import yaml
from helpers import ROOT, raw_params

import mngac

DECISIONS = ROOT / "docs/decisions"


@pytest.fixture(scope="module")
def pages():
    spec = importlib.util.spec_from_file_location("pages", ROOT / "docs/site/pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def laid(pages, tmp_path_factory):
    into = tmp_path_factory.mktemp("laid")
    pages.main(into)
    return into


def test_the_reference_of_python_has_every_name_that_the_package_gives(pages):
    assert set(pages.FACE) == set(mngac.__all__) - {"__version__"}
    for name, where in pages.FACE.items():
        module, _, own = where.partition(":")
        found = getattr(importlib.import_module(f"mngac.{module}"), own or name)
        assert found is getattr(mngac, name)


def test_the_reference_of_parameters_has_every_key_with_what_it_says(laid):
    schema = json.loads((ROOT / "workflow/schemas/params.schema.json").read_text())
    sections = sections_of(laid)
    kinds = {"": schema} | {name: kind for name, kind in schema["$defs"].items() if not name.endswith("Override")}
    places = {" ".join(kind["properties"]): name for name, kind in kinds.items()}
    assert len(sections) == len(kinds)
    for text in sections.values():
        told = dict(re.findall(r"^\| `(\S+)` \| .+ \| (.*) \|$", text, re.M))
        for key, value in kinds[places[" ".join(told)]]["properties"].items():
            said = " ".join(value.get("description", "").split())
            assert told[key].replace("\\|", "|").replace("&lt;", "<") == said
            assert not re.search(r"`[^`]*&lt;[^`]*`", told[key])
    anchors = re.findall(r"^## .* \{#(\S+)\}$", (laid / "reference/parameters.md").read_text(), re.M)
    assert set(re.findall(r"\]\(#([^)]+)\)", "".join(sections.values()))) <= set(anchors)
    assert len(set(anchors)) == len(sections) - 1


@pytest.mark.parametrize(
    "place",
    ["run", "data.<name>", "radii.<name>.<name>", "training.default", "training.default.attack.linf", "methods.<name>"],
)
def test_the_reference_of_parameters_names_the_place_of_each_section_in_the_shipped_file(laid, place):
    told = re.findall(r"^\| `(\S+)` \|", sections_of(laid)[place], re.M)
    found = [raw_params()]
    for step in place.split("."):
        found = [each for at in found for each in (at.values() if step == "<name>" else [at[step]])]
    assert found and {key for each in found for key in each} <= set(told)


def sections_of(laid):
    """The reference of parameters by the places that its sections are of."""
    text = (laid / "reference/parameters.md").read_text()
    headed = re.findall(r"^## (.+?)(?: \{#\S+\})?\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    return {heading.replace("&lt;", "<"): content for heading, content in headed}


def test_the_reference_of_the_command_line_has_every_command(laid):
    text = (laid / "reference/command_line.md").read_text()
    assert {"## mngac train", "## mngac verify", "## mngac cache prune"} <= set(text.splitlines())


def test_every_module_has_its_place(laid):
    named = re.findall(r"^::: (\S+)$", "".join(p.read_text() for p in (laid / "reference/modules").glob("*.md")), re.M)
    files = [path for path in (ROOT / "mngac").rglob("*.py") if not path.stem.startswith("__")]
    assert sorted(named) == sorted(".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files)


def test_the_gallery_has_every_figure_of_the_documents(laid):
    text = (laid / "gallery.md").read_text()
    drawn = [path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.png")]
    assert [name for name in drawn if f"]({name})" not in text] == []
    assert [name for name in drawn if not (laid / name).exists()] == []


def test_the_list_of_decisions_has_each_by_its_title():
    listed = re.findall(r"^- \[(.+)\]\((\S+)\)$", (DECISIONS / "README.md").read_text(), re.M)
    titles = {path.name: path.read_text().split("\n")[0].removeprefix("# ") for path in DECISIONS.glob("0*.md")}
    assert {name: title for title, name in listed} == titles and len(listed) == len(titles)


def test_every_document_is_in_the_navigation(pages, laid):
    """mkdocs says so too, where it is installed: but for decisions, which their list names."""

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)
    nav = yaml.load((ROOT / "docs/site/mkdocs.yml").read_text(), Loader)["nav"]

    def leaves(content):
        if isinstance(content, str):
            return [content]
        return [leaf for each in (content.values() if isinstance(content, dict) else content) for leaf in leaves(each)]

    rooms = {path.relative_to(laid).as_posix() for path in (laid / "reference/modules").glob("*.md")}
    assert rooms < set(leaves(nav))
    documents = {page.as_posix() for page in pages.documents() if not re.match(r"docs/decisions/0", page.as_posix())}
    assert documents == {name for name in leaves(nav) if not name.startswith(("reference/", "gallery"))}
