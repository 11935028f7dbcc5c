"""Trains and evaluates methods on a folder of CIFAR-10 images on one GPU, and writes down what was measured.

    python benchmarks/measure_cifar10.py --archive cifar10-jpeg.tar.xz --out measured

Every method is trained by the pipeline's own commands, in the order given, until the time is up; what is finished is
saved, with its record, so that a stopped run resumes. `--try` does the same on a CPU with few images and one epoch.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import yaml

from mngac.results.records import read

ROOT = Path(__file__).parent.parent
METHODS = ["sat", "mng_ac", "sat_ac_noise", "sat_ac", "adv_linf", "nat"]
NAME = "cifar10_jpeg"


PROFILE = """
import pathlib
import sys

from torch.profiler import ProfilerActivity, profile

from mngac.data import store
from mngac.params.checks import load
from mngac.pipeline.device import device_type
from mngac.pipeline.jobs import job
from mngac.training.stage import plan_of
from mngac.training.trainer import Trainer

one = job(load(), "train", dataset=sys.argv[1], method="mng_ac", seed="0")
plan = plan_of(one, device_type(one.params.run.device))
trainer = Trainer(store.load(one.inputs["data"]), plan, pathlib.Path("profile"))
trainer.classifier.train()
for number in range(1, 4):
    trainer._step(number, 0.05)
cuda = trainer.device == "cuda"
with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]) as profiled:
    for number in range(4, 7):
        trainer._step(number, 0.05)
key = "self_cuda_time_total" if cuda else "self_cpu_time_total"
print(profiled.key_averages().table(sort_by=key, row_limit=12, max_name_column_width=60))
"""


def params(arguments: argparse.Namespace) -> dict:
    """params.yaml with the folder as a data set, PreActResNet-18 and the paper's budget."""
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    methods = arguments.methods
    raw["run"] |= {
        "datasets": [NAME], "methods": methods, "semi_methods": [], "teachers": [],
        "suites": [arguments.suite], "device": "cpu" if arguments.dry else "cuda",
    }  # fmt: skip
    raw["data"][NAME] = {"loader": "folder", "source": str(arguments.archive), "validation": 0.02, "unlabelled": 0.0}
    for profile in ("standard", "large_l1"):
        raw["radii"][profile][NAME] = raw["radii"][profile]["cifar10"]
    training = {**raw["training"].get("cifar10", {}), "model": "preact_resnet_18", "epochs": arguments.epochs}
    if arguments.dry:
        raw["data"][NAME] |= {"train_images": 300, "test_images": 20}
        training["monitor"] = {"images": 20, "steps": 1}
        training |= {"epochs": 1, "model": "wrn_10_1", "schedule": {"peak": 0.05, "peak_epoch": 0.5}}
        raw["evaluation"][arguments.suite]["n"] = 10
    raw["training"][NAME] = training
    return raw


def mngac(folder: Path, *command: str) -> float:
    """Runs one command in the folder; seconds."""
    started = time.monotonic()
    env = {**os.environ, "PYTHONPATH": str(ROOT), "MNGAC_CACHE": str(folder / "cache")}
    subprocess.run([sys.executable, "-m", "mngac.cli", *command], cwd=folder, env=env, check=True)
    return time.monotonic() - started


def profile(folder: Path) -> str:
    """Where a step of mng_ac spends its time: the twelve costliest operators."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", PROFILE, NAME], cwd=folder, env=env, capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else done.stderr[-2000:]


def report(folder: Path) -> str:
    """A page of what the records say."""
    import torch

    machine = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()
    columns = ("clean", "linf", "l1", "l2", "union")
    header = ("method", *columns, "n", "seconds", "images_per_second")
    lines = [
        f"# {NAME} on {machine}",
        "",
        f"torch {torch.__version__}, Python {platform.python_version()}, seed 0, accuracies in percent.",
        "",
        f"| {' | '.join(header)} |",
        "|---" * len(header) + "|",
    ]
    for path in sorted(folder.glob("records/*/*/seed0/*.json")):
        record = read(path)
        shares = [f"{record.share(name):.2f}" for name in columns]
        cost = [str(record.timing["training"][key]) for key in header[-2:]]
        lines.append(f"| {' | '.join([record.method, *shares, str(record.n), *cost])} |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Prepares, trains and evaluates until the time is up; writes measurements.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archive", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--suite", default="aa2")
    parser.add_argument("--minutes", type=float, default=25)
    parser.add_argument("--try", dest="dry", action="store_true", help="few images and one epoch, on the CPU")
    arguments = parser.parse_args()
    arguments.archive = arguments.archive.absolute()
    folder = arguments.out.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(params(arguments), sort_keys=False))
    mngac(folder, "data", "--dataset", NAME)
    deadline = time.monotonic() + 60 * arguments.minutes
    longest = 0.0
    for method in arguments.methods:
        if time.monotonic() + longest > deadline:
            print(f"no time for {method}", file=sys.stderr)
            continue
        who = ["--dataset", NAME, "--method", method, "--seed", "0"]
        took = mngac(folder, "train", *who)
        took += mngac(folder, "evaluate", *who, "--suite", arguments.suite, "--profile", "standard")
        longest = max(longest, took)
        (folder / "measurements.md").write_text(report(folder))
    steps = f"\n## Where a step of mng_ac spends its time\n\n```\n{profile(folder)}\n```\n"
    (folder / "measurements.md").write_text(report(folder) + steps)


if __name__ == "__main__":
    main()
