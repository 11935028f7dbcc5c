"""`python -m benchmarks`: what the project's speed is measured with.

    python -m benchmarks --model wrn_10_2 --batch 64 --methods nat adv_linf mng_ac msd --json measured.json
    python -m benchmarks loading --json measured.json
    python -m benchmarks devices --device cuda --json measured.json
    python -m benchmarks evaluation --checkpoint classifier.safetensors --data digits.safetensors --json measured.json
    python -m benchmarks precision --work precision --json measured.json
    python -m benchmarks start --json measured.json
    python -m benchmarks page measured.json > docs/measurements.md

Without a command it is `train`. Every run is added to the file of `--json`, each row as soon as it is measured.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.errors import status_of

HELP = {
    "loading": "batches made on the device against a DataLoader",
    "evaluation": "images a second by suite",
    "attacks": "a suite's own APGD against pyautoattack's, at equal budgets",
    "precision": "what bfloat16 costs in accuracy",
    "start": "a stage's start against a bare import of torch",
    "operators": "where a training step spends its time",
    "devices": "whether a device and its precisions agree with the CPU",
}


def others() -> dict[str, Any]:
    """The benchmarks beside `train`: modules with `add_options(parser)` and `rows(arguments)`."""
    return {name: importlib.import_module(f"benchmarks.{name}") for name in HELP}


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    from benchmarks import settings, training

    train = commands.add_parser("train", help="training steps against a plain reference, method by method")
    settings.add_options(train)
    train.add_argument("--methods", nargs="+", default=training.METHODS, metavar="METHOD")
    for name, module in others().items():
        module.add_options(commands.add_parser(name, help=HELP[name]))
    for command in commands.choices.values():
        command.add_argument("--json", type=Path, metavar="FILE", help="file of measurements that the run is added to")
    page = commands.add_parser("page", help="print docs/measurements.md from files of measurements")
    page.add_argument("files", nargs="+", type=Path, metavar="FILE")
    return parser


def run(arguments: argparse.Namespace, command: str) -> None:
    """Runs one benchmark, or prints the page."""
    from benchmarks import measured, settings, training
    from benchmarks.page import page

    a = arguments
    if a.command == "page":
        print(page([run for file in a.files for run in measured.read(file)]), end="")
        return
    if a.command == "train":
        chosen = settings.settings_of(a)
        measured.keep(a.json, "train", command, asdict(chosen), training.rows(chosen, a.methods))
        return
    stated = {name: str(v) if isinstance(v, Path) else v for name, v in vars(a).items() if name != "json"}
    measured.keep(a.json, a.command, command, stated, others()[a.command].rows(a))


def main(argv: list[str] | None = None) -> int:
    """0; 2 where the user can mend what is wrong, with one line that says what."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv or (argv[0].startswith("-") and argv[0] not in ("-h", "--help")):
        argv = ["train", *argv]
    arguments = build_parser().parse_args(argv)
    return status_of(lambda: run(arguments, " ".join(["python -m benchmarks", *argv])))


if __name__ == "__main__":
    sys.exit(main())
