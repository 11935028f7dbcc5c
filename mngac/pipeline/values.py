"""The resolved values that a job of each stage uses: overrides merged, files beside params.yaml as their digests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mngac.params.errors import DataError, ParamsError
from mngac.params.shipped import shipped
from mngac.pipeline.files import identity
from mngac.pipeline.fingerprint import ROOT, file_digest
from mngac.pipeline.paths import Wildcards

if TYPE_CHECKING:
    from mngac.params.sections import MethodConfig, Params, Suite


NOT_OF_ROWS = {
    *("device", "threads", "deterministic"),
    *("challenges", "attack_spaces", "hypotheses", "unforeseen", "certificates"),
}
"""Keys of `run` that no row of a table depends on."""


def data(p: Params, w: Wildcards) -> dict[str, Any]:
    """The data set's entry, and which files it points to."""
    source = p.data[w["dataset"]]
    # `additional` is no part of the data set's tensor file: trainings read it.
    values: dict[str, Any] = {"data": source.model_dump(exclude_none=True, exclude={"additional"})}
    files = {"source": source.source, "unlabelled": source.unlabelled}
    for key, path in files.items():
        if isinstance(path, str) and path != "extra":
            values[key] = _identity(f"data.{w['dataset']}.{key}", path)
    return values


def _identity(key: str, path: str) -> Any:
    try:
        return identity(path)
    except DataError as error:
        raise ParamsError(f"{key}: {error}") from error


def _training(p: Params, w: Wildcards) -> dict[str, Any]:
    """The data set's training as the run's device reads it, the radii of its attacks, the method's entry."""
    training = p.training_for(w["dataset"], w["method"])
    entry = p.methods[w["method"]]
    values: dict[str, Any] = {
        "training": training.read_on(p.run.device),
        "radii": p.radii_for(training.profile, w["dataset"]).model_dump(),
        "method": entry.model_dump(exclude_none=True, exclude={"training"}),  # `training` holds it
    }
    additional = p.data[w["dataset"]].additional
    if training.additional_share and additional:
        values["additional"] = _identity(f"data.{w['dataset']}.additional", additional)
    if training.select.best:
        values["selection"] = _attacks(p.evaluation[training.select.suite])
    if entry.suite:
        values["comparison"] = _attacks(p.evaluation[entry.suite])
    if entry.checkpoint:
        key = f"methods.{w['method']}.checkpoint"
        if Path(entry.checkpoint).is_dir():
            raise ParamsError(f"{key}: found the folder {entry.checkpoint}; allowed: a file of weights")
        values["checkpoint"] = _identity(key, entry.checkpoint)
    return values


def train_semi(p: Params, w: Wildcards) -> dict[str, Any]:
    """All of a training's values."""
    return _training(p, w)


def train(p: Params, w: Wildcards) -> dict[str, Any]:
    """The same, without what only batches with pseudo-labels read."""
    values = _training(p, w)
    del values["training"]["semi"]
    return values


def train_tuned(p: Params, w: Wildcards) -> dict[str, Any]:
    """The same, and whose classifier it starts from."""
    return {**train(p, w), "start": p.run.starts[w["method"]]}


def _attacks(suite: Suite) -> dict[str, Any]:
    """What results depend on in a suite: not on how many processes and jobs share its work."""
    return suite.model_dump(exclude_none=True, exclude={"processes", "shards"})


def evaluate(p: Params, w: Wildcards) -> dict[str, Any]:
    """The suite, the radii, the split."""
    return {
        "suite": _attacks(p.evaluation[w["suite"]]),
        "radii": p.radii_for(w["profile"], w["dataset"]).model_dump(),
        "split": p.run.split,
    }


def craft(p: Params, w: Wildcards) -> dict[str, Any]:
    """Which images are moved how far, in how many steps."""
    suite = p.evaluation[w["suite"]]
    images = {"norms": suite.norms, **suite.model_dump(include={"n", "batch_size", "seed"})}
    steps = p.challenge.transfer_steps
    return {"images": images, "radii": evaluate(p, w)["radii"], "split": p.run.split, "transfer_steps": steps}


def challenge(p: Params, w: Wildcards) -> dict[str, Any]:
    """What the record is of, and the suites of the rounds after it."""
    rounds = [{"name": name, **_attacks(suite)} for name, suite in p.rounds(w["suite"])]
    return {**evaluate(p, w), "rounds": rounds}


def unforeseen(p: Params, w: Wildcards) -> dict[str, Any]:
    """The entry, with the data set's own archives alone and which files they are; the radii, the split."""
    entry = p.unforeseen[w["unforeseen"]].model_dump(exclude_none=True)
    for i, attack in enumerate(entry["attacks"]):
        if "sources" in attack:
            path = attack.pop("sources").get(w["dataset"])
            key = f"unforeseen.{w['unforeseen']}.attacks.{i}.sources.{w['dataset']}"
            attack["source"] = path and _identity(key, path)
    return {
        "unforeseen": entry,
        "radii": p.radii_for(w["profile"], w["dataset"]).model_dump(),
        "split": p.run.split,
    }


def unforeseen_table(p: Params, w: Wildcards) -> dict[str, Any]:
    """What a row says beside its records."""
    run = p.run.model_dump(include={"datasets", "methods", "semi_methods", "tuned", "seeds", "profiles", "mixed"})
    return {"run": {**run, "suite": p.run.suites[0]}}


def certify(p: Params, w: Wildcards) -> dict[str, Any]:
    """The balls and how margins are bounded in them; the attacks, those of the run's first suite; radii, split."""
    config = p.certificates[w["certificate"]].model_dump()
    return {"certificate": config, **evaluate(p, {**w, "suite": p.run.suites[0]})}


def certified_table(p: Params, w: Wildcards) -> dict[str, Any]:
    """The rows."""
    return {"run": p.run.model_dump(include={"datasets", "methods", "semi_methods", "tuned", "seeds", "profiles"})}


def _known_numbers() -> dict[str, str]:
    """Digests of the numbers that tables and captions print beside the run's own."""
    files = {"paper": "paper_tables.yaml", "spread of seeds": "seed_spread.yaml"}
    return {what: file_digest(ROOT / "mngac/results" / name) for what, name in files.items()}


def rows(p: Params, w: Wildcards) -> dict[str, Any]:
    """What a row of a table says beside its record."""
    return {
        "run": p.run.model_dump(exclude=NOT_OF_ROWS),
        "tables": p.tables.model_dump(),
        **_known_numbers(),
    }


def figures(p: Params, w: Wildcards) -> dict[str, Any]:
    """Rows, and the norms that each method trains on."""
    return {**rows(p, w), "norms": {m: p.norms_of(m) for m in p.run.all_methods}}


def competitiveness(p: Params, w: Wildcards) -> dict[str, Any]:
    """The attacks and their specialists, and the rows that are held against these."""
    return {
        "space": p.attack_spaces[w["space"]].model_dump(),
        "run": p.run.model_dump(include={"datasets", "methods", "semi_methods", "tuned", "seeds", "mixed"}),
        "reference": p.tables.reference,
    }


def hypothesis(p: Params, w: Wildcards) -> dict[str, Any]:
    """What is tested, and the rows that there are."""
    return {
        "hypothesis": p.hypotheses[w["hypothesis"]].model_dump(),
        "run": p.run.model_dump(include={"datasets", "methods", "semi_methods", "tuned", "seeds", "mixed"}),
    }


def model_figures(p: Params, w: Wildcards) -> dict[str, Any]:
    """What the figures of classifiers look at."""
    return {
        "figures": p.figures.model_dump(),
        "radii": p.radii_for(p.run.profiles[0], w["dataset"]).model_dump(),
        "split": p.run.split,
        "reference": p.tables.reference,
    }


def printed(p: Params) -> dict[str, Any]:
    """The parameters that the report prints: what the run names, each data set's after its overrides."""
    run = p.run
    shown: dict[str, Any] = {"run": run.model_dump()}
    for d in run.datasets:
        shown[f"data.{d}"] = p.data[d].model_dump()
        shown[f"training.{d}"] = p.training_for(d).model_dump()
        shown[f"radii, {d}"] = {profile: p.radii_for(profile, d).model_dump() for profile in run.profiles}
    shown["methods"] = {m: _entry(p.methods[m]) for m in run.all_methods}
    if run.semi_methods:
        shown["pseudo_label"] = p.pseudo_label.model_dump()
    shown["evaluation"] = {s: _attacks(p.evaluation[s]) for s in run.suites}
    return {**shown, "tables": p.tables.model_dump(), "figures": p.figures.model_dump()}


def _entry(method: MethodConfig) -> dict[str, Any]:
    """What a method's entry states; in its training a null is a statement, too."""
    stated = method.model_dump(exclude_none=True, exclude={"training"})
    own: Any = method.training
    return stated if own is None else {**stated, "training": own.model_dump(exclude_unset=True)}


def report(p: Params, w: Wildcards) -> dict[str, Any]:
    """The parameters that the report prints, and the files that its page is made of."""
    captions = sorted(shipped("workflow/report").glob("*.rst"))
    return {
        "params": printed(p),
        **_known_numbers(),
        "style": file_digest(ROOT / "mngac/report/style.css"),
        "script": file_digest(ROOT / "mngac/report/sort.js"),
        "captions": {path.stem: file_digest(path) for path in captions},
    }
