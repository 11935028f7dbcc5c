"""Runs the pipeline under both engines while its processes are killed at random moments, and compares what comes out.

    python tests/torture.py --stages 40 --terminated 10 --engines 10

First the pipeline runs undisturbed. Then each engine in turn runs it from an empty cache, in a workspace of its own, is
started again whenever it ends early, and begins anew when it is done, until so many stage processes have been killed
(kill -9) and terminated (SIGTERM), and so many engines killed. Of two runs, the second saves at every step. After each
run that came through, its results must be the undisturbed ones, byte by byte but for what was timed, with no lease held
and no file left over. Prints what each kill cost: the seconds of work since the process began or something of it was
last saved.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from helpers import ROOT, environment, small, workspace
from outputs import outputs
from tabulate import tabulate

sys.path.insert(0, str(ROOT))
from mngac.pipeline.stages import STAGES

COMMANDS = {"snakemake": ["snakemake", "--cores", "2"], "dvc": ["dvc", "repro"]}
PATIENCE = 900.0
"""Seconds without a kill after which a run that does not end counts as hanging."""


@dataclass
class Kill:
    """One process that was killed: whose it was, how, and the work that it had not saved."""

    engine: str
    what: str
    how: str
    alive: float
    lost: float | None
    """Seconds; None for an engine, whose stages go on."""


@dataclass
class Quota:
    """Kills that are still to come."""

    killed: int
    terminated: int
    engines: int

    def draw(self, dice: random.Random) -> str:
        """One of the kinds that are left, by their numbers."""
        kinds = {"stage kill": self.killed, "stage term": self.terminated, "engine kill": self.engines}
        return dice.choices(list(kinds), list(kinds.values()))[0]

    def count(self, kind: str) -> None:
        """Takes one off."""
        name = {"stage kill": "killed", "stage term": "terminated", "engine kill": "engines"}[kind]
        setattr(self, name, getattr(self, name) - 1)

    def __bool__(self) -> bool:
        return self.killed + self.terminated + self.engines > 0

    def half(self) -> Quota:
        """Half of each, rounded up; these are taken off."""
        parts = [-(-count // 2) for count in (self.killed, self.terminated, self.engines)]
        self.killed, self.terminated, self.engines = (
            count - part for count, part in zip((self.killed, self.terminated, self.engines), parts, strict=True)
        )
        return Quota(*parts)


@dataclass
class Run:
    """A workspace with a cache of its own, and the engine that works in it."""

    folder: Path
    engine: str
    kills: list[Kill] = field(default_factory=list)
    starts: int = 0

    @property
    def cache(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}-cache")

    def prepare(self, project: Path, often: bool) -> None:
        """A fresh copy of the project, with an empty cache; `often`: checkpoints at every step."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self.cache, ignore_errors=True)
        shutil.copytree(project, self.folder)
        if often:
            file = self.folder / "mngac/training/checkpoints.py"
            file.write_text(re.sub("(LEAST_SECONDS|TIMES_WRITING) = .*", r"\1 = 0.0", file.read_text()))
        subprocess.run(["git", "init", "-q"], cwd=self.folder, check=True)

    def start(self) -> subprocess.Popen:
        """The engine, as somebody starts it who found that it had ended."""
        if self.engine == "snakemake" and self.starts:
            self._do(["snakemake", "--unlock"])
        self.starts += 1
        with open(self.folder / "engine.log", "a") as log:
            return subprocess.Popen(
                COMMANDS[self.engine], cwd=self.folder, env=environment(self.folder, self.cache), stdout=log, stderr=log
            )

    def _do(self, command: list[str]) -> None:
        subprocess.run(
            command, cwd=self.folder, env=environment(self.folder, self.cache), capture_output=True, check=True
        )

    def undisturbed(self) -> None:
        """Runs it once."""
        if self.start().wait():
            raise SystemExit(f"the undisturbed run failed: {self.folder}/engine.log")

    def processes(self) -> list[psutil.Process]:
        """All that work in the workspace, orphans of killed engines too."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.cwd() == str(self.folder) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def stages(self) -> list[tuple[psutil.Process, str]]:
        """Stage processes at work, with their stage."""
        found = []
        for process in self.processes():
            try:
                words = process.cmdline()
            except psutil.Error:
                continue
            names = [word for word in words[1:3] if word in STAGES] if any("mngac" in w for w in words[:2]) else []
            if names:
                found.append((process, " ".join([names[0], *words[words.index(names[0]) + 1 :][1::2]])))
        return found

    def disturbed(self, quota: Quota, dice: random.Random, pause: float) -> None:
        """Runs it to its end, killing on the way as long as there is something left to kill."""
        engine, deadline = self.start(), time.monotonic() + PATIENCE
        while engine.poll() != 0:
            if engine.poll() is not None:
                engine = self.start()
            if not quota:
                time.sleep(0.2)
            else:
                time.sleep(dice.uniform(0.2, pause))
                kind = quota.draw(dice)
                if engine.poll() is None and self._kill(kind, engine, dice):
                    quota.count(kind)
                    deadline = time.monotonic() + PATIENCE
            if time.monotonic() > deadline:
                raise SystemExit(f"{self.engine} hangs: {self.folder}/engine.log")

    def _kill(self, kind: str, engine: subprocess.Popen, dice: random.Random) -> bool:
        if kind == "engine kill":
            process, what = psutil.Process(engine.pid), self.engine
        else:
            at_work = self.stages()
            if not at_work:
                return False
            process, what = dice.choice(at_work)
        try:
            work, moment = self._work(process), time.time()
            alive = moment - process.create_time()
            process.send_signal(signal.SIGTERM if kind == "stage term" else signal.SIGKILL)
            engine.wait() if kind == "engine kill" else process.wait()
        except psutil.Error:
            return False
        how = "SIGTERM" if kind == "stage term" else "kill -9"
        lost = None if kind == "engine kill" else min(alive, max(0.0, moment - _saved(work)))
        self.kills.append(Kill(self.engine, what, how, alive, lost))
        return True

    def _work(self, process: psutil.Process) -> Path | None:
        """Where the process saves its work, as its lease tells; None before it has one."""
        for lease in (self.cache / "leases").glob("*.json"):
            try:
                if json.loads(lease.read_text())["process"]["pid"] == process.pid:
                    return self.cache / "work" / lease.stem
            except (OSError, ValueError, KeyError):
                continue
        return None

    def left_over(self) -> list[str]:
        """What nobody needs any more: leases, checkpoints, unfinished files, processes."""
        files = [path for root in (self.folder, self.cache) for path in root.rglob("*")]
        found = [str(path) for path in files if path.name.endswith(".part")]
        found += [f"lease {path.name}" for path in (self.cache / "leases").glob("*.json")]
        found += [f"work {path.name}" for path in (self.cache / "work").glob("*")]
        return [*found, *(f"process {process.pid}" for process in self.processes())]


def _saved(work: Path | None) -> float:
    """When something was last saved in a work folder; 0 where nothing was."""
    try:
        return max((path.stat().st_mtime for path in work.iterdir() if path.is_file()), default=0.0) if work else 0.0
    except FileNotFoundError:  # it had finished: all of it is in the cache
        return float("inf")


def pipeline(epochs: int, images: int) -> dict:
    """Three methods on the digits, whose trainings and evaluations take about as long."""
    raw = small(methods=("nat", "mng_ac", "adv_max"), epochs=epochs)
    raw["evaluation"]["apgd"] |= {"n": images, "batch_size": 50}
    for attack in raw["evaluation"]["apgd"]["attacks"]:
        attack["steps"] = 50
    return raw


def torture(
    quota: Quota, seed: int, pause: float, raw: dict, folder: Path, often: tuple[bool, ...] = (False, True)
) -> list[Kill]:
    """Every kill of the quota, under both engines; runs save as `often` says, in turns.

    Raises:
        SystemExit: where a run hangs, leaves something over or ends with other results.
    """
    dice, kills, project = random.Random(seed), [], workspace(folder / "project", raw)
    wanted = {}
    for each in often:
        calm = Run(folder / f"calm-{each}", "snakemake")
        calm.prepare(project, each)
        calm.undisturbed()
        wanted[each] = outputs(calm.folder)
    for engine, share in (("snakemake", quota.half()), ("dvc", quota)):
        turns = itertools.cycle(often)
        while share:
            run, each = Run(folder / engine, engine), next(turns)
            run.prepare(project, each)
            run.disturbed(share, dice, pause)
            found = outputs(run.folder)
            wrong = [name for name in {**found, **wanted[each]} if found.get(name) != wanted[each].get(name)]
            left = run.left_over()
            kills += run.kills
            compared = f"{len(wrong)} of {len(found)} files differ, {len(left)} left over"
            print(f"{engine}: {len(run.kills)} kills, {run.starts} starts, {compared}", flush=True)
            if wrong or left:
                raise SystemExit("\n".join([*wrong, *left]))
    return kills


def main(argv: list[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stages", type=int, default=40, help="stage processes to kill -9")
    parser.add_argument("--terminated", type=int, default=10, help="stage processes to send SIGTERM")
    parser.add_argument("--engines", type=int, default=10, help="engines to kill -9")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pause", type=float, default=12.0, help="seconds between two kills, at most")
    parser.add_argument("--epochs", type=int, default=20, help="of each training")
    parser.add_argument("--images", type=int, default=600, help="that each evaluation attacks")
    parser.add_argument("--folder", type=Path, help="where to work; by default a temporary folder")
    a = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="mngac-torture-") as scratch:
        quota, folder = Quota(a.stages, a.terminated, a.engines), a.folder or Path(scratch)
        kills = torture(quota, a.seed, a.pause, pipeline(a.epochs, a.images), folder)
    rows = [[k.engine, k.what, k.how, f"{k.alive:.1f}", "" if k.lost is None else f"{k.lost:.1f}"] for k in kills]
    print(tabulate(rows, ["under", "killed", "by", "alive (s)", "lost (s)"], tablefmt="github"))


if __name__ == "__main__":
    main()
