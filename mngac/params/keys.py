"""Which keys of its entry a registry's class or function reads, from its syntax tree: so no key is stated in vain."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

from mngac.params.modules import Definition, absolute, definitions, module_file, tree_of
from mngac.params.registry import find


@functools.cache
def keys_read(folder: str, kind: str) -> set[str]:
    """The keys that a definition reads, as `config.key` in its syntax tree.

    It, what it uses of its own file, and the imported classes that it derives from are looked through. A key of
    `options` comes as `options.alpha`; `options.*` stands among them where not all of these can be known.
    """
    definition = find(folder, kind)
    nodes = _reading(definition.module, definition.path, definition.name)
    keys = [key for node in nodes for inner in ast.walk(node) for key in _keys(inner)]
    stated = [key for key in keys if key.startswith("options.")]
    return {*keys, *(["options.*"] if keys.count("options") > len(stated) else [])}


def _used(tree: ast.Module, name: str) -> list[Definition]:
    """A definition and all of its file that it uses, directly or not."""
    there = definitions(tree)
    used: dict[str, Definition] = {}
    todo = [name]
    while todo:
        node = there[todo.pop()]
        if node.name not in used:
            used[node.name] = node
            todo += [n.id for n in ast.walk(node) if isinstance(n, ast.Name) and n.id in there]
    return list(used.values())


def _reading(module: str, path: Path, name: str) -> list[Definition]:
    """A definition, what it uses of its file, and the same of each imported class that one of these derives from."""
    tree = tree_of(path)
    used = _used(tree, name) if name in definitions(tree) else []
    nodes = list(used)
    for base in [base for node in used if isinstance(node, ast.ClassDef) for base in node.bases]:
        where, what = _imported(tree, base, module, is_package=path.name == "__init__.py")
        file = module_file(where) if where else None
        nodes += _reading(where, file, what) if file else []
    return nodes


def _imported(tree: ast.Module, base: ast.expr, module: str, is_package: bool) -> tuple[str, str]:
    """The module and the class that a base such as `Method` or `trades.Method` is imported from; else empty."""
    inner = base.value if isinstance(base, ast.Attribute) else base
    name, attribute = getattr(inner, "id", ""), getattr(base, "attr", "")
    statements = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    for statement, alias in [(each, alias) for each in statements for alias in each.names]:
        if (alias.asname or alias.name) != name:
            continue
        if isinstance(statement, ast.Import):
            return alias.name, attribute
        source = absolute(statement, module, is_package)
        return (f"{source}.{alias.name}", attribute) if attribute else (source, alias.name)
    return "", ""


def _keys(node: ast.AST) -> list[str]:
    """The keys that a node by itself reads: of `config.key`, or of `config.options["key"]`."""
    if isinstance(node, ast.Subscript) and _of_config(node.value) == "options":
        return [f"options.{node.slice.value!s}"] if isinstance(node.slice, ast.Constant) else []
    key = _of_config(node)
    return [key] if key else []


def _of_config(node: ast.AST) -> str | None:
    """`key` of `config.key` and `self.config.key`."""
    if not isinstance(node, ast.Attribute):
        return None
    return node.attr if getattr(node.value, "attr", getattr(node.value, "id", "")) == "config" else None
