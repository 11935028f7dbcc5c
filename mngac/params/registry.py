"""What params.yaml can name: a file of a registry folder, or `package.module:name` of the user's own.

Either is found, and the keys that it reads are known, from its syntax tree alone: nothing is imported before it is run.
"""

from __future__ import annotations

import ast
import functools
import importlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mngac.params.errors import ParamsError, listed, shown
from mngac.params.modules import accepts, definitions, module_file, parameters, told, tree_of

PACKAGE = Path(__file__).parent.parent
DEFINES = {
    "methods": "Method",
    "evaluation/attacks": "attack",
    "unforeseen/attacks": "Attack",
    "data/loaders": "load",
    "models": "build",
}
"""Registry folders of the package, and the class or function that makes a file of theirs one of the kinds."""
CLASSES = {"methods", "unforeseen/attacks"}
"""Those folders whose kinds are classes; the others' are functions."""
CALLED_WITH = {
    "evaluation/attacks": ("classifier", "x", "y", "target", "config"),
    "data/loaders": ("config", "workspace"),
    "models": ("classes", "channels", "size"),
}
"""What a function of one's own is given, by position."""
SELECTORS = {
    "methods": "kind",
    "evaluation/attacks": "attack",
    "unforeseen/attacks": "attack",
    "data/loaders": "loader",
    "models": "model",
}
"""The key that names one of them."""
OWN = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)", re.ASCII)
"""How a thing of one's own is named: `package.module:name`."""


@dataclass(frozen=True)
class Found:
    """Something that params.yaml names: its module, its name there, and the module's file."""

    module: str
    name: str
    path: Path
    own: bool = False
    """Whether it is the user's own rather than a file of the package."""

    @property
    def root(self) -> str:
        """How keys name its code: the module, for one's own with the name in it."""
        return f"{self.module}:{self.name}" if self.own else self.module

    def load(self) -> Any:
        """Imports the class or function.

        Raises:
            ParamsError: where the import of one's own module raises; one line that says what and where.
        """
        try:
            return getattr(importlib.import_module(self.module), self.name)
        except Exception as error:
            if not self.own:
                raise
            raise ParamsError(f"{self.root}: importing it raised {told(error)}") from error


def find(folder: str, name: str, key: str | None = None) -> Found:
    """What a name of a registry folder stands for.

    Args:
        folder: a key of DEFINES.
        name: a file of the folder, for `models` a name that one of its files builds, or `package.module:name`.
        key: path of the key that says it, for the error.

    Raises:
        ParamsError: where there is no such file, module or definition, or a function that can't be called as it would.
    """
    key = key or SELECTORS[folder]
    own = OWN.fullmatch(name)
    if own:
        return _find_own(folder, own[1], own[2], key)
    file = _builder(name) if folder == "models" else name if name in kinds(folder) else None
    if file is None:
        known = f"such as {', '.join(_examples())}" if folder == "models" else f"one of {listed(kinds(folder), name)}"
        raise ParamsError(f"{key}: found {shown(name)}; allowed: {known}, or package.module:name of your own")
    module = ".".join(["mngac", *folder.split("/"), file])
    return Found(module, DEFINES[folder], PACKAGE / folder / f"{file}.py")


@functools.cache
def kinds(folder: str) -> list[str]:
    """Names that a registry folder of the package offers, without importing any of its files."""
    return sorted(p.stem for p in (PACKAGE / folder).glob("*.py") if DEFINES[folder] in definitions(tree_of(p)))


def _find_own(folder: str, module: str, name: str, key: str) -> Found:
    path = module_file(module)
    if path is None:
        where = "a module of a package on PYTHONPATH, or installed by pip"
        raise ParamsError(
            f"{key}: found {shown(f'{module}:{name}')}, but no file of a module {module}; allowed: {where}"
        )
    try:
        there = definitions(tree_of(path))
    except (SyntaxError, UnicodeDecodeError) as error:
        raise ParamsError(f"{key}: {path}: not Python ({error}); allowed: a module that can be read") from None
    what, kind = ("a class", ast.ClassDef) if folder in CLASSES else ("a function", ast.FunctionDef)
    if not isinstance(there.get(name), kind):
        fitting = sorted(other for other, node in there.items() if isinstance(node, kind))
        such = f", such as {listed(fitting, name)}" if fitting else ""
        raise ParamsError(f"{key}: found {shown(f'{module}:{name}')}; allowed: {what} that {path} defines{such}")
    given = CALLED_WITH.get(folder, ())
    if isinstance(function := there[name], ast.FunctionDef) and not accepts(function, len(given)):
        found = f"{module}:{name}({', '.join(parameters(function))})"
        raise ParamsError(f"{key}: found {found}; allowed: a function of ({', '.join(given)})")
    return Found(module, name, path, own=True)


def _builder(model: str) -> str | None:
    """The file of mngac/models that builds a model of this name."""
    return next((file for file in kinds("models") if re.fullmatch(_constant(file, "NAMES"), model)), None)


def _examples() -> list[str]:
    return [_constant(file, "EXAMPLE") for file in kinds("models")]


@functools.cache
def _constant(file: str, name: str) -> str:
    """A text that a file of mngac/models states: NAMES, a pattern of the names that it builds, or EXAMPLE, one of them.

    Raises:
        KeyError: where it states none.
    """
    assigned = [node for node in tree_of(PACKAGE / "models" / f"{file}.py").body if isinstance(node, ast.Assign)]
    return {
        target.id: node.value.value
        for node in assigned
        for target in node.targets
        if isinstance(target, ast.Name) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    }[name]
