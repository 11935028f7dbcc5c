"""The rooms of ARCHITECTURE.md: imports point down, nothing imports in a ring, and each room keeps its rule."""

import ast
import re
import subprocess
import sys

import pytest
from helpers import ROOT

PACKAGE = ROOT / "mngac"
FILES = sorted(PACKAGE.rglob("*.py"))
WITHOUT_TORCH = [
    *(PACKAGE / "params").rglob("*.py"),
    *(PACKAGE / "pipeline").rglob("*.py"),
    *(PACKAGE / "results").rglob("*.py"),
    *(PACKAGE / "report").rglob("*.py"),
    *(PACKAGE / "planning").rglob("*.py"),
]


def floors(text):
    """room -> floor, from the table under `## Rooms`: the lowest floor is 1."""
    table = text.split("\n## Rooms\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \|", table, re.M)
    return {room: int(number) for number, rooms in rows for room in re.findall(r"`(\w+)`", rooms)}


LEVEL = floors((ROOT / "ARCHITECTURE.md").read_text())


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module):
    return module.split(".")[1] if "." in module else "mngac"


MODULES = {module_of(path): path for path in FILES}


def imports(path):
    """Modules of the package that a file imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "mngac":
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)


def wrong_way(importer, imported, level):
    """Why an import may not be, or None: it must lead to a lower floor, or stay in its room."""
    own, other = room_of(importer), room_of(imported)
    for room in (own, other):
        if room != "mngac" and room not in level:
            return f"{room} is in no room: give it a floor in ARCHITECTURE.md"
    if "mngac" in (own, other) or own == other or level[other] < level[own]:
        return None
    return f"{importer} imports {imported}, which does not lie below it"


def ring(graph):
    """Modules that import each other in a circle; empty where there are none."""
    finished = set()

    def look(module, path):
        if module in path:
            return path[path.index(module) :]
        if module in finished:
            return []
        for other in graph.get(module, ()):
            found = look(other, [*path, module])
            if found:
                return found
        finished.add(module)
        return []

    return next((found for module in graph if (found := look(module, []))), [])


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module):
    for other in [module, *imports(MODULES[module])]:
        assert wrong_way(module, other, LEVEL) is None


def test_every_room_of_architecture_exists():
    there = {p.stem for p in PACKAGE.iterdir() if p.suffix in ("", ".py") and p.stem not in ("__init__", "__pycache__")}
    assert set(LEVEL) == there


def test_no_modules_import_each_other_in_a_ring():
    assert ring({module: set(imports(path)) - {module} for module, path in MODULES.items()}) == []


def test_these_tests_can_fail():
    level = {"low": 1, "left": 2, "right": 2}
    assert wrong_way("mngac.left", "mngac.low.file", level) is None
    assert "does not lie below" in wrong_way("mngac.low", "mngac.left", level)
    assert "does not lie below" in wrong_way("mngac.left", "mngac.right", level)
    assert "no room" in wrong_way("mngac.homeless", "mngac.homeless", level)
    assert ring({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]


def test_training_knows_that_there_is_a_method_not_which():
    inside = [other for module, path in MODULES.items() if room_of(module) == "training" for other in imports(path)]
    assert {other for other in inside if room_of(other) == "methods"} == {"mngac.methods.base"}


def test_nothing_that_computes_knows_of_planning():
    """So it is in no code digest, and a better estimate makes nothing anew."""
    importers = {module for module, path in MODULES.items() for other in imports(path) if room_of(other) == "planning"}
    assert {module for module in importers if room_of(module) != "planning"} == {"mngac.cli"}


def walks(text):
    """The stations of each reader's walk: (file, function), a file alone as (file, None)."""
    part = text.split("\n## A reader's walk\n")[1].split("\n## ")[0]
    found = []
    for number, file, function in re.findall(r"^(\d+)\. `([^`]+)`:(?: `(\w+)`)?", part, re.M):
        if number == "1":
            found.append([])
        found[-1].append((file, function))
    return found


def test_the_readers_walks_lead_through_what_exists_in_at_most_twelve_stations():
    one, other = walks((ROOT / "ARCHITECTURE.md").read_text())
    for walk in (one, other):
        assert 10 <= len(walk) <= 12
        for file, function in walk:
            text = (ROOT / file).read_text()
            assert not function or re.search(rf"^ *def {function}\b", text, re.M), (file, function)


def modules_after(code):
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_these_rooms_load_without_torch():
    names = [module_of(path) for path in WITHOUT_TORCH]
    assert len(names) > 20
    loaded = modules_after("\n".join(f"import {name}" for name in names))
    assert "torch" not in loaded and set(names) <= loaded


def test_the_command_line_starts_without_torch_pydantic_or_yaml():
    loaded = modules_after("from mngac.cli import build_parser; build_parser()")
    assert not loaded & {"torch", "pydantic", "yaml", "rich", "numpy"}
