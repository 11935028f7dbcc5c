"""Runs cases: each ends well or in a line that the user can mend, soon, with no code run and nothing half written."""

from __future__ import annotations

import contextlib
import io
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import yaml
from fuzz.kinds import KINDS, Kind
from fuzz.spoilt import PLANTED
from helpers import ROOT

from mngac.params.errors import LONGEST_LINE, UserError

SECONDS = 10
"""That a case may take in process;"""
COMMAND_SECONDS = 60
"""and as a command, with its start."""
LEFT = ("*.part", "r.json", "out/*", "restored")
"""What no case that was refused may leave."""


def names(cases: int) -> list[str]:
    """The kind of each case, in turn."""
    return [list(KINDS)[number % len(KINDS)] for number in range(cases)]


class Late(BaseException):
    """The case took too long."""


@contextlib.contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Raises `Late` in a block that takes longer."""

    def late(*_: object) -> None:
        raise Late(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def prepared(right: Path, folder: Path) -> Path:
    """A copy of the right project in which commands read every kind of file."""
    shutil.copytree(right, folder)
    raw = yaml.safe_load((folder / "params.yaml").read_text())
    for name, pool in (("pickled", "pool.pkl"), ("arrays", "pool.npy")):
        raw["data"][name] = {**raw["data"]["digits"], "unlabelled": pool}
    raw["training"]["digits"] |= {"steps_per_epoch": 1}
    raw["training"]["default"]["semi"] |= {"steps_per_epoch": 1}
    (folder / "params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
    return folder


def in_process(right: Path, folder: Path, cases: int, seed: int) -> tuple[Counter[str], list[str]]:
    """How often each kind was accepted or refused, and what was wrong.

    Args:
        right: the project as it should be.
        folder: a copy, which is the working folder.
        cases: how many.
        seed: of all random numbers; a case depends on it and on its own number alone.
    """
    ended: Counter[str] = Counter()
    wrong = []
    for number, name in enumerate(names(cases)):
        said = _one(KINDS[name], right, folder, random.Random(f"{seed} {number}"))
        ended[f"{name}: {'wrong' if said not in ('accepted', 'refused') else said}"] += 1
        if said not in ("accepted", "refused"):
            wrong.append(f"case {number} of seed {seed} ({name}): {said}")
    return ended, wrong


def _one(kind: Kind, right: Path, folder: Path, rng: random.Random) -> str:
    kind.write(right, folder, rng)
    outcome = "accepted"
    try:
        with limited(SECONDS), contextlib.redirect_stderr(io.StringIO()):
            kind.read(folder)
    except UserError as error:
        outcome = "refused" if len(str(error)) <= LONGEST_LINE and str(error).isprintable() else f"said: {error!s}"
    except (Exception, Late):
        outcome = traceback.format_exc()
    return _planted(folder) or outcome


def _planted(folder: Path) -> str:
    found = (folder / PLANTED).exists()
    (folder / PLANTED).unlink(missing_ok=True)
    return "planted code was run" if found else ""


def by_command(right: Path, folder: Path, cases: int, seed: int) -> tuple[Counter[str], list[str]]:
    """The same through the command line, each in a process of its own and in a fresh copy of the project."""
    ended: Counter[str] = Counter()
    wrong = []
    for number, name in enumerate(names(cases)):
        shutil.rmtree(folder)
        shutil.copytree(right, folder)
        rng = random.Random(f"{seed} command {number}")
        KINDS[name].write(right, folder, rng)
        if name == "image":
            (folder / "x.png").replace(folder / "tree/train/ant/0.png")
        said = _command(KINDS[name].command, folder)
        ended[f"{name}: {'wrong' if said not in ('accepted', 'refused') else said}"] += 1
        if said not in ("accepted", "refused"):
            wrong.append(f"command {number} of seed {seed} ({name}): {said}")
    return ended, wrong


def _command(command: str, folder: Path) -> str:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "MNGAC_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    line = [sys.executable, "-m", "mngac", *shlex.split(command)]
    try:
        done = subprocess.run(line, cwd=folder, env=env, capture_output=True, timeout=COMMAND_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"more than {COMMAND_SECONDS} s"
    said = done.stderr.decode(errors="replace")
    if _planted(folder):
        return "planted code was run"
    if done.returncode == 0 and "Traceback" not in said:
        return "accepted"
    lines = said.splitlines()
    fits = done.returncode == 2 and lines and lines[-1].startswith("mngac: ") and len(lines[-1]) <= LONGEST_LINE + 7
    left = [str(path) for pattern in LEFT for path in folder.glob(pattern)]
    right = fits and not left and "Traceback" not in said
    return "refused" if right else f"status {done.returncode}, left {left}: {said}"


def timed(what: str, ended: Counter[str], wrong: list[str], started: float) -> str:
    """A run's numbers as text."""
    lines = [f"{sum(ended.values()):,} {what} in {time.monotonic() - started:.0f} s, {len(wrong)} wrong"]
    return "\n".join([*lines, *(f"  {name}: {count:,}" for name, count in sorted(ended.items())), *wrong])
