"""The first half hour of a GPU: does it compute the same, how fast is it, and what do its classifiers withstand.

    python -m benchmarks.measure_cifar10 --archive cifar10-jpeg.tar.xz --out measured --minutes 10

Three phases, each resumed where it was stopped, whatever stopped it, by the same command:

- check: one step of every method against the CPU, in float32, float64 and bfloat16
- bench: training steps against the plain reference, where mng_ac spends its time, and loading
- train: methods trained on the archive and evaluated, in the order given, by the pipeline's own commands

`--out` gets few small files as soon as there is something to say: measured.json with measured.md, results.md, and
records.tar.gz. Data, checkpoints and trainings stay in `--work`. A phase that others follow takes no more than its
share of the minutes. `--try` does the same on a CPU with small numbers. Nothing needs a network, snakemake or dvc.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import yaml

from benchmarks import machine, measured
from benchmarks.page import page
from benchmarks.records_page import records_page
from mngac.pipeline.atomic import write_text
from mngac.results.records import read

ROOT = Path(__file__).parent.parent
METHODS = ["mng_ac", "sat", "adv_linf", "nat", "sat_ac", "adv_max", "msd", "adv_avg", "trades_linf", "adv_l1", "adv_l2"]
BENCHED = ["nat", "adv_linf", "mng_ac", "msd"]
NAME = "cifar10_jpeg"
SHARES = {"check": 0.2, "bench": 0.3, "train": 1.0}
"""Of the minutes that are left, where another phase follows."""
GRACE = 20.0
"""Seconds that a command has to save what it did."""


class Clock:
    """Seconds left of some minutes."""

    def __init__(self, minutes: float):
        self.end = time.monotonic() + 60 * minutes

    def left(self) -> float:
        """Seconds, none below zero."""
        return max(0.0, self.end - time.monotonic())


def call(command: list[str], folder: Path, seconds: float, cache: Path) -> bool:
    """Runs a Python module in a folder for so long at most, then stops it as Ctrl-C does; whether it finished."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "MNGAC_CACHE": str(cache), "PYTHONUNBUFFERED": "1"}
    if seconds <= 0:
        return False
    process = subprocess.Popen([sys.executable, "-m", *command], cwd=folder, env=env, preexec_fn=_heeds_ctrl_c)
    try:
        status = process.wait(seconds)
    except subprocess.TimeoutExpired:
        print(f"stopped, the time is up: {' '.join(command)}", file=sys.stderr)
        process.send_signal(signal.SIGINT)
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        return False
    if status:
        print(f"ended with {status}: {' '.join(command)}", file=sys.stderr)
    return status == 0


def _heeds_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Measurement:
    """One run of the script: its options, folders and clock."""

    def __init__(self, a: argparse.Namespace):
        self.a = a
        self.out, self.work = a.out.absolute(), (a.work or a.out / "work").absolute()
        for folder in (self.out, self.work):
            folder.mkdir(parents=True, exist_ok=True)
        self.cache = self.work / "cache"
        self.device = "cpu" if a.dry else "cuda"
        self.json = self.out / "measured.json"
        self.clock = Clock(a.minutes)

    def run(self) -> None:
        """All phases chosen, in their order."""
        phases = [phase for phase in SHARES if phase in self.a.phases]
        for phase in phases:
            left = self.clock.left()
            getattr(self, phase)(Clock(left / 60 * (1.0 if phase == phases[-1] else SHARES[phase])))

    # ---------------------------------------------------------------- check and bench

    def check(self, clock: Clock) -> None:
        """Every method, one step, on the device and on the CPU."""
        from benchmarks.devices import METHODS as ALL

        small = ["--model", "wrn_10_1", "--batch", "8", "--image-size", "16", "--attack-steps", "2", "2", "2"]
        options = small if self.a.dry else ["--model", "wrn_10_2", "--batch", "32"]
        threads = "1" if self.a.dry else str(os.cpu_count())
        self._measure("devices", ALL, [*options, "--device", self.device, "--threads", threads], clock)

    def bench(self, clock: Clock) -> None:
        """The costliest operators, loading, and training steps of the model that is trained and of WRN-28-10."""
        few = ["--images", "500", "--batches", "10", "--turns", "1"] if self.a.dry else []
        loading = ["loading", "--device", self.device, *few]
        for command in (["operators", *self._benches()[0]], loading):
            if not any(run.benchmark == command[0] and run.complete for run in self._runs()):
                self._benchmark(command, clock)
        for options in self._benches():
            self._measure("train", BENCHED[:2] if self.a.dry else BENCHED, options, clock)

    def _benches(self) -> list[list[str]]:
        if self.a.dry:
            small = ["--model", "wrn_10_1", "--batch", "8", "--image-size", "16", "--attack-steps", "1", "1", "1"]
            return [[*small, "--turns", "2", "--device", "cpu"]]
        models = dict.fromkeys([self.a.model, "wrn_28_10"])
        common = ["--batch", "128", "--precision", "bfloat16", "--device", "cuda"]
        return [["--model", model, "--turns", "5", *common] for model in models]

    def _measure(self, benchmark: str, methods: list[str], options: list[str], clock: Clock) -> None:
        """Runs a benchmark for the methods that the file does not have yet with these options."""
        left = [m for m in methods if m not in self._measured(benchmark, options)]
        while left and clock.left():
            self._benchmark([benchmark, *options, "--methods", *left], clock)
            # Where it ended early, the first that is missing is what it ended at: the others are tried without it.
            missing = [m for m in left if m not in self._measured(benchmark, options)]
            left = missing[1:]

    def _measured(self, benchmark: str, options: list[str]) -> set[str]:
        """Methods of which the file has all rows: of a run that was broken off, all but the last."""
        told = " ".join([benchmark, *options, "--methods"])
        found: set[str] = set()
        for run in self._runs():
            if told in run.command:
                methods = list(dict.fromkeys(row["method"] for row in run.rows))
                found |= set(methods if run.complete else methods[:-1])
        return found

    def _benchmark(self, command: list[str], clock: Clock) -> None:
        call(["benchmarks", *command, "--json", str(self.json)], ROOT, clock.left(), self.cache)
        write_text(self.out / "measured.md", page(self._runs()))

    def _runs(self) -> list[measured.Run]:
        return measured.read(self.json) if self.json.exists() else []

    # ---------------------------------------------------------------- train

    def train(self, clock: Clock) -> None:
        """Trains and evaluates method after method until the time is up; what is finished stands on the page."""
        write_text(self.work / "params.yaml", yaml.safe_dump(params(self.a), sort_keys=False))
        self._write_results()
        if not call(["mngac", "data", "--dataset", NAME], self.work, clock.left(), self.cache):
            return
        for method in self.a.methods:
            who = ["--dataset", NAME, "--method", method, "--seed", "0"]
            attack = [*who, "--suite", self.a.suite, "--profile", "standard"]
            for command in (["train", *who], ["evaluate", *attack]):
                if not call(["mngac", *command], self.work, clock.left(), self.cache):
                    break
            self._write_results()

    def _write_results(self) -> None:
        """The page of the records that are there, and the records."""
        there = sorted(self.work.glob("records/*/*/seed*/*.json"))
        missing = [m for m in self.a.methods if m not in {read(path).method for path in there}]
        write_text(self.out / "results.md", records_page(self.work, f"Results: {NAME}", machine.facts(), missing))
        with tarfile.open(self.out / "records.tar.gz", "w:gz") as archive:
            logs = sorted(self.work.glob("trained/*/*/seed*/train.json*"))
            for path in [*there, *logs, self.work / "params.yaml"]:
                archive.add(path, path.relative_to(self.work).as_posix())


def params(a: argparse.Namespace) -> dict[str, Any]:
    """params.yaml with the archive as a data set, the model and the paper's budget."""
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    lists = {"methods": a.methods, "semi_methods": [], "teachers": [], "suites": [a.suite]}
    raw["run"] |= {"datasets": [NAME], "device": "cpu" if a.dry else "cuda", **lists}
    raw["data"][NAME] = {"loader": "folder", "source": str(a.archive.absolute()), "validation": 0.02, "unlabelled": 0.0}
    for profile in ("standard", "large_l1"):
        raw["radii"][profile][NAME] = raw["radii"][profile]["cifar10"]
    training = {**raw["training"].get("cifar10", {}), "model": a.model, "epochs": a.epochs}
    raw["evaluation"][a.suite]["n"] = a.n
    if a.dry:
        raw["data"][NAME] |= {"train_images": 300, "test_images": 20}
        training |= {"epochs": 2, "model": "wrn_10_1", "batch_size": 64, "schedule": {"peak": 0.05, "peak_epoch": 0.5}}
        training |= {"monitor": {"images": 20, "steps": 1}}
        training["attack"] = {norm: {"steps": 2} for norm in ("linf", "l1", "l2")}
        raw["evaluation"][a.suite]["n"] = 10
        for attack in raw["evaluation"][a.suite]["attacks"]:
            attack["steps"] = 3
    raw["training"][NAME] = training
    return raw


def main(argv: list[str] | None = None) -> None:
    """Runs the phases chosen."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archive", type=Path, help="of train/<class>/* and test/<class>/*; for the phase train")
    parser.add_argument("--out", type=Path, required=True, help="folder of the small files")
    parser.add_argument("--work", type=Path, help="folder of data, checkpoints and trainings (default: <out>/work)")
    parser.add_argument("--phases", nargs="+", choices=tuple(SHARES), default=list(SHARES))
    parser.add_argument("--minutes", type=float, default=10, help="for all phases together")
    parser.add_argument("--methods", nargs="+", default=METHODS, help="trained, in this order")
    parser.add_argument("--model", default="preact_resnet_18")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--suite", default="aa2")
    parser.add_argument("--n", type=int, default=1000, help="test images evaluated, the first ones")
    parser.add_argument("--try", dest="dry", action="store_true", help="on the CPU, with small numbers")
    a = parser.parse_args(argv)
    if "train" in a.phases and not a.archive:
        parser.error("--archive: missing; the phase train needs it")
    Measurement(a).run()


if __name__ == "__main__":
    main()
