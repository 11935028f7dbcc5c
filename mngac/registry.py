"""Registries are folders: what can be named is a file there, found without importing it."""

from __future__ import annotations

import ast
import functools

from mngac.errors import shown
from mngac.params import PACKAGE, ParamsError


@functools.cache
def kinds(folder: str) -> list[str]:
    """Names that a registry folder of the package offers: its files, without importing any of them."""
    hidden = {"__init__", "base"}
    return sorted(p.stem for p in (PACKAGE / folder).glob("*.py") if p.stem not in hidden)


@functools.cache
def keys_read(folder: str, kind: str, owner: str) -> set[str]:
    """The keys that a registry file reads, as `owner.key` in its syntax tree; so no setting is set in vain."""
    tree = ast.parse((PACKAGE / folder / f"{kind}.py").read_text())
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and getattr(node.value, "attr", getattr(node.value, "id", "")) == owner
    }


def model_family(name: str) -> str:
    """The file of mngac/models that builds a model, from its name: `wrn_28_10` -> wide_resnet."""
    families = {"wrn": "wide_resnet", "preact": "preact_resnet", "resnet": "resnet", "authors": "authors_resnet"}
    family = families.get(name.split("_")[0])
    if family not in kinds("models"):
        raise ParamsError(f"model: found {shown(name)}; allowed: wrn_<depth>_<width>, preact_resnet_18, resnet_50")
    return family
