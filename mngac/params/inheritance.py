"""`like: <sibling>`: an entry of params.yaml inherits a sibling's keys, its own winning, before anything is checked."""

from __future__ import annotations

from typing import Any

from mngac.params.errors import ParamsError, listed, shown
from mngac.params.types import Closed
from mngac.params.yaml_file import key_path

KEY = "like"
OVER = "over"
"""The key by which a file says that it is an overlay (mngac/params/overlay.py)."""
DESCRIPTION = "The entry beside this one whose keys hold here, too, but for those stated here; chains are allowed."


def merged(base: dict[Any, Any], own: dict[Any, Any]) -> dict[Any, Any]:
    """`own` over `base`, key by key wherever both have a mapping; neither is changed."""
    both = {key: merged(base[key], own[key]) for key in own if _mapping(own[key]) and _mapping(base.get(key))}
    return {**base, **own, **both}


def resolved(raw: Any) -> Any:
    """The content of params.yaml, in which every `like` has been replaced by what it stands for.

    `methods`, `data`, `training` (but for `default`, which holds for all of it anyway) and each of `radii.<profile>`
    hold siblings. Whatever has another form than such a section is left to the checks of the sections.

    Raises:
        ParamsError: for a `like` that names no other mapping beside it, or leads back to where it stands.
    """
    if not _mapping(raw):
        return raw
    sections = {key: _siblings(key, raw[key]) for key in ("methods", "data") if _mapping(raw.get(key))}
    if _mapping(raw.get("training")):
        overrides = {name: entry for name, entry in raw["training"].items() if name != "default"}
        sections["training"] = {**raw["training"], **_siblings("training", overrides)}
    if _mapping(raw.get("radii")):
        profiles = raw["radii"]
        sections["radii"] = {p: _siblings(key_path("radii", p), v) if _mapping(v) else v for p, v in profiles.items()}
    return {**raw, **sections}


class Heir(Closed):
    """A section whose entries may say `like`; the schema then asks for none of the other keys."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        """The section's JSON schema, with `like`."""
        schema = handler.resolve_ref_schema(handler(core_schema))
        schema["properties"][KEY] = {"type": "string", "description": DESCRIPTION}
        required = schema.pop("required", [])
        if required:
            schema |= {"if": {"required": [KEY]}, "else": {"required": required}}
        return schema


def _mapping(value: object) -> bool:
    return isinstance(value, dict)


def _siblings(path: str, entries: dict[Any, Any]) -> dict[Any, Any]:
    return {name: _inherited(path, entries, name) if _mapping(entry) else entry for name, entry in entries.items()}


def _inherited(path: str, entries: dict[Any, Any], name: Any) -> dict[Any, Any]:
    """An entry with the keys of all that it is like, in turn."""
    chain = [name]
    while KEY in entries[chain[-1]]:
        here, wanted = chain[-1], entries[chain[-1]][KEY]
        others = [key for key, value in entries.items() if _mapping(value) and key not in chain]
        if wanted not in others:
            allowed = f"one of {listed(others, wanted)}" if others else "no like, since no other entry is left"
            ring = ", which is like it in turn" if wanted in chain else ""
            raise ParamsError(f"{path}.{key_path(here)}.{KEY}: found {shown(wanted)}{ring}; allowed: {allowed}")
        chain.append(wanted)
    whole: dict[Any, Any] = {}
    for entry in reversed(chain):
        whole = merged(whole, entries[entry])
    return {key: value for key, value in whole.items() if key != KEY}
