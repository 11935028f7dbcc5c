"""Overlays: files of params/ that hold only what differs from params.yaml, or from another of them: `over` names which.

A name such as `params/paper.yaml` that is not here means the package's own file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mngac.params.checks import load, parse
from mngac.params.errors import ParamsError, shown
from mngac.params.inheritance import OVER, merged
from mngac.params.sections import Params
from mngac.params.shipped import overlay_file
from mngac.params.yaml_file import read

BASE = "params.yaml"
"""What every overlay lies over in the end: the one source of truth."""


@dataclass(frozen=True)
class Laid:
    """An overlay over params.yaml: both raw contents, and the checked whole."""

    base: dict[str, Any]
    whole: dict[str, Any]
    params: Params


def is_overlay(path: str) -> bool:
    """Whether a file says that it lies over params.yaml; any other is a whole params.yaml.

    Raises:
        ParamsError: for a file that is missing, or no YAML.
    """
    raw = read(overlay_file(path))
    return isinstance(raw, dict) and OVER in raw


def laid(path: str, base: str = BASE) -> Laid:
    """An overlay, and those that it lies over, laid over params.yaml: key by key, lists replaced.

    Raises:
        ParamsError: for a file that is no overlay, is wrong, or gives a wrong whole; one line that names it.
    """
    chain = _chain(path)
    load(base)  # what is wrong there is not the overlay's
    below = read(base)
    assert isinstance(below, dict)
    whole = below
    for name, own in chain:
        whole = merged(whole, own)
        try:
            params = parse(whole)
        except ParamsError as error:
            raise ParamsError(f"{name}: {error.in_full}") from None
    return Laid(below, whole, params)


def whole(path: str) -> Params:
    """The parameters of a file: of a whole one, or of params.yaml with an overlay laid over it.

    Raises:
        ParamsError: one line on the first thing that is wrong.
    """
    return laid(path).params if is_overlay(path) else load(path)


def _chain(path: str, above: tuple[str, ...] = ()) -> list[tuple[str, dict[str, Any]]]:
    """What an overlay and those that it lies over say, by their names, the lowest first; `above` lie over it."""
    raw = read(overlay_file(path))
    if not isinstance(raw, dict) or OVER not in raw:
        raise ParamsError(f"{path}: found no key {OVER}; allowed: `{OVER}: {BASE}`, and what differs from it")
    under, own = raw[OVER], {key: value for key, value in raw.items() if key != OVER}
    if under == BASE:
        return [(path, own)]
    if not isinstance(under, str) or not Path(overlay_file(under)).is_file():
        raise ParamsError(f"{path}: {OVER}: found {shown(under)}; allowed: {BASE}, or another overlay")
    if under in (*above, path):
        raise ParamsError(f"{path}: {OVER}: found {shown(under)}; allowed: no file that lies over this one")
    return [*_chain(under, (*above, path)), (path, own)]
