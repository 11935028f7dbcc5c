"""Images a second by suite: the whole evaluation of a classifier, clean pass and acceptance test included."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import torch

from benchmarks import subjects
from benchmarks.memory import allocator
from benchmarks.turns import Spread
from mngac.evaluation.loop import evaluate
from mngac.params.checks import load
from mngac.tuning.timing import Clock


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the benchmark."""
    parser.add_argument("--suites", nargs="+", default=["quick", "pgd", "apgd"], help="of params.yaml")
    parser.add_argument("--compile", action="store_true", help="as evaluation.<suite>.compile; the compiling counts")
    subjects.add_options(parser)


def rows(a: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row a suite."""
    torch.set_num_threads(a.threads)
    whom, suites, clock = subjects.subject(a), load().evaluation, Clock(a.device, a.threads)
    allocator(kept=True)
    for name in a.suites:
        few, seconds = whom.few(), []
        suite = suites[name].model_copy(update={"compile": a.compile})
        evaluate(few.classifier, few.images, few.labels, suites[name], few.radii, device=a.device)
        for _ in range(a.turns):
            started = clock.now()
            found = evaluate(whom.classifier, whom.images, whom.labels, suite, whom.radii, device=a.device)
            seconds.append(clock.now() - started)
        marks = {norm: found.robust(norm) for norm in dict.fromkeys(attack.norm for attack in suite.attacks)}
        yield {
            "suite": f"{name}, compiled" if a.compile else name,
            "classifier": whom.name,
            "n": len(whom.labels),
            "turns": a.turns,
            "seconds": Spread.of(seconds).as_dict(),
            "images_per_second": round(len(whom.labels) / Spread.of(seconds).median, 1),
            "passes_an_image": round(sum(attack.forwards for attack in found.attacks) / len(whom.labels), 1),
            "robust_percent": {norm: round(100 * sum(column) / len(column), 2) for norm, column in marks.items()},
        }
