"""What the documentation site is laid out from. `make docs` builds it, looks for dead links, and at every page."""

import importlib.util
import json
import re

import pytest
import yaml
from helpers import ROOT

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
    sections = dict(
        re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", (laid / "reference/parameters.md").read_text(), re.M | re.S)
    )
    kinds = {name: kind for name, kind in schema["$defs"].items() if not name.endswith("Override")}
    assert set(sections) == {"params.yaml", *kinds}
    for name, kind in {"params.yaml": schema, **kinds}.items():
        told = dict(re.findall(r"^\| `(\S+)` \| .+ \| (.*) \|$", sections[name], re.M))
        assert set(told) == set(kind["properties"])
        for key, value in kind["properties"].items():
            said = " ".join(value.get("description", "").split())
            assert told[key].replace("\\|", "|").replace("&lt;", "<") == said
            assert not re.search(r"`[^`]*&lt;[^`]*`", told[key])
    for target in re.findall(r"\]\(#(\w+)\)", "".join(sections.values())):
        assert target in {name.lower() for name in kinds}


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
