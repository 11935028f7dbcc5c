"""What a stage costs before it computes: `mngac train` on a cache hit, imports, against a bare `import torch`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from benchmarks.settings import ROOT
from benchmarks.turns import Spread, in_turns, ratio

TRAIN = "mngac train --dataset digits --method nat --seed 0"
PROGRAMS = {
    "import torch": "import torch",
    "import mngac.training.stage": "import mngac.training.stage",
    "import mngac.evaluation.stage": "import mngac.evaluation.stage",
    "mngac --version": "from mngac.cli import main\nmain(['--version'])",
    f"{TRAIN}, a cache hit": f"from mngac.cli import main\nmain({TRAIN.split()[1:]})",
    "nothing": "",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the benchmark."""
    parser.add_argument("--turns", type=int, default=7)


def rows(a: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row a program; all in turns."""
    with tempfile.TemporaryDirectory() as name:
        folder = workspace(Path(name))
        sides = {what: partial(seconds, folder, program) for what, program in PROGRAMS.items()}
        in_turns(sides, 1)
        turns = in_turns(sides, a.turns)
    for what, found in turns.items():
        yield {
            "what": what,
            "turns": a.turns,
            "seconds": Spread.of(found).as_dict(),
            "of_import_torch": ratio(found, turns["import torch"]).as_dict(),
        }


def workspace(folder: Path) -> Path:
    """A folder in which one training of the digits is in the cache, after a single step."""
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    raw["run"] |= {"methods": ["nat"], "semi_methods": [], "teachers": [], "device": "cpu"}
    raw["training"]["digits"] |= {"epochs": 1, "steps_per_epoch": 1, "schedule": {"peak": 0.1, "peak_epoch": 0.5}}
    (folder / "params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
    for command in (["data", "--dataset", "digits"], TRAIN.split()[1:]):
        seconds(folder, f"from mngac.cli import main\nassert main({command}) == 0")
    return folder


def seconds(folder: Path, program: str) -> float:
    """Seconds of a Python program of its own, by the wall."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "MNGAC_CACHE": str(folder / "cache")}
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], cwd=folder, env=env, check=True, capture_output=True)
    return time.perf_counter() - started
