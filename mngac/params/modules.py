"""Python modules as files and syntax trees: found and read without importing them."""

from __future__ import annotations

import ast
import functools
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

Definition = ast.ClassDef | ast.FunctionDef


def module_file(module: str) -> Path | None:
    """The source file that importing a module would run, without running any; None where there is none."""
    parts, places = module.split("."), None
    spec: ModuleSpec | None = None
    for i in range(len(parts)):
        name = ".".join(parts[: i + 1])
        finders = (getattr(finder, "find_spec", None) for finder in sys.meta_path)
        spec = next((spec for find_spec in finders if find_spec and (spec := find_spec(name, places))), None)
        if spec is None:
            return None
        places = spec.submodule_search_locations
        if places is None and i + 1 < len(parts):
            return None
    path = Path(spec.origin) if spec and spec.origin else None
    return path if path and path.suffix == ".py" and path.exists() else None


def absolute(node: ast.ImportFrom, module: str, is_package: bool) -> str:
    """The module that `from ... import` names, a relative one seen from `module`."""
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    base = parts[: len(parts) - node.level + is_package]
    return ".".join([*base, *([node.module] if node.module else [])])


def told(error: Exception) -> str:
    """What was raised, in one line, and where."""
    trace, place = error.__traceback__, ""
    while trace:
        place = f" in {trace.tb_frame.f_code.co_filename}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(error).__name__}: {' '.join(str(error).split())}{place}"


@functools.cache
def tree_of(path: Path) -> ast.Module:
    """The syntax tree of a file.

    Raises:
        SyntaxError: for one that is not Python.
    """
    return ast.parse(path.read_text(encoding="utf-8"))


def definitions(tree: ast.Module) -> dict[str, Definition]:
    """The classes and functions that a module defines, by name."""
    return {node.name: node for node in tree.body if isinstance(node, Definition)}


def parameters(function: ast.FunctionDef) -> list[str]:
    """Names of a function's parameters, those of `*args` and `**kwargs` with their stars."""
    of = function.args
    named = [arg.arg for arg in of.posonlyargs + of.args]
    rest = [f"*{of.vararg.arg}"] if of.vararg else ["*"] if of.kwonlyargs else []
    return [*named, *rest, *(arg.arg for arg in of.kwonlyargs), *([f"**{of.kwarg.arg}"] if of.kwarg else [])]


def accepts(function: ast.FunctionDef, count: int) -> bool:
    """Whether a function can be called with so many arguments by position; of a decorated one nobody can tell: True."""
    of = function.args
    named = len(of.posonlyargs) + len(of.args)
    enough = named - len(of.defaults) <= count and all(of.kw_defaults)
    return bool(function.decorator_list) or (enough and (count <= named or of.vararg is not None))
