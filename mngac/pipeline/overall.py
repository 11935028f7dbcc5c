"""One line for a whole run of an engine: jobs done of each stage, and the time left; a live one on a terminal."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from mngac.pipeline.jobs import Job
from mngac.pipeline.progress import terminal_line, watched
from mngac.pipeline.stages import STAGES

FORM = "{desc} {percentage:3.0f}%|{bar}| {n_fmt} of {total_fmt} jobs [{elapsed}{postfix} left]"
TOLD = ("progress", "job_finished", "job_started")
"""Events of Snakemake's that the line tells."""
LOOK = 1.0
"""Seconds between two looks at the files."""
LONG = 20
"""How many tables or other short jobs a job of a stage that computes, such as a training, is taken to be worth."""


class Overall:
    """Watches the outputs of the jobs that a run is to do, in a thread of the engine's own process.

    A job is done when its outputs are newer than the run. Time left: as if every job took what those done took on
    average, long ones LONG times a short one; unknown until a long one is done, where there are some.
    """

    def __init__(self) -> None:
        self.left: list[Job] = []
        self.total, self.done = Counter[str](), Counter[str]()
        self.began = 0.0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def start(self, jobs: Sequence[Job]) -> None:
        """Begins to watch what the engine has found out of date."""
        self.left, self.total, self.began = list(jobs), Counter(job.stage.name for job in jobs), time.time()
        if self.left:
            self.thread.start()

    def stop(self) -> None:
        """Looks a last time, and ends."""
        if self.thread.is_alive():
            self.over.set()
            self.thread.join()

    def _watch(self) -> None:
        with self._shown() as show:
            while not self.over.wait(LOOK):
                show(self._look())
            show(self._look())

    @contextlib.contextmanager
    def _shown(self) -> Iterator[Callable[[int], None]]:
        """What is told, again and again, how many jobs have ended."""
        if not watched():
            yield self._print
            return
        with (
            terminal_line() as place,
            tqdm(total=len(self.left), position=place, smoothing=0, dynamic_ncols=True, bar_format=FORM) as bar,
        ):

            def draw(ended: int) -> None:
                bar.set_description_str(self.text(), refresh=False)
                bar.set_postfix_str(self.time_left(), refresh=False)
                bar.update(ended)
                bar.refresh()

            yield draw

    def _look(self) -> int:
        """How many jobs have ended since the last look."""
        ended = [job for job in self.left if _newer(job.outputs.values(), self.began)]
        self.left = [job for job in self.left if job not in ended]
        self.done.update(job.stage.name for job in ended)
        return len(ended)

    def time_left(self) -> str:
        """Such as 01:30, or a question mark."""
        long = {name for name in self.total if STAGES[name].computes}
        done, total = self._worth(self.done), self._worth(self.total)
        if not done or (long and not any(self.done[name] for name in long)):
            return "?"
        return str(tqdm.format_interval((time.time() - self.began) * (total / done - 1)))

    @staticmethod
    def _worth(counted: Counter[str]) -> int:
        return sum(count * (LONG if STAGES[name].computes else 1) for name, count in counted.items())

    def text(self) -> str:
        """Jobs done of each stage that is begun and not ended."""
        begun = [name for name, count in self.total.items() if self.done[name] < count]
        return "  ".join(f"{name} {self.done[name]}/{self.total[name]}" for name in begun[:4])

    def _print(self, ended: int) -> None:
        if ended:
            told = f"{self.done.total()} of {self.total.total()} jobs done, {self.time_left()} left; {self.text()}"
            with contextlib.suppress(OSError):
                print(f"mngac: {told}".rstrip("; "), file=sys.stderr)


def _newer(paths: Iterable[str], began: float) -> bool:
    try:
        return all(Path(path).stat().st_mtime >= began - 1 for path in paths)
    except OSError:
        return False


def beside_the_line(said: logging.LogRecord) -> bool:
    """Whether a line of Snakemake's is shown on the terminal: not what each job begins and ends with."""
    event = str(getattr(said, "event", None) or "").rpartition(".")[2].lower()
    return event not in TOLD and not said.getMessage().startswith(("Select jobs to", "Execute "))


def asked_for(jobs: Sequence[Job], outputs: Iterable[object]) -> list[Job]:
    """The jobs that make some of these files."""
    wanted = {str(Path(str(path))) for path in outputs}
    return [job for job in jobs if wanted.intersection(job.outputs.values())]
