"""Digests of files and of code.

The code digest of a module is the digest of the syntax trees, without docstrings, of the module and of all package
modules that it imports, wherever in the file the import stands. Registries import by name at run time, which a
syntax tree does not show: so a new method or attack changes no digest but its own. For a module of the user's own,
what it imports of its own top-level package counts, too.
"""

import ast
import functools
import hashlib
from collections.abc import Iterable
from pathlib import Path

from mngac.params.modules import absolute, module_file

ROOT = Path(__file__).parent.parent.parent

OUTSIDE = ("mngac.params", "mngac.pipeline")
"""Rooms in no digest: what they do to a result is in its key already, as validated values, paths and versions."""


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def code_digest(modules: Iterable[str]) -> str:
    """SHA-256 over `modules`, which may be said as `module:name`, and everything of their packages that they import.

    Raises:
        FileNotFoundError: for a module that does not exist.
    """
    return _digest(frozenset(module.partition(":")[0] for module in modules))


def imported(modules: Iterable[str]) -> set[str]:
    """Top-level packages of others that `modules`, or what they import of their own packages, import."""
    return {name for module in _closure(frozenset(m.partition(":")[0] for m in modules)) for name in _foreign(module)}


@functools.cache
def _digest(modules: frozenset[str]) -> str:
    digest = hashlib.sha256()
    for module in sorted(_closure(modules)):
        digest.update(f"{module}\n{_stripped(module)}\n".encode())
    return digest.hexdigest()


@functools.cache
def _closure(modules: frozenset[str]) -> frozenset[str]:
    """The modules, all that they import, and the packages that these lie in.

    A package's own imports are followed only where something imports from the package itself: that a file lies beside
    others does not make it depend on them.
    """
    closure: set[str] = set()
    todo = list(modules)
    while todo:
        module = todo.pop()
        if module not in closure and not _outside(module):
            closure.add(module)
            todo += _imports(module)
    return frozenset(closure | {parent for module in closure for parent in _parents(module) if _path(parent)})


def _outside(module: str) -> bool:
    return module == "mngac" or any(module == room or module.startswith(f"{room}.") for room in OUTSIDE)


def _parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:i]) for i in range(1 + (parts[0] == "mngac"), len(parts))]


def _path(module: str) -> Path | None:
    if module.split(".")[0] != "mngac":
        return module_file(module)
    base = ROOT.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.exists():
            return path
    return None


@functools.cache
def _tree(module: str) -> ast.Module:
    """The module's syntax tree, docstrings and other bare strings taken out."""
    path = _path(module)
    if path is None:
        raise FileNotFoundError(f"no module {module}")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            node.body = [s for s in node.body if not _is_string(s)] or [ast.Pass()]
    return tree


@functools.cache
def _stripped(module: str) -> str:
    return ast.dump(_tree(module))


def forget() -> None:
    """Lets files of code be read anew: they may have changed since."""
    for kept in (_digest, _closure, _tree, _stripped, _imports, _foreign):
        kept.cache_clear()


def _is_string(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


@functools.cache
def _imports(module: str) -> tuple[str, ...]:
    names: list[str] = []
    path = _path(module)
    is_package = path is not None and path.name == "__init__.py"
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            source = absolute(node, module, is_package)
            names += [source, *(f"{source}.{alias.name}" for alias in node.names)]
    ours = [n for n in names if n.split(".")[0] in ("mngac", module.split(".")[0]) and _path(n)]
    return tuple(dict.fromkeys(ours))


@functools.cache
def _foreign(module: str) -> tuple[str, ...]:
    named = [alias.name for node in ast.walk(_tree(module)) if isinstance(node, ast.Import) for alias in node.names]
    named += [
        node.module or "" for node in ast.walk(_tree(module)) if isinstance(node, ast.ImportFrom) and not node.level
    ]
    return tuple({name.split(".")[0] for name in named} - {"mngac", "", module.split(".")[0]})
