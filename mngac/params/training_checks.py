"""What the trainings of a run must be, over `training` and the methods' entries: models, radii, rates, batches."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from mngac.params.errors import demand, listed
from mngac.params.registry import find
from mngac.params.sections import MethodConfig, Params
from mngac.params.training import Training
from mngac.params.types import NORMS

OWN_ATTACK = {"eat", "msd", "natural", "ramp", "trades"}
"""Kinds of method that do not attack as `training.attack.kind` says: by APGD, in a way of their own, or not at all."""
NUMBER_OF_NORMS = {"adversarial": 1, "ramp": 2, "trades": 1}
"""Of kinds that take so many and no other number."""


def check_trainings(params: Params) -> None:
    """Refuses models that nothing builds, and radii and schedules of the run's trainings that do not fit."""
    overrides: dict[str, Any] = params.training.__pydantic_extra__ or {}
    known = ["default", *params.data]
    for name in overrides:
        demand(name in known, "training", name, f"sections named {listed(known, name)}")
    stated: dict[str, Any] = {"training.default": params.training.default}
    stated |= {f"training.{name}": override for name, override in overrides.items()}
    stated |= {f"methods.{name}.training": method.training for name, method in params.methods.items()}
    for path, training in stated.items():
        _check_training(path, training, params)
    for dataset in params.run.datasets:
        for profile in params.run.profiles:
            params.radii_for(profile, dataset)
        for method in (None, *params.run.all_methods):
            training = params.training_for(dataset, method)
            params.radii_for(training.profile, dataset)
            own = method is not None and params.methods[method].training is not None
            path = f"methods.{method}.training" if own else f"training.{dataset}"
            _check_select(f"{path}.select", training, params, dataset)
            demand(
                training.schedule.peak_epoch <= training.epochs,
                f"{path}.schedule.peak_epoch",
                training.schedule.peak_epoch,
                f"at most {path}.epochs, {training.epochs}; where either stands in another section, state it here",
            )
            _check_drops(f"{path}.schedule.drops", training)
            if method is not None:
                _check_start(params, dataset, method)
                _check_comparison(path, training, params, dataset, method)
            semi = method in params.run.semi_methods
            _check_additional(f"{path}.additional_share", training, params, dataset, semi=semi)


def check_tuned(params: Params) -> None:
    """Refuses to tune what is not there, trains nothing, or is trained otherwise or twice; soups without a start."""
    run, starts = params.run, [*params.run.methods, *params.run.semi_methods]
    for key, names in (("methods", run.methods), ("semi_methods", run.semi_methods)):
        for i, name in enumerate(names):
            kind = params.methods[name].kind
            demand(kind != "soup", f"run.{key}.{i}", name, "a soup in run.tuned alone, which says what it starts from")
    for i, (method, start) in enumerate((tuned.method, tuned.start) for tuned in run.tuned):
        path = f"run.tuned.{i}.method"
        demand(method in params.methods, path, method, f"one of {listed(params.methods, method)}")
        demand(method not in starts, path, method, "a method that the run does not train otherwise")
        demand(method not in run.tuned_methods[:i], path, method, "no name twice; another entry may be `like` it")
        demand(params.methods[method].kind != "imported", path, method, "a method that trains something")
        demand(start in starts, f"run.tuned.{i}.start", start, f"one that the run trains: {listed(starts, start)}")


def _check_additional(path: str, training: Training, params: Params, dataset: str, *, semi: bool) -> None:
    """Refuses a share of additional images where there are none, and shares that leave a kind of image out."""
    share, there = training.additional_share, params.data[dataset].additional
    demand(not share or there is not None, path, share, f"0, or a file as data.{dataset}.additional")
    place, found = (path, share) if share else (f"training.{dataset}.semi.fraction", training.semi.fraction)
    batch, parts = f"a batch of {training.batch_size} holds", training.parts(semi=semi)
    demand(parts["train"] > 0, place, found, f"less, so that {batch} images of the data set's own")
    demand(not share or parts["additional"] > 0, path, share, f"0, or more, so that {batch} one of them")
    fraction = training.semi.fraction
    here = f"training.{dataset}.semi.fraction"
    demand(not semi or parts["unlabelled"] > 0, here, fraction, f"more, so that {batch} a pseudo-labelled image")


def _check_drops(path: str, training: Training) -> None:
    """Refuses drops of the learning rate in another order, or outside of what is trained at its peak and after."""
    schedule, drops = training.schedule, training.schedule.drops or []
    rising = all(before < after for before, after in pairwise([schedule.peak_epoch, *drops, training.epochs]))
    between = f"{schedule.peak_epoch:g} (peak_epoch) and {training.epochs} (epochs)"
    demand(not drops or rising, path, drops, f"null, or epochs that rise, between {between}")


def _check_select(path: str, training: Training, params: Params, dataset: str) -> None:
    """Refuses to compare epochs by a suite that is not there, or without images to do it on."""
    select = training.select
    if select.best:
        known = params.evaluation
        demand(select.suite in known, f"{path}.suite", select.suite, f"one of {listed(known, select.suite)}")
        held = params.data[dataset].validation
        demand(held > 0, f"{path}.epoch", select.epoch, f"last, since data.{dataset}.validation is {held:g}")


def _check_start(params: Params, dataset: str, method: str) -> None:
    """Refuses to go on from a classifier of another model."""
    start = params.run.starts.get(method)
    if start is not None:
        model, own = params.model_for(dataset, start), params.model_for(dataset, method)
        i = params.run.tuned_methods.index(method)
        allowed = f"a method of the same model as {method} on {dataset}, {own}; found {model}"
        demand(model == own, f"run.tuned.{i}.start", start, allowed)


def _check_comparison(path: str, training: Training, params: Params, dataset: str, method: str) -> None:
    """Refuses what does not go with a method that itself compares classifiers on validation images."""
    suite = params.methods[method].suite
    if suite is None:
        return
    held = params.data[dataset].validation
    demand(held > 0, f"methods.{method}.suite", suite, f"nothing, since data.{dataset}.validation is {held:g}")
    chosen = f"{method} itself chooses what is kept"
    demand(training.average is None, f"{path}.average", training.average, f"null, since {chosen}")
    demand(not training.select.best, f"{path}.select.epoch", training.select.epoch, f"last, since {chosen}")


def _check_training(path: str, stated: Any, params: Params) -> None:
    """Refuses a model and a profile that are not there, of a whole training or a part of one."""
    if stated is None:
        return
    if stated.model is not None:
        find("models", stated.model, f"{path}.model")
    if stated.profile is not None:
        allowed = f"one of {listed(params.radii, stated.profile)}"
        demand(stated.profile in params.radii, f"{path}.profile", stated.profile, allowed)


def check_own_attack(path: str, method: MethodConfig) -> None:
    """Refuses another kind of training attack for a method that does not attack by it, and norms that do not fit."""
    norms = method.norms or []
    demand(len(set(norms)) == len(norms), f"{path}.norms", norms, "no norm twice")
    wanted = NUMBER_OF_NORMS.get(method.kind, len(norms))
    demand(len(norms) == wanted, f"{path}.norms", norms, f"{'one norm' if wanted == 1 else f'{wanted} norms'}")
    own: Any = method.training
    if method.kind not in OWN_ATTACK or own is None or own.attack is None:
        return
    for where, attack in [("", own.attack), *((f".{norm}", getattr(own.attack, norm)) for norm in NORMS)]:
        stated = getattr(attack, "kind", None)
        allowed = f"nothing, since {method.kind} does not attack by it"
        demand(stated is None, f"{path}.training.attack{where}.kind", stated, allowed)
