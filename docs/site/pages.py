"""`python docs/site/pages.py FOLDER`: lays out what the documentation site is built from.

The documents as they lie in the tree, the files that they link to, and pages that are made here: parameters from the
schema of params.yaml, the command line from its parser, Python and modules from docstrings, a gallery of the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mngac.cli import build_parser

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("*.md", "docs/**/*.md")
LINK = re.compile(r"(?:\]\(|src=\")([^)#\"\s]+)")
IMAGE = re.compile(r"!\[(.+)\]\((\S+)\)")
OVERRIDE = re.compile(r"Override$")


def documents() -> list[Path]:
    """Markdown of the tree, relative to it."""
    return sorted(path.relative_to(ROOT) for pattern in DOCUMENTS for path in ROOT.glob(pattern))


def laid(into: Path) -> None:
    """Copies the documents, and what each of them links to within the tree."""
    wanted = set(documents())
    for page in documents():
        for target in LINK.findall((ROOT / page).read_text()):
            path = (ROOT / page.parent / target).resolve()
            if "://" not in target and path.is_relative_to(ROOT) and path.is_file():
                wanted.add(path.relative_to(ROOT))
    for path in sorted(wanted):
        (into / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, into / path)


def title(page: Path) -> str:
    """The first heading."""
    return page.read_text().split("\n", 1)[0].removeprefix("# ")


# Parameters


def parameters() -> str:
    """Every key of params.yaml: where it stands, what may stand for it, and what it says."""
    schema = json.loads((ROOT / "workflow/schemas/params.schema.json").read_text())
    where: dict[str, list[str]] = {}
    places(schema, schema["$defs"], "", where)
    names = {kind: of[0] for kind, of in where.items()}
    lines = ["# Parameters", "", schema["description"], ""]
    lines += ["What params.yaml may say. `mngac schema` prints the same as a JSON schema, for editors."]
    lines += ["", "## params.yaml", "", *keys(schema, names)]
    for kind, of in where.items():
        also = ["", "Also: " + ", ".join(f"`{path}`" for path in of[1:]) + "."] if of[1:] else []
        lines += ["", f"## {escaped(of[0])} {{#{anchor(of[0])}}}", "", schema["$defs"][kind].get("description", "")]
        lines += [*also, "", *keys(schema["$defs"][kind], names)]
    return "\n".join(lines) + "\n"


def places(content: Any, kinds: dict[str, Any], path: str, found: dict[str, list[str]]) -> None:
    """Adds where each kind of section stands in params.yaml, such as `data.<name>`, in the order of the schema."""
    if not isinstance(content, dict):
        return
    if "$ref" in content:
        of = found.setdefault(kind_of(content), [])
        if path not in of:
            of.append(path)
            places(kinds[kind_of(content)], kinds, path, found)
    for each in content.get("anyOf", []):
        places(each, kinds, path, found)
    for key, value in content.get("properties", {}).items():
        places(value, kinds, f"{path}.{key}".lstrip("."), found)
    for value in (content.get("additionalProperties"), *content.get("patternProperties", {}).values()):
        places(value, kinds, f"{path}.<name>", found)
    places(content.get("items"), kinds, f"{path}[]", found)


def kind_of(reference: dict[str, Any]) -> str:
    """The kind of section that a `$ref` names."""
    return OVERRIDE.sub("", reference["$ref"].rpartition("/")[2])


def anchor(path: str) -> str:
    """By which a section is linked to."""
    return re.sub(r"[^a-z0-9_]+", "-", path.lower()).strip("-")


def keys(kind: dict[str, Any], names: dict[str, str]) -> Iterator[str]:
    """The keys of one kind of section."""
    yield from ("| key | allowed | what it says |", "|---|---|---|")
    for key, value in kind["properties"].items():
        default = f" (default: `{json.dumps(value['default'])}`)" if "default" in value else ""
        yield f"| `{key}` | {allowed(value, names)}{default} | {escaped(value.get('description', ''))} |"
    if isinstance(more := kind.get("additionalProperties"), dict):
        yield f"| any other name | {allowed(more, names)} | |"


def escaped(text: str) -> str:
    """In a cell of a table: no bars, and outside of code no tags."""
    spans = " ".join(text.split()).replace("|", "\\|").split("`")
    return "`".join(span if i % 2 else span.replace("<", "&lt;") for i, span in enumerate(spans))


def allowed(value: dict[str, Any], names: dict[str, str]) -> str:
    """What may stand for a value, in words; a section by the place of its keys, linked."""
    if "$ref" in value:
        name = names[kind_of(value)]
        return f"[{escaped(name)}](#{anchor(name)})"
    if "anyOf" in value:
        return " or ".join(dict.fromkeys(allowed(each, names) for each in value["anyOf"]))
    if "const" in value or "enum" in value:
        return ", ".join(f"`{json.dumps(each)}`" for each in value.get("enum", [value.get("const")]))
    if "patternProperties" in value:
        return "by name: " + " or ".join(allowed(each, names) for each in value["patternProperties"].values())
    if isinstance(value.get("additionalProperties"), dict):
        return "by name: " + allowed(value["additionalProperties"], names)
    if value.get("type") == "array":
        if "prefixItems" in value:
            return "list of " + ", ".join(allowed(each, names) for each in value["prefixItems"])
        return "list of " + allowed(value["items"], names) if "items" in value else "list"
    return KINDS.get(value.get("type", ""), "anything") + bounds(value)


KINDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "`true`, `false`",
    "null": "`null`",
}
BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def bounds(value: dict[str, Any]) -> str:
    """A number's bounds, or a text's pattern."""
    told = [f"{sign} {value[key]}" for key, sign in BOUNDS.items() if key in value]
    if "pattern" in value:
        told.append("`" + value["pattern"].replace("|", "\\|") + "`")
    return " " + ", ".join(told) if told else ""


# The command line


def command_line() -> str:
    """`--help` of every command."""
    os.environ["COLUMNS"] = "100"  # by which argparse wraps
    lines = ["# Command line", ""]
    for name, parser in commands(build_parser()):
        lines += [f"## {name}", "", "```text", parser.format_help().rstrip(), "```", ""]
    return "\n".join(lines)


def commands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """A parser and those of its commands, by name."""
    yield parser.prog, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from commands(each)


# Python


FACE = {
    "evaluate": "api.evaluation",
    "Evaluated": "api.evaluation",
    "attack": "api.attacks",
    "train": "api.training",
    "Trained": "api.training",
    "load_classifier": "api.classifiers",
    "load_data": "data.store:load",
    "read_record": "results.records:read",
    "Record": "results.records",
    "compare": "results.compare",
}
"""Where each name of `import mngac` is written down."""


def python() -> str:
    """What `import mngac` gives."""
    lines = ["# Python", "", "What `import mngac` gives; how it is used: [From Python](../docs/python.md).", ""]
    for name, where in FACE.items():
        module, _, own = where.partition(":")
        options = f"{{skip_local_inventory: true, heading: mngac.{name}, toc_label: mngac.{name}}}"
        lines += [f"::: mngac.{module}.{own or name}", f"    options: {options}", ""]
    return "\n".join(lines)


SEARCHED_LAST = ("---", "search:", "  boost: 0.3", "---", "")
"""Of a page that a search shall find after others."""


def modules() -> dict[str, str]:
    """A page a room of mngac/, with what each of its modules has for others."""
    package = ROOT / "mngac"
    rooms: dict[str, list[str]] = {"mngac": []}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        if parts[-1].startswith("__"):
            continue
        rooms.setdefault(parts[0] if len(parts) > 1 else "mngac", []).append(".".join(("mngac", *parts)))
    pages = {
        f"reference/modules/{room}.md": "\n".join(
            [*SEARCHED_LAST, f"# {room}", "", *(f"::: {name}\n" for name in names)]
        )
        for room, names in rooms.items()
    }
    index = [f"- [{room}](modules/{room}.md): {', '.join(names)}" for room, names in rooms.items()]
    about = "What each file has for others, from its docstrings, by rooms ([architecture](../ARCHITECTURE.md))."
    return pages | {"reference/modules.md": "\n".join(["# Modules", "", about, "", *index]) + "\n"}


# Figures


def gallery() -> str:
    """Every figure of a document, with the page that says what is to be seen in it."""
    lines = ["# Gallery", "", "Drawn by the pipeline; each page says of what run, with n, seeds and machine.", ""]
    seen = set()
    for page in documents():
        for caption, name in IMAGE.findall((ROOT / page).read_text()):
            image = (ROOT / page.parent / name).resolve().relative_to(ROOT)
            if image not in seen:
                seen.add(image)
                lines += [
                    f"## {title(ROOT / page)}: {caption}",
                    "",
                    f"![{caption}]({image})",
                    "",
                    f"From [{title(ROOT / page)}]({page}).",
                    "",
                ]
    return "\n".join(lines)


def main(into: Path) -> None:
    """Writes all of it, in place of what was laid out there before; a folder of something else is refused."""
    if into.exists():
        if any(into.iterdir()) and not (into / "gallery.md").exists():
            sys.exit(f"{into}: found a folder of something else; allowed: a new one, or one laid out before")
        shutil.rmtree(into)
    laid(into)
    made = {
        "reference/parameters.md": parameters(),
        "reference/command_line.md": command_line(),
        "reference/python.md": python(),
        "gallery.md": gallery(),
        **{name: Path(__file__).with_name(name).read_text() for name in ("site.css", "search.js", "iframe-worker.js")},
        **modules(),
    }
    for name, text in made.items():
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        (into / name).write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
