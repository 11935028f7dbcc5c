"""`mngac tune`: which memory format and whether compilation make the run's trainings faster on this machine.

Nothing else is chosen: batch sizes and precisions change results by more than rounding.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from mngac.data import store
from mngac.models.layout import FORMATS
from mngac.params.registry import find
from mngac.params.sections import MethodConfig, Params
from mngac.pipeline.jobs import job
from mngac.pipeline.machine import machine_of
from mngac.pipeline.paths import data_path
from mngac.pipeline.progress import Log
from mngac.training.plan import Plan, steps_of_an_epoch
from mngac.tuning.choice import Compared, Timed, chosen, to_compile, whole_of
from mngac.tuning.findings import Measured, lines_of, notes, table
from mngac.tuning.timing import Clock, Heard, compare, seconds_a_step, trainer_of, warm


class Tuning:
    """The trainings of one data set, timed on this machine.

    Args:
        params: what the run trains.
        dataset: a name of `data`, whose tensor file exists.
        log: where a live line is shown.
    """

    def __init__(self, params: Params, dataset: str, log: Log):
        self.params, self.dataset, self.log, self.heard = params, dataset, log, Heard()
        self.training = params.training_for(dataset)
        self.machine = machine_of(params.run)
        self.device: str = self.machine["device"]
        self.clock = Clock(self.device, params.run.threads)
        self.data = store.load(data_path(dataset))
        torch.set_num_threads(params.run.threads)

    def plan(self, method: str) -> Plan:
        """What a method trains, with labelled images alone: pseudo-labelled ones make no step longer."""
        params, training = self.params, self.params.training_for(self.dataset, method)
        radii = params.radii_for(training.profile, self.dataset)
        return Plan(training, radii, params.methods[method], params.run.seeds[0], self.device)

    def methods(self) -> list[str]:
        """Methods of the run that train."""
        entries = {name: self.params.methods[name] for name in self.params.run.all_methods}
        return [name for name, entry in entries.items() if find("methods", entry.kind).load().trains]

    def time(self) -> list[Timed]:
        """Every method's steps in each memory format; entries that say the same are timed once."""
        known: list[tuple[MethodConfig, Timed]] = []
        for name in self._shown(self.methods(), "layouts"):
            entry = self.params.methods[name]
            alike = next((timed.seconds for other, timed in known if other == entry), None)
            known.append((entry, self._timed(name, alike or self._seconds(name))))
        return [timed for _, timed in known]

    def _seconds(self, method: str) -> dict[str, float]:
        sides = {k: trainer_of(self.data, self.plan(method), self.heard, layout=k, compile=False) for k in FORMATS}
        for trainer in sides.values():
            warm(trainer)
        return seconds_a_step(sides, self.clock)

    def _timed(self, method: str, seconds: Mapping[str, float]) -> Timed:
        semi = method in self.params.run.semi_methods
        training = self.params.training_for(self.dataset, method)
        steps = steps_of_an_epoch(training, len(self.data.split("train")), semi) * training.epochs
        return Timed(method, len(self.params.run.seeds), steps, seconds)

    def compare(self, timed: list[Timed], layout: str) -> tuple[dict[str, Compared], str]:
        """The methods that stand for all, compiled, each in a process of its own; or what prevents compilation."""
        compared: dict[str, Compared] = {}
        for method in self._shown(to_compile(timed, layout), "compilation"):
            found = self._apart(method, layout)
            if isinstance(found, str):
                return {}, found
            compared[method] = found
        return compared, ""

    def _apart(self, method: str, layout: str) -> Compared | str:
        plan = self.plan(method)
        plan = replace(plan, training=plan.training.model_copy(update={"layout": layout}))
        given = (data_path(self.dataset), plan, self.clock, self.machine.get("deterministic", False))
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
            return process.submit(compare, *given).result()

    def _shown(self, methods: list[str], what: str) -> Iterator[str]:
        with self.log.bar(len(methods), 0, " methods") as bar:
            for method in methods:
                bar.set_description(f"{self.dataset} {what}: {method}")
                yield method
                bar.update()

    def measure(self) -> Measured:
        """The memory format first, then compilation with it."""
        timed = self.time()
        layout = chosen({name: whole_of(timed, name) for name in FORMATS}, self.training.layout)
        return Measured(timed, layout, *self.compare(timed, layout))

    def about(self) -> str:
        """What was timed, in a line."""
        t, threads = self.training, self.params.run.threads
        precision = t.precision.on(self.device)
        computed = f"{precision} on {self.device}, {threads} thread{'s' if threads > 1 else ''}"
        return f"{self.dataset}: {t.model}, {t.batch_size} images a batch, {computed}"


def report(params: Params, dataset: str, log: Log) -> str:
    """What one data set's trainings take in each variant, and the lines of params.yaml for the fastest.

    Raises:
        UserError: as the stages `data` and `train` do.
    """
    tuning = Tuning(params, dataset, log)
    if not tuning.methods():
        return f"{dataset}: no method of the run is trained\n"
    measured = tuning.measure()
    stated = {"layout": tuning.training.layout, "compile": tuning.training.compile}
    best: dict[str, Any] = {"layout": measured.layout, "compile": measured.compiles(tuning.training.compile)}
    lines = [tuning.about(), *table(measured), *notes(measured), *dict.fromkeys(f"  {s}" for s in tuning.heard.said)]
    lines += ["", *lines_of(dataset, best["layout"], best["compile"])]
    if best == stated:
        lines.append("# just what the parameters say already")
    return "\n".join([*lines, ""])


def tune(params: Params, datasets: list[str]) -> Iterator[str]:
    """Each data set's report; its tensor file is made where it is missing.

    Raises:
        ParamsError: for a data set that params.yaml does not define, before any is measured.
    """
    prepared = [job(params, "data", dataset=dataset) for dataset in datasets]
    for each in prepared:
        if not Path(each.outputs["data"]).exists():
            each.run()
    for dataset in datasets:
        yield report(params, dataset, Log(name=dataset))
