"""`python -m benchmarks`: what the project's speed is measured with.

    python -m benchmarks --model wrn_10_2 --batch 64 --methods nat adv_linf mng_ac msd --json measured.json
    python -m benchmarks loading --json measured.json
    python -m benchmarks evaluation --checkpoint classifier.safetensors --data digits.safetensors --json measured.json
    python -m benchmarks start --json measured.json
    python -m benchmarks page measured.json > docs/measurements.md

Without a command it is `train`. Every run is added to the file of `--json`, each row as soon as it is measured.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from mngac.params.errors import UserError


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    from benchmarks import attacks, evaluation, loading, settings, start, training

    train = commands.add_parser("train", help="training steps against a plain reference, method by method")
    settings.add_options(train)
    train.add_argument("--methods", nargs="+", default=training.METHODS, metavar="METHOD")
    rates = commands.add_parser("loading", help="batches made on the device against a DataLoader")
    loading.add_options(rates)
    suites = commands.add_parser("evaluation", help="images a second by suite")
    evaluation.add_options(suites)
    own = commands.add_parser("attacks", help="a suite's own APGD against pyautoattack's, at equal budgets")
    attacks.add_options(own)
    begin = commands.add_parser("start", help="a stage's start against a bare import of torch")
    start.add_options(begin)
    for command in (train, rates, suites, own, begin):
        command.add_argument("--json", type=Path, metavar="FILE", help="file of measurements that the run is added to")
    page = commands.add_parser("page", help="print docs/measurements.md from files of measurements")
    page.add_argument("files", nargs="+", type=Path, metavar="FILE")
    return parser


def run(arguments: argparse.Namespace, command: str) -> None:
    """Runs one benchmark, or prints the page."""
    from benchmarks import attacks, evaluation, loading, measured, settings, start, training
    from benchmarks.page import page

    a = arguments
    if a.command == "page":
        print(page([run for file in a.files for run in measured.read(file)]), end="")
        return
    if a.command == "train":
        chosen = settings.settings_of(a)
        measured.keep(a.json, "train", command, asdict(chosen), training.rows(chosen, a.methods))
        return
    rows = {"loading": loading.rows, "evaluation": evaluation.rows, "attacks": attacks.rows, "start": start.rows}
    stated = {name: str(v) if isinstance(v, Path) else v for name, v in vars(a).items() if name not in ("json",)}
    measured.keep(a.json, a.command, command, stated, rows[a.command](a))


def main(argv: list[str] | None = None) -> int:
    """0; 2 where the user can mend what is wrong, with one line that says what."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv or (argv[0].startswith("-") and argv[0] not in ("-h", "--help")):
        argv = ["train", *argv]
    arguments = build_parser().parse_args(argv)
    try:
        run(arguments, " ".join(["python -m benchmarks", *argv]))
    except UserError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
