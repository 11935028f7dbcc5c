"""Imports point down only; what must start fast imports nothing heavy."""

import ast
import subprocess
import sys

import pytest
from helpers import ROOT

LAYERS = [
    {"errors", "fingerprint", "streams", "progress"},
    {"params", "artifacts", "sources"},
    {"registry", "device", "paths", "yaml_file"},
    {"params_file", "stages", "suites"},
    {"jobs", "training_log", "tensors", "records", "statistics", "provenance"},
    {"norms", "losses", "models", "data", "red_flags", "compare"},
    {"attacks", "rows", "cost"},
    {"methods", "generator_diagnostics", "probes", "units"},
    {"training", "evaluation", "tables"},
    {"figures", "standalone", "released", "export", "model_card"},
    {"report"},
    {"cli", "__main__"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
FILES = sorted(p for p in (ROOT / "mngac").rglob("*.py") if p.name != "__init__.py")


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "mngac":
            names = [node.module] if "." in node.module else [f"mngac.{a.name}" for a in node.names]
            yield from (name.split(".")[1] for name in names)


@pytest.mark.parametrize("path", FILES, ids=[str(p.relative_to(ROOT)) for p in FILES])
def test_imports_point_down(path):
    own = path.relative_to(ROOT / "mngac").parts[0].removesuffix(".py")
    assert own in LEVEL, f"{own} has no layer: give it one in this test and in ARCHITECTURE.md"
    for name in imports(path):
        assert LEVEL[name] <= LEVEL[own], f"{own} imports {name}, which lies above it"


def modules_after(code):
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["tables", "records", "statistics", "stages", "params", "artifacts"])
def test_this_loads_without_torch(module):
    assert "torch" not in modules_after(f"import mngac.{module}")


def test_the_command_line_starts_without_torch_pydantic_or_yaml():
    loaded = modules_after("from mngac.cli import build_parser; build_parser()")
    assert not loaded & {"torch", "pydantic", "yaml", "rich", "numpy"}
