"""Jobs: a stage with its wildcards and parameters, its key, and the one way in which all are run.

Nothing here imports torch: a cache hit never pays for it.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import itertools
import json
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from mngac.params.checks import check_attack_space, check_certificate, check_hypothesis
from mngac.params.errors import ParamsError, UserError, listed, shown
from mngac.params.sections import Params
from mngac.pipeline import digests, progress
from mngac.pipeline.atomic import write_text
from mngac.pipeline.cache import Cache, key_of
from mngac.pipeline.device import decided
from mngac.pipeline.fingerprint import code_digest, file_digest, forget, imported
from mngac.pipeline.locks import alone_in
from mngac.pipeline.machine import computing, machine_of, on_this_machine
from mngac.pipeline.paths import shards_of
from mngac.pipeline.running import errors_in, function_of, placed, stoppable
from mngac.pipeline.stages import STAGES, Stage

SEED = re.compile(r"0|[1-9][0-9]{0,17}")
"""How a seed is written: one form for each of `params.Seed`, since it names paths and random streams."""

CHECKS: dict[str, Callable[[Params, str], None]] = {
    "space": check_attack_space,
    "hypothesis": check_hypothesis,
    "certificate": check_certificate,
}
"""By wildcard: whether its entry fits the run."""


@dataclass(frozen=True)
class Job:
    """A stage with its wildcards and parameters: what an engine runs as one command."""

    stage: Stage
    wildcards: dict[str, str]
    params: Params

    @property
    def command(self) -> str:
        """The command line that runs the job."""
        return " ".join(["mngac", self.stage.name, *(f"--{name} {value}" for name, value in self.wildcards.items())])

    @property
    def watches(self) -> list[str]:
        """Paths of params.yaml that the job's values, inputs and outputs come from."""
        return [path.format(**self.wildcards) for path in self.stage.watches]

    @property
    def values(self) -> dict[str, Any]:
        """The resolved values of params.yaml that the job uses, the machine's among them."""
        return {**self.stage.values(self.params, self.wildcards), **self.machine}

    @property
    def machine(self) -> dict[str, Any]:
        """Device and threads of a job that computes."""
        return machine_of(self.params.run) if self.stage.computes else {}

    @property
    def here(self) -> Self:
        """The job with the device that `auto` means on this machine: what its key states, and what it computes on."""
        return replace(self, params=on_this_machine(self.params)) if self.stage.computes else self

    @property
    def cores(self) -> int:
        """Processor cores that the job keeps busy: what an engine is asked for."""
        if not self.stage.computes:
            return 1
        shared = decided(self.params.run.device) == "cpu"
        return self.params.run.threads * (self.stage.processes(self.params, self.wildcards) if shared else 1)

    @property
    def inputs(self) -> dict[str, str]:
        """Workspace paths that the job reads."""
        return self.stage.inputs(self.params, self.wildcards)

    @property
    def shards(self) -> dict[str, str]:
        """Workspace paths, by name: receipts of the jobs that share this one's work."""
        return self.stage.shards(self.params, self.wildcards)

    @property
    def outputs(self) -> dict[str, str]:
        """Workspace paths that the job makes."""
        return self.stage.outputs(self.params, self.wildcards)

    @property
    def whole(self) -> Job:
        """The job whose work this one shares; itself where it has its own."""
        if not self.stage.shares:
            return self
        stage = STAGES[self.stage.shares]
        return Job(stage, {name: self.wildcards[name] for name in stage.wildcards}, self.params)

    @property
    def digests(self) -> dict[str, dict[str, str]]:
        """Workspace paths that tell of outputs, with the outputs' names and paths: mngac/pipeline/digests.py."""
        return digests.told_of(self.stage, self.wildcards, self.outputs)

    @property
    def complete(self) -> bool:
        """Whether all outputs are there, whoever made them, or those of the job whose work it shares."""
        there = all(Path(path).exists() for path in self.outputs.values())
        return there or (self.whole is not self and self.whole.complete)

    @property
    def name(self) -> str:
        """File name of the job's log and stamp."""
        return "-".join(self.wildcards.values()) or self.stage.name

    @property
    def log(self) -> str:
        """The job's own log."""
        return f"logs/{self.stage.name}/{self.name}.log"

    @property
    def stamp(self) -> Path:
        """A small file with what the job's key states, changed when that changes: Snakemake's input beside the data.

        Jobs that share another's work have that one's: they are asked again when it is, and not because they are new.
        """
        return Path(".mngac/stamps", self.whole.stage.name, f"{self.whole.name}.json")

    def stated(self) -> dict[str, Any]:
        """All parts of the key that stand before the inputs exist, with the device as params state it."""
        roots = self.stage.code(self.params, self.wildcards)
        used = [name for name in self.stage.packages if name in imported(roots)]
        packages = [*used, "torch"] if self.stage.computes else used
        return {
            "stage": self.stage.name,
            "wildcards": self.wildcards,
            "params": self.stage.values(self.params, self.wildcards),
            "code": {root: code_digest([root]) for root in roots},
            "versions": {name: public_version(name) for name in packages},
            **self.machine,
        }

    def key_parts(self) -> dict[str, Any]:
        """All parts of the key: what is stated, and the digests of the inputs.

        Raises:
            ParamsError: where an input does not exist.
        """
        inputs = {}
        for name, path in self.inputs.items():
            if not Path(path).exists():
                raise not_made(path)
            if name not in self.stage.notes:
                inputs[name] = digest_of_input(self.stage, name, path)
        return {**self.here.stated(), "inputs": inputs}

    def write_stamp(self, changed: int | None = None) -> None:
        """Writes the stamp, only when its content differs, so that its time tells when it changed.

        Args:
            changed: that time, in nanoseconds since 1970; by default now.
        """
        text = self._stamped()
        if not _says(self.stamp, text):
            with alone_in(self.stamp.parent):
                if not _says(self.stamp, text):  # another engine may have written the same meanwhile, and begun
                    write_text(self.stamp, text, changed)

    def _stamped(self) -> str:
        return json.dumps(self.whole.stated(), indent=1, sort_keys=True) + "\n"

    def run(self) -> str:
        """Makes the outputs, or puts them in place from the cache; returns `made` or `cached`.

        The lease is taken before the cache is asked: a job that waited for its twin becomes a hit. What is made goes
        into the cache first, and from there into the workspace: whatever happens to that, it is not made again.
        """
        self.write_stamp()
        if self.stage.collects:
            digests.agree(job.digests for job in jobs(self.params))
        parts = self.key_parts()
        key = key_of(parts)
        with progress.log_to(self.log) as log, errors_in(log, key):
            cache = Cache(tell=lambda text: log.line(f"{self.stage.name} {self.name}: {text}"))
            if cache.root != cache.asked:
                cache.tell(f"{cache.asked} may not be written; what is made is kept in {cache.root}")
            with cache.lease(key):
                found = (self._settled if self.stage.shares else self._stored)(cache, key, parts, log)
                cache.done(key)
            return found

    def _stored(self, cache: Cache, key: str, parts: dict[str, Any], log: progress.Log) -> str:
        """The outputs from the cache, where they are put first if it does not have them."""
        entry = cache.find(key)
        if entry and cache.restore(entry, self.outputs):
            log.line(f"{self.stage.name} {self.name}: cached, key {key[:12]}")
            digests.write(self.digests, entry.about["outputs"])
            return "cached"
        entry = cache.store(key, parts, self._made(cache, key, parts, log))
        if not cache.restore(entry, self.outputs):
            raise UserError(f"{entry.folder}: changed while it was stored; start the same command again")
        digests.write(self.digests, entry.about["outputs"])
        return "made"

    def _settled(self, cache: Cache, key: str, parts: dict[str, Any], log: progress.Log) -> str:
        """What is left of a shared work is done, and a receipt put in place."""
        settled = function_of(self.stage.settled)(self, cache)
        if settled:
            log.line(f"{self.stage.name} {self.name}: cached, nothing is left to do")
        else:
            self._made(cache, key, parts, log)
        for path in self.outputs.values():
            write_text(path, f"{self.command}\n")
        return "cached" if settled else "made"

    def _made(self, cache: Cache, key: str, parts: dict[str, Any], log: progress.Log) -> Path:
        """The folder that the stage has filled with its outputs."""
        work = cache.make(cache.work(key))
        made = cache.make(work / f"outputs-{uuid.uuid4().hex}")  # nobody else's, even of one who thinks us dead
        outputs = {} if self.stage.shares else {name: str(made / name) for name in self.outputs}
        job = self.here
        with contextlib.ExitStack() as stack:
            stack.enter_context(stoppable(f"{self.stage.name} {self.name}", work, log))
            if self.stage.computes:
                stack.enter_context(computing(job.machine, cache.tell))
            stack.enter_context(placed(work))
            run = function_of(self.stage.run)
            if self._parts_now() != parts:  # after a wait, before anything is computed
                raise UserError(f"{log.name}: its code or inputs changed while it waited; start the same command again")
            run(Context(job, key, parts, work, outputs, cache, log))
        if {path.name for path in made.iterdir()} != set(outputs):
            raise UserError(f"{made}: cleared away while it was filled; start the same command again")
        if self._parts_now() != parts:
            log.line(f"{log.name}: code or inputs changed while it ran; kept as made by what was there when it began")
        return made

    def _parts_now(self) -> dict[str, Any]:
        """The key's parts, of the files as they are now."""
        forget()
        return self.key_parts()


def digest_of_input(stage: Stage, name: str, path: str | Path) -> str:
    """What a key has of an input: the file's digest, or what the stage says of it in its place.

    Args:
        stage: who reads it.
        name: of the input.
        path: of a file with its content.
    """
    return function_of(stage.told[name])(path) if name in stage.told else file_digest(path)


def not_made(path: str | Path) -> ParamsError:
    """What to say of an input that is not there."""
    return ParamsError(f"{path}: not found; it is made by an earlier stage: snakemake --cores 1 {path}")


@functools.cache
def public_version(package: str) -> str:
    """The installed version without its local part: `2.11.0+cpu` computes what `2.11.0` does, where it computes it."""
    return importlib.metadata.version(package).partition("+")[0]


def _says(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


@dataclass(frozen=True)
class Context:
    """What a stage's function is given."""

    job: Job
    key: str
    key_parts: dict[str, Any]
    work: Path
    """Folder for checkpoints, outside all outputs; gone once the outputs are stored."""
    outputs: dict[str, str]
    """Where to write each output: beside the checkpoints, from where it goes to the cache and into its place."""
    cache: Cache
    log: progress.Log

    @property
    def device(self) -> str:
        """`cpu` or `cuda`."""
        return self.job.params.run.device


def seed_of(text: str) -> int:
    """The number that `--seed` states.

    Raises:
        ParamsError: for another form than run.seeds has in paths, such as `-3`, `07` or `x`.
    """
    if not SEED.fullmatch(text):
        allowed = f"an integer from 0 to {10**18 - 1}, without leading zeros"
        raise ParamsError(f"--seed: found {shown(text)}; allowed: {allowed}")
    return int(text)


def job(params: Params, stage: str, **wildcards: str) -> Job:
    """A job, its wildcards checked.

    Raises:
        ParamsError: for a data set, method, suite or profile that params.yaml does not define, a method to be tuned
            that starts nowhere, a seed that is no plain number, or an attack space, hypothesis or certificate that does
            not fit the run, whether the run names it or not.
    """
    known: dict[str, Any] = {
        "dataset": params.data,
        "method": params.methods,
        "suite": params.evaluation,
        "profile": params.radii,
        "unforeseen": params.unforeseen,
        "space": params.attack_spaces,
        "hypothesis": params.hypotheses,
        "certificate": params.certificates,
    }
    for name, value in wildcards.items():
        if name in known and value not in known[name]:
            raise ParamsError(f"--{name}: found {shown(value)}; allowed: {listed(known[name], value)}")
    seed_of(wildcards.get("seed", "0"))
    for name, check in CHECKS.items():
        if name in STAGES[stage].wildcards:
            check(params, wildcards[name])
    if stage == "train_tuned":
        _check_tuned(params, wildcards["method"])
    if "shard" in STAGES[stage].wildcards:
        _check_shard(params, wildcards["suite"], wildcards["shard"])
    named = {name: str(wildcards[name]) for name in STAGES[stage].wildcards}
    return Job(STAGES[stage], named, params)


def _check_tuned(params: Params, method: str) -> None:
    tuned = params.run.tuned_methods
    if method not in tuned:
        allowed = f"methods of run.tuned, which says where they start: {listed(tuned, method) or 'none'}"
        raise ParamsError(f"--method: found {shown(method)}; allowed: {allowed}")


def _check_shard(params: Params, suite: str, shard: str) -> None:
    shards = shards_of(params, suite)
    if shard not in shards:
        allowed = listed(shards, shard) or f"none, since evaluation.{suite}.shards is 1"
        raise ParamsError(f"--shard: found {shown(shard)}; allowed: {allowed}")


TRAININGS = {"train": "methods", "train_semi": "semi_methods", "train_tuned": "tuned_methods"}
"""The list of `run` whose methods each kind of training is for."""


def check_kind_of_training(job: Job) -> None:
    """Refuses to train otherwise what the run trains with pseudo-labels, from a start, or without: one path for all.

    Raises:
        ParamsError: with the command that the run trains it with.
    """
    if job.stage.name not in TRAININGS:
        return
    method, command = job.wildcards["method"], training_job(job.params, **job.wildcards).stage.name
    if command != job.stage.name and method in job.params.run.all_methods:
        found = f"{shown(method)}, which the run trains otherwise"
        raise ParamsError(f"--method: found {found}; allowed: mngac {command} for it")


def training_job(params: Params, **wildcards: str) -> Job:
    """The job that trains a method: with pseudo-labels, or from another's classifier, where the run trains it so."""
    of_run = (stage for stage, key in TRAININGS.items() if wildcards["method"] in getattr(params.run, key))
    return job(params, next(of_run, "train"), **wildcards)


def jobs(params: Params) -> list[Job]:
    """Every job of the run, in an order in which each comes after what it reads."""
    return [found for stage in STAGES.values() for found in _jobs_of(stage, params)]


def _jobs_of(stage: Stage, params: Params) -> Iterator[Job]:
    run = params.run
    names = [name for name in stage.wildcards if name != "shard"]
    lists: dict[str, list[Any]] = {
        "dataset": run.datasets,
        "method": getattr(run, stage.methods),
        "seed": run.seeds,
        "suite": getattr(run, stage.suites),
        "profile": run.profiles,
        "unforeseen": run.unforeseen,
        "space": run.attack_spaces,
        "hypothesis": run.hypotheses,
        "certificate": run.certificates,
    }
    for values in itertools.product(*(lists[name] for name in names)):
        wildcards = dict(zip(names, map(str, values), strict=True))
        for shard in shards_of(params, wildcards["suite"]) if "shard" in stage.wildcards else ("",):
            yield job(params, stage.name, **wildcards, **({"shard": shard} if shard else {}))
