"""Registries are folders: what can be named is a file that defines what is asked for, found without importing it."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

from mngac.params.errors import ParamsError, shown

PACKAGE = Path(__file__).parent.parent
DEFINES = {"methods": "Method", "evaluation/attacks": "attack", "data/loaders": "load", "models": "build"}
"""Registry folders of the package, and the class or function that makes a file of theirs one of the kinds."""


@functools.cache
def kinds(folder: str) -> list[str]:
    """Names that a registry folder of the package offers, without importing any of its files."""
    return sorted(p.stem for p in (PACKAGE / folder).glob("*.py") if DEFINES[folder] in _definitions(_tree(p)))


@functools.cache
def keys_read(folder: str, kind: str) -> set[str]:
    """The keys that a registry file reads, as `config.key` in its syntax tree; so no key is stated in vain."""
    return {
        node.attr
        for node in ast.walk(_tree(PACKAGE / folder / f"{kind}.py"))
        if isinstance(node, ast.Attribute) and getattr(node.value, "attr", getattr(node.value, "id", "")) == "config"
    }


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _definitions(tree: ast.Module) -> set[str]:
    return {node.name for node in tree.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}


def model_family(name: str) -> str:
    """The file of mngac/models that builds a model, from its name: `wrn_28_10` -> wide_resnet."""
    families = {"wrn": "wide_resnet", "preact": "preact_resnet", "resnet": "resnet", "authors": "authors_resnet"}
    family = families.get(name.split("_")[0])
    if family not in kinds("models"):
        raise ParamsError(f"model: found {shown(name)}; allowed: wrn_<depth>_<width>, preact_resnet_18, resnet_50")
    return family
