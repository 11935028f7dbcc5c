"""The modules whose code a job of a stage runs: what the registries resolve by name, which no import shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mngac.params.registry import find
from mngac.pipeline.paths import Wildcards, drawn_methods

if TYPE_CHECKING:
    from mngac.params.sections import Params, Suite
    from mngac.params.unforeseen import Unforeseen


def data(p: Params, w: Wildcards) -> list[str]:
    """The data set's loader."""
    return ["mngac.data.prepare", find("data/loaders", p.data[w["dataset"]].loader).root]


def train(p: Params, w: Wildcards) -> list[str]:
    """The method and its model; where classifiers are compared on validation images, what does it, and its attacks."""
    select, entry = p.training_for(w["dataset"], w["method"]).select, p.methods[w["method"]]
    compared = {"selection": select.suite if select.best else None, "validation": entry.suite}
    suites = {f"mngac.training.{module}": p.evaluation[suite] for module, suite in compared.items() if suite}
    attacks = {root for suite in suites.values() for root in measuring(suite)}
    return ["mngac.training.stage", find("methods", entry.kind).root, _model(p, w), *suites, *sorted(attacks)]


def train_tuned(p: Params, w: Wildcards) -> list[str]:
    """The same, and what puts the start in."""
    return [*train(p, w), "mngac.training.start"]


def pseudo_label(p: Params, w: Wildcards) -> list[str]:
    """The teacher's model."""
    return ["mngac.data.pseudo_labels", _model(p, w)]


def evaluate(p: Params, w: Wildcards) -> list[str]:
    """The model and the suite's attacks."""
    return ["mngac.evaluation.stage", _model(p, w), *measuring(p.evaluation[w["suite"]])]


def craft(p: Params, w: Wildcards) -> list[str]:
    """The model, and APGD."""
    return ["mngac.evaluation.challenge_stage", _model(p, w)]


def challenge(p: Params, w: Wildcards) -> list[str]:
    """The model and the attacks of all rounds."""
    suites = [p.evaluation[w["suite"]], *(suite for _, suite in p.rounds(w["suite"]))]
    attacks = {root for suite in suites for root in measuring(suite)}
    return ["mngac.evaluation.challenge_stage", _model(p, w), *sorted(attacks)]


def certify(p: Params, w: Wildcards) -> list[str]:
    """The model, what bounds margins in a process of its own, and the attacks of the run's first suite."""
    suite = p.evaluation[p.run.suites[0]]
    return ["mngac.certificates.stage", "mngac.certificates.lirpa", _model(p, w), *measuring(suite)]


def measuring(suite: Suite) -> list[str]:
    """What computes a suite's attacks and accepts their results: where it is alike, records are comparable."""
    attacks = {find("evaluation/attacks", config.attack).root for config in suite.attacks}
    return ["mngac.evaluation.acceptance", "mngac.evaluation.asked", *sorted(attacks)]


def unforeseen(p: Params, w: Wildcards) -> list[str]:
    """The model and the entry's attacks."""
    return ["mngac.unforeseen.stage", _model(p, w), *measuring_unforeseen(p.unforeseen[w["unforeseen"]])]


def measuring_unforeseen(entry: Unforeseen) -> list[str]:
    """What computes an entry's attacks and accepts their results."""
    return sorted({find("unforeseen/attacks", config.attack).root for config in entry.attacks})


def model_figures(p: Params, w: Wildcards) -> list[str]:
    """The models of all methods that are drawn."""
    return ["mngac.figures.from_models", *sorted({_model(p, {**w, "method": m}) for m in drawn_methods(p)})]


def _model(p: Params, w: Wildcards) -> str:
    return find("models", p.model_for(w["dataset"], w["method"])).root
