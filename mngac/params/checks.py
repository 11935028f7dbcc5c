"""Reads and checks params.yaml: one source of truth, refused at once where it is wrong.

A wrong file raises `ParamsError`, whose text is one line: key path, what was found, what is allowed.
"""

from __future__ import annotations

import json
import re
from typing import Any, TypeVar

from pydantic import ValidationError

from mngac.params.challenge import TRANSFER
from mngac.params.errors import ParamsError, demand, listed, shown
from mngac.params.inheritance import OVER, resolved
from mngac.params.keys import keys_read
from mngac.params.registry import find
from mngac.params.sections import DataConfig, Params
from mngac.params.training_checks import check_own_attack, check_trainings, check_tuned
from mngac.params.types import LONGEST_NAME, NAME, NORMS, Closed, number
from mngac.params.yaml_file import key_path, read

Section = TypeVar("Section", bound=Closed)
OPTIONAL = {"methods": {"training"}}
"""Keys that an entry may state or leave, since not its kind reads them; but where it brings a `model` of its own."""


def load(path: str = "params.yaml") -> Params:
    """Reads and checks params.yaml.

    Raises:
        ParamsError: one line on the first thing that is wrong.
    """
    raw = read(path)
    if not isinstance(raw, dict):
        raise ParamsError(f"{path}: found {shown(raw)}; allowed: its sections, as mngac init writes them")
    if OVER in raw:
        raise ParamsError(f"{path}: found {OVER}: it holds what differs alone; allowed: a whole file; mngac use {path}")
    return parse(raw)


def parse(raw: object) -> Params:
    """Checks the content of params.yaml, names across sections included, after each `like` has been followed."""
    raw = resolved(raw)
    try:
        params = Params.model_validate(raw)
    except ValidationError as error:
        raise ParamsError(_explain(error, Params)) from None
    _check_names(params)
    return params


def section(path: str, model: type[Section], raw: object) -> Section:
    """Checks one section by itself.

    Raises:
        ParamsError: one line on the first thing that is wrong, under the section's path.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise ParamsError(_explain(error, model, path)) from None


def entry(name: str, raw: object) -> DataConfig:
    """Checks one entry of `data`, such as the command line states it.

    Raises:
        ParamsError: one line on the first thing that is wrong.
    """
    source = section(f"data.{name}", DataConfig, raw)
    _check_source(f"data.{name}", source)
    return source


def check_name(path: str, name: str) -> None:
    """Refuses a name that params.yaml could not have.

    Raises:
        ParamsError: one line, under the path of who says it.
    """
    fits = re.match(NAME, name) and name.isprintable() and len(name) <= LONGEST_NAME
    demand(bool(fits), path, name, f"at most {LONGEST_NAME} of a-z, 0-9 and _, a letter first")


def _explain(error: ValidationError, model: type[Closed], base: str = "") -> str:
    first = error.errors(include_url=False)[0]
    skip = {"", "str", "float", "int", "list", "function-before", "dict", "literal"}
    inside = key_path(*(part for part in first["loc"] if str(part).split("[")[0] not in skip))
    path = ".".join(part for part in (base, inside) if part) or "params.yaml"
    if first["type"] == "extra_forbidden":
        return f"{path}: unknown key; allowed: {listed(_fields_at(model, first['loc'][:-1]), first['loc'][-1])}"
    if first["type"] == "missing":
        return f"{path}: missing; allowed: a value (its description: mngac schema)"
    allowed = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return f"{path}: found {shown(first['input'])}; allowed: {allowed}"


def _fields_at(model: type[Closed], loc: tuple[int | str, ...]) -> list[str]:
    """Field names of the section that a key path leads to, from the model's section."""
    # Pydantic says where an unknown key stands, but not which would be allowed there. The JSON schema knows: it is
    # walked along the same path, through lists, free names and optional sections.
    schema: dict[str, Any] = model.model_json_schema()
    node = schema
    for part in loc:
        node = _resolve(schema, node)
        properties = node.get("properties", {})
        node = node.get("items") or properties.get(str(part)) or node.get("additionalProperties") or {}
        if node is True:
            return []
    return list(_resolve(schema, node).get("properties", {}))


def _resolve(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    for option in node.get("anyOf", []):
        node = option if option.get("type") != "null" else node
    if "patternProperties" in node:
        node = {**node, "additionalProperties": next(iter(node["patternProperties"].values()))}
    return schema["$defs"][node["$ref"].split("/")[-1]] if "$ref" in node else node


def _check_names(params: Params) -> None:
    run = params.run
    defined: dict[str, dict[str, Any]] = {
        "datasets": params.data,
        "methods": params.methods,
        "semi_methods": params.methods,
    }
    defined |= {"suites": params.evaluation, "profiles": params.radii}
    defined |= {"attack_spaces": params.attack_spaces, "unforeseen": params.unforeseen}
    defined |= {"hypotheses": params.hypotheses, "certificates": params.certificates}
    for key, known in defined.items():
        for i, name in enumerate(getattr(run, key)):
            demand(name in known, f"run.{key}.{i}", name, f"one of {listed(known, name)}" if known else "[]")
        demand(len(set(getattr(run, key))) == len(getattr(run, key)), f"run.{key}", getattr(run, key), "no name twice")
    demand(len(set(run.seeds)) == len(run.seeds), "run.seeds", run.seeds, "no seed twice")
    for i, name in enumerate(run.semi_methods):
        demand(name not in run.methods, f"run.semi_methods.{i}", name, "a method that is not in run.methods too")
    check_tuned(params)
    for name, source in params.data.items():
        _check_source(f"data.{name}", source)
    check_trainings(params)
    if run.semi_methods:
        demand(bool(run.teachers), "run.teachers", run.teachers, f"one of {listed(run.methods)}")
    for teacher in run.teachers:
        allowed = f"one of {listed(run.methods, teacher)}, or [] without run.semi_methods"
        demand(teacher in run.methods, "run.teachers", teacher, allowed)
        for name in run.datasets:
            some = params.data[name].unlabelled != 0
            demand(some, f"data.{name}.unlabelled", 0, "images for run.teachers to label, or run.teachers: [] without")
    for name, method in params.methods.items():
        check_entry(f"methods.{name}", "methods", "kind", method)
        check_own_attack(f"methods.{name}", method)
        if method.model is not None:
            find("models", method.model, f"methods.{name}.model")
        if method.suite is not None:
            allowed = f"one of {listed(params.evaluation, method.suite)}"
            demand(method.suite in params.evaluation, f"methods.{name}.suite", method.suite, allowed)
    _check_challenges(params)
    for name in run.attack_spaces:
        check_attack_space(params, name)
    for name in run.hypotheses:
        check_hypothesis(params, name)
    for name in run.certificates:
        check_certificate(params, name)
    _check_tables(params)
    for i, name in enumerate(params.figures.methods):
        demand(name in params.methods, f"figures.methods.{i}", name, f"one of {listed(params.methods, name)}")
    for suite, config in params.evaluation.items():
        demand(
            config.shards == 1 or config.block is not None,
            f"evaluation.{suite}.shards",
            config.shards,
            "1, or a block too: without one all images that are left are packed together, as AutoAttack does",
        )
        for i, attack in enumerate(config.attacks):
            check_entry(f"evaluation.{suite}.attacks.{i}", "evaluation/attacks", "attack", attack)
    for name, unforeseen in params.unforeseen.items():
        for i, one in enumerate(unforeseen.attacks):
            check_entry(f"unforeseen.{name}.attacks.{i}", "unforeseen/attacks", "attack", one)


def _check_challenges(params: Params) -> None:
    run, opinions = params.run, params.challenge.opinions
    demand(TRANSFER not in params.evaluation, "evaluation", TRANSFER, "another name: a challenge has a round of it")
    for i, name in enumerate(run.challenges):
        demand(name in run.suites, f"run.challenges.{i}", name, f"one of {listed(run.suites, name)}, run.suites")
    demand(len(set(run.challenges)) == len(run.challenges), "run.challenges", run.challenges, "no name twice")
    for i, name in enumerate(opinions):
        known = params.evaluation
        demand(name in known, f"challenge.opinions.{i}", name, f"one of {listed(known, name)}")
    demand(len(set(opinions)) == len(opinions), "challenge.opinions", opinions, "no name twice")


def check_attack_space(params: Params, name: str) -> None:
    """Refuses an attack space whose attacks or specialists the run does not have, or that fits no ratio.

    Raises:
        ParamsError: one line on the first thing that is wrong.
    """
    run, space, path = params.run, params.attack_spaces[name], f"attack_spaces.{name}"
    demand(space.suite in run.suites, f"{path}.suite", space.suite, f"one of run.suites: {listed(run.suites)}")
    for i, profile in enumerate(space.profiles):
        allowed = f"one of run.profiles: {listed(run.profiles, profile)}"
        demand(profile in run.profiles, f"{path}.profiles.{i}", profile, allowed)
    for where, method in space.methods.items():
        allowed = f"a method of the run: {listed(run.all_methods, method)}"
        demand(method in run.all_methods, f"{path}.{where}", method, allowed)
    attacked = params.evaluation[space.suite].norms
    for norm, methods in space.specialists.items():
        here = f"{path}.specialists.{norm}"
        demand(norm in attacked, here, norm, f"norms that {space.suite} attacks: {listed(attacked)}")
        demand(len(methods) == len(space.profiles), here, methods, f"one for each of {listed(space.profiles)}")
        for dataset in run.datasets:
            radii = [number(getattr(params.radii_for(profile, dataset), norm)) for profile in space.profiles]
            rising = radii == sorted(set(radii))
            demand(rising, f"{path}.profiles", radii, f"{norm} radii that rise on {dataset}")


def check_hypothesis(params: Params, name: str) -> None:
    """Refuses a hypothesis about what the run does not have, or about a method and itself.

    Raises:
        ParamsError: one line on the first thing that is wrong.
    """
    run, entry, path = params.run, params.hypotheses[name], f"hypotheses.{name}"
    demand(entry.suite in run.suites, f"{path}.suite", entry.suite, f"one of run.suites: {listed(run.suites)}")
    allowed = f"one of run.profiles: {listed(run.profiles)}"
    demand(entry.profile in run.profiles, f"{path}.profile", entry.profile, allowed)
    attacked = params.evaluation[entry.suite].norms
    demand(len(attacked) == len(NORMS), f"{path}.suite", entry.suite, f"one that attacks {listed(NORMS)}")
    for i, pair in enumerate(entry.pairs):
        for key, method in pair.model_dump().items():
            allowed = f"a method of the run: {listed(run.all_methods, method)}"
            demand(method in run.all_methods, f"{path}.pairs.{i}.{key}", method, allowed)
        demand(pair.method != pair.against, f"{path}.pairs.{i}.against", pair.against, "another method")
        others = [{other.method, other.against} for other in entry.pairs[:i]]
        demand({pair.method, pair.against} not in others, f"{path}.pairs.{i}", pair.method, "no pair twice")


def check_certificate(params: Params, name: str) -> None:
    """Refuses a certificate in norms that the run's first suite, which gives the upper bound, does not attack.

    Raises:
        ParamsError: one line on the first of them.
    """
    suite = params.run.suites[0]
    attacked = params.evaluation[suite].norms
    for i, norm in enumerate(params.certificates[name].norms):
        allowed = f"norms that {suite}, the first of run.suites, attacks: {listed(attacked, norm)}"
        demand(norm in attacked, f"certificates.{name}.norms.{i}", norm, allowed)


def _check_tables(params: Params) -> None:
    for key, value in params.tables.model_dump(exclude={"intervals"}).items():
        names = {key: value} if isinstance(value, str) else {f"{key}.{i}": name for i, name in enumerate(value)}
        for path, name in names.items():
            demand(name in params.methods, f"tables.{path}", name, f"one of {listed(params.methods, name)}")
        demand(isinstance(value, str) or len(set(value)) == len(value), f"tables.{key}", value, "no name twice")


def _check_source(path: str, source: DataConfig) -> None:
    """Refuses a loader that does not exist, and keys that it does not read."""
    find("data/loaders", source.loader, f"{path}.loader")
    read = keys_read("data/loaders", source.loader)
    for key in ("classes", "size"):
        if getattr(source, key) is not None and key not in read:
            raise ParamsError(f"{path}.{key}: not read by {source.loader}; allowed: null")
    extra = source.unlabelled == "extra"
    demand(not extra or "unlabelled" in read, f"{path}.unlabelled", "extra", "a share or a path; svhn alone has extra")


def check_entry(path: str, folder: str, selector: str, entry: Closed) -> None:
    """Refuses an entry whose kind does not exist, or whose keys are not just those that its kind reads."""
    kind = getattr(entry, selector)
    find(folder, kind, f"{path}.{selector}")
    keys = keys_read(folder, kind)
    read = keys & set(type(entry).model_fields)
    always = {selector, "norm"}
    optional = OPTIONAL.get(folder, set()) if "model" not in read else set()
    stated = entry.model_fields_set - always
    for key in sorted(stated - read - optional):
        may = listed(sorted(read | optional), key) or "no further key"
        raise ParamsError(f"{path}.{key}: not read by {kind}; allowed: {may}")
    for key in sorted(read - stated - always):
        raise ParamsError(f"{path}.{key}: missing; allowed: a value, since {kind} reads it")
    if "options" in read:
        _check_options(f"{path}.options", getattr(entry, "options", None) or {}, kind, keys)


def _check_options(path: str, stated: dict[str, Any], kind: str, keys: set[str]) -> None:
    """Refuses options that the kind does not read, and those missing that it reads."""
    read = {key.removeprefix("options.") for key in keys if key.startswith("options.")}
    unread = sorted(stated.keys() - read) if "*" not in read else []
    if unread:
        raise ParamsError(f"{path}.{unread[0]}: not read by {kind}; allowed: {listed(sorted(read), unread[0])}")
    for key in sorted(read - stated.keys() - {"*"}):
        raise ParamsError(f"{path}.{key}: missing; allowed: a value, since {kind} reads it")


def json_schema() -> dict[str, Any]:
    """The JSON schema of params.yaml (draft 2020-12)."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "params.yaml",
        **Params.model_json_schema(),
    }


def schema_text() -> str:
    """The schema as it stands in workflow/schemas/params.schema.json."""
    return json.dumps(json_schema(), indent=2) + "\n"
