"""The command line: one command a stage, and the cache. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import shlex
import signal
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NoReturn

import mngac
from mngac.params.errors import UserError, line_of, listed, shown, visible
from mngac.pipeline import stopping
from mngac.pipeline.files import mended
from mngac.pipeline.stages import STAGES

if TYPE_CHECKING:
    from mngac.exchange.files import Request
    from mngac.pipeline.cache import Cache, Entry
    from mngac.pipeline.jobs import Job

OUTSIDE_THE_DAG = {
    "method": "who is evaluated; outside the DAG, the name that the record gets",
    "seed": "of the training; outside the DAG, of the attacks",
    "suite": "of attacks; outside the DAG by default quick",
    "profile": "radii; outside the DAG by default the first of run.profiles",
}
"""What `evaluate` can do without outside the DAG, and what it means there."""
ANY_CLASSIFIER = ("model", "mean", "std", "stated_clean", "n", "out", "challenge", "verdict")
"""Options of `evaluate` that say something outside the DAG alone, beside --checkpoint."""


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with a command, as all else does."""

    def error(self, message: str) -> NoReturn:
        """Raises:
        UserError: always.
        """
        command = self.prog.partition(" ")[2]
        raise UserError(f"{f'{command}: ' if command else ''}{message}; see {self.prog} --help")

    def _check_value(self, action: argparse.Action, value: object) -> None:
        """Of argparse, whose list of what is allowed has no end and no order."""
        if action.choices is not None and value not in action.choices:
            message = f"found {shown(value)}; allowed: one of {listed(action.choices, str(value))}"
            raise argparse.ArgumentError(action, message)


def _add_stages(commands: argparse._SubParsersAction[Parser], optional: Mapping[str, Mapping[str, str]]) -> None:
    """A command a stage, with an option a wildcard; optional are those that `optional` has a help text for."""
    for stage in STAGES.values():
        parser, may = commands.add_parser(stage.name, help=stage.help), optional.get(stage.name, {})
        for name in stage.wildcards:
            parser.add_argument(f"--{name}", required=name not in may, help=may.get(name))


def _add_own_data(parser: argparse.ArgumentParser) -> None:
    own = parser.add_argument_group("a tensor file outside the DAG, from --source to --out")
    own.add_argument("--loader", help="file of mngac/data/loaders, such as folder, or package.module:function")
    own.add_argument("--source", help="folder or archive to read")
    own.add_argument("--out", help="the .safetensors file to write")
    own.add_argument("--validation", type=float, default=0.1, help="share of train to hold out (default: 0.1)")
    own.add_argument("--size", type=int, help="height and width to resize to (default: they must be square and alike)")


def _add_any_classifier(parser: argparse.ArgumentParser) -> None:
    outside = parser.add_argument_group("any classifier, outside the DAG")
    outside.add_argument(
        "--checkpoint",
        help="safetensors, a state dict, the authors' or RobustBench's form; none where the model loads its weights",
    )
    outside.add_argument(
        "--model",
        help="such as wrn_28_10, or package.module:function; a name that the file itself states may be left out",
    )
    for name in ("mean", "std"):
        outside.add_argument(
            f"--{name}",
            type=_finite,
            nargs="+",
            help="one value or one a channel: the classifier gets (x - mean) / std",
        )
    outside.add_argument(
        "--stated-clean", type=_percent, metavar="PERCENT", help="clean accuracy as it was stated, to be checked"
    )
    outside.add_argument("--n", type=int, help="images, the first ones; by default the suite's")
    outside.add_argument("--out", help="the file to write the record to")
    outside.add_argument(
        "--challenge", action="store_true", default=None, help="attack what is left again, as params.challenge says"
    )
    outside.add_argument("--verdict", metavar="FILE.html", help="write one page about the classifier")


def _add_records_commands(commands: argparse._SubParsersAction[Parser]) -> None:
    compare = commands.add_parser("compare", help="hold two classifiers' records against each other")
    compare.add_argument("records", nargs="+", metavar="RECORD", help="A and B; with --against, all of A's seeds")
    compare.add_argument("--against", nargs="+", metavar="RECORD", help="all of B's seeds")
    compare.add_argument("--mixed", action="store_true", help="admit attacks computed by different code")
    compare.add_argument(
        "--images", action="store_true", help="list the images that one side alone classifies correctly, too"
    )
    verify = commands.add_parser("verify", help="hold the run against known records: within what seeds explain?")
    verify.add_argument("known", metavar="RECORDS", help="a folder, tar or zip of records, several seeds of each row")
    export = commands.add_parser("export", help="a classifier with its records, as a folder for others")
    export.add_argument("--checkpoint", required=True, help="a classifier.safetensors of this project")
    export.add_argument("--record", required=True, action="append", metavar="RECORD", help="may be repeated")
    export.add_argument("--out", required=True, metavar="FOLDER")
    export.add_argument("--model", help="needed where the file names package.module:function: the same, to be run")


def _add_released_commands(commands: argparse._SubParsersAction[Parser]) -> None:
    one = commands.add_parser("import-checkpoint", help="write a foreign file of weights in this project's form")
    one.add_argument("checkpoint", metavar="FILE")
    every = commands.add_parser("reevaluate", help="evaluate every file of weights in a folder")
    every.add_argument("folder", metavar="FOLDER")
    every.add_argument("--suite", required=True)
    every.add_argument("--n", type=int, help="images, the first ones; by default the suite's")
    for parser, out in ((one, "the .safetensors file to write"), (every, "folder of the records")):
        parser.add_argument("--model", required=True, help="such as wrn_28_10, or package.module:function")
        parser.add_argument("--dataset", required=True)
        parser.add_argument("--out", required=True, help=out)


def _add_planning_commands(commands: argparse._SubParsersAction[Parser]) -> None:
    init = commands.add_parser("init", help="write params.yaml, Snakefile and dvc.yaml for a project of one's own")
    init.add_argument("folder", metavar="FOLDER", help="new, or without any of these files")
    commands.add_parser("package", help="write what is installed to mngac-package.json, for DVC")
    use = commands.add_parser("use", help="lay a file of params/ over params.yaml, and say what changed")
    use.add_argument("file", metavar="FILE", help="what differs from params.yaml, such as params/paper.yaml")
    plan = commands.add_parser("plan", help="what a run will take: jobs, hits, work, hours, disk, memory")
    plan.add_argument("--params", default=argparse.SUPPRESS, help="a params.yaml, or a file that lies over it")
    plan.add_argument("--card", help="such as h200, or cpu (default: cpu or h200, by run.device)")
    plan.add_argument(
        "--utilisation", type=_share, default=0.3, help="share of its peak that a card reaches (default: 0.3)"
    )
    plan.add_argument("--gpus", type=_count, default=1, help="cards, or cores of the CPU, at once (default: 1)")
    plan.add_argument("--jobs", action="store_true", help="list every job, hits with what they would take again")
    plan.add_argument("--price", type=_price, help="of a card and hour, in any currency")


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = Parser(prog="mngac", description=__doc__.splitlines()[0])
    parser.add_argument("--version", action="version", version=f"mngac {mngac.__version__}")
    parser.add_argument("--params", default="params.yaml", help="the parameters' file (default: params.yaml)")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    _add_stages(commands, optional={"evaluate": OUTSIDE_THE_DAG})
    for stage in STAGES.values():
        if stage.computes:
            commands.choices[stage.name].add_argument(
                "--stop-after", type=_minutes, metavar="MINUTES", help="save and end with status 75, to be continued"
            )
    tables = commands.choices["tables"]
    tables.add_argument("--partial", action="store_true", help="print what the records that are there give; no files")
    tables.add_argument("--records", nargs="+", metavar="RECORD", help="print one table of these records; no files")
    tables.add_argument(
        "--intervals", action="store_true", help="with either: every column's interval, in lines of more than 100"
    )
    commands.add_parser("status", help="what of a run is there, running or failed, and what to run next")
    _add_own_data(commands.choices["data"])
    commands.choices["evaluate"].add_argument(
        "--images", metavar="FIRST:LAST", help="print what becomes of single images, such as 0:16, and write nothing"
    )
    _add_any_classifier(commands.choices["evaluate"])
    _add_records_commands(commands)
    _add_released_commands(commands)
    tune = commands.add_parser("tune", help="time trainings on this machine: memory format, compilation")
    tune.add_argument("--dataset", help="by default all of run.datasets")
    replay = commands.add_parser("replay", help="go to the step at which a training went wrong, and look into it")
    for name in STAGES["train"].wildcards:
        replay.add_argument(f"--{name}", required=True)
    replay.add_argument("--step", type=int, help="counted from 0 (default: the first that goes wrong)")
    explain = commands.add_parser("explain", help="a stage's key, its parts, hit or miss, and which part changed")
    _add_stages(explain.add_subparsers(dest="stage", required=True, metavar="stage"), optional={})
    _add_planning_commands(commands)
    cache = commands.add_parser("cache", help="look at or clear the artifact cache")
    actions = cache.add_subparsers(dest="action", required=True, metavar="action")
    actions.add_parser("list", help="what is in the cache")
    prune = actions.add_parser("prune", help="remove old entries")
    prune.add_argument("--older-than-days", type=_days, required=True, metavar="DAYS")
    sent = actions.add_parser("export", help="write what this workspace's jobs have in the cache into one file")
    sent.add_argument("file", metavar="FILE")
    sent.add_argument("--all", action="store_true", help="everything that is in the cache instead")
    taken = actions.add_parser("import", help="take in a file that somebody exported")
    taken.add_argument("file", metavar="FILE")
    schema = commands.add_parser("schema", help="print the JSON schema of params.yaml")
    schema.add_argument("--out", help="write it to a file instead")
    return parser


def _minutes(text: str) -> float:
    return _number(text, "minutes, above 0", lambda minutes: 0 < minutes < 1e6)


def _days(text: str) -> float:
    return _number(text, "days, from 0", lambda days: 0 <= days < 1e6)


def _share(text: str) -> float:
    return _number(text, "a share above 0, up to 1", lambda share: 0 < share <= 1)


def _finite(text: str) -> float:
    return _number(text, "a number", lambda number: abs(number) < 1e6)


def _percent(text: str) -> float:
    return _number(text, "percent, from 0 to 100", lambda percent: 0 <= percent <= 100)


def _price(text: str) -> float:
    return _number(text, "a price, from 0", lambda price: 0 <= price < 1e6)


def _count(text: str) -> int:
    return int(_number(text, "a whole number from 1", lambda count: 1 <= count < 1e6 and count == int(count)))


def _number(text: str, allowed: str, fits: Callable[[float], bool]) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not fits(number):
        raise argparse.ArgumentTypeError(f"found {shown(text)}; allowed: {allowed}")
    return number


def run_stage(arguments: argparse.Namespace) -> None:
    """Runs a stage, or restores it from the cache."""
    from mngac.pipeline.jobs import check_kind_of_training

    job = _job(arguments, arguments.command)
    check_kind_of_training(job)
    job.run()


def _job(arguments: argparse.Namespace, stage: str) -> Job:
    from mngac.params.checks import load
    from mngac.pipeline.jobs import job

    wildcards = {name: getattr(arguments, name) for name in STAGES[stage].wildcards}
    return job(load(arguments.params), stage, **wildcards)


def data(arguments: argparse.Namespace) -> None:
    """The data stage; with --out, one tensor file from a source that params.yaml need not know."""
    from mngac.params.errors import ParamsError

    if not arguments.out:
        given = [f"--{name}" for name in ("loader", "source", "size") if getattr(arguments, name)]
        if given:
            raise ParamsError(f"{given[0]}: needs --out too; without it, params.yaml says where the data come from")
        return run_stage(arguments)
    import tempfile
    from pathlib import Path

    from mngac.data.prepare import prepare
    from mngac.params.checks import check_name, entry
    from mngac.pipeline.files import writable
    from mngac.pipeline.progress import Log

    check_name("--dataset", arguments.dataset)
    writable(arguments.out, [arguments.source, arguments.params])
    keys = ("loader", "source", "validation", "size")
    source = entry(arguments.dataset, {**{k: getattr(arguments, k) for k in keys}, "unlabelled": 0})
    with tempfile.TemporaryDirectory(prefix="mngac-") as scratch:
        prepare(arguments.dataset, source, arguments.out, Path(scratch), Log(name=arguments.dataset))
    return None


def evaluate(arguments: argparse.Namespace) -> None:
    """Evaluates a trained classifier of the DAG, or any other: of a file, or of a function that loads its own."""
    from mngac.params.checks import load
    from mngac.params.errors import ParamsError

    if arguments.checkpoint is None and ":" not in (arguments.model or ""):
        for name in OUTSIDE_THE_DAG:
            if getattr(arguments, name) is None:
                raise ParamsError(f"--{name}: missing; allowed: a value, or --checkpoint for a file outside the DAG")
        for name in ANY_CLASSIFIER:
            if getattr(arguments, name) is not None:
                option = name.replace("_", "-")
                raise ParamsError(f"--{option}: not read without --checkpoint; params.yaml and the paths say it")
        if arguments.images is None:
            run_stage(arguments)
        else:
            _print_single(_job(arguments, "evaluate"), arguments.images)
        return
    if arguments.images is not None:
        _evaluate_single(arguments)
        return
    if arguments.out is None:
        raise ParamsError("--out: missing; allowed: the path of the record")
    from mngac.exchange.files import challenge_beside, challenge_file, check_beside, evaluate_file, not_looked_for
    from mngac.pipeline.files import writable
    from mngac.pipeline.paths import data_path
    from mngac.report.verdict import page

    request = _request(arguments, arguments.out)
    writable(arguments.out, [arguments.params])
    if arguments.verdict:
        others = [arguments.out, arguments.checkpoint, data_path(arguments.dataset), arguments.params]
        writable(arguments.verdict, [*others, challenge_beside(arguments.out)])
    params = load(arguments.params)
    if arguments.challenge:
        check_beside(arguments.out)
    record = evaluate_file(params, request)
    challenged = challenge_file(params, request) if arguments.challenge else None
    if arguments.verdict:
        from mngac.pipeline.atomic import write_text

        write_text(arguments.verdict, page(record, challenged, arguments.command_line, not_looked_for(params, request)))
        print(visible(arguments.verdict))


def _evaluate_single(arguments: argparse.Namespace) -> None:
    """Prints single images of any classifier."""
    from mngac.exchange.files import job_of
    from mngac.params.checks import load
    from mngac.params.errors import ParamsError

    for name in ("out", "challenge", "verdict", "stated_clean"):
        if getattr(arguments, name) is not None:
            raise ParamsError(f"--{name.replace('_', '-')}: not read with --images, which writes nothing")
    _print_single(job_of(load(arguments.params), _request(arguments, os.devnull)), arguments.images)


def _print_single(job: Job, span: str) -> None:
    from mngac.pipeline.machine import computing
    from mngac.pipeline.progress import Log

    here = job.here
    with computing(here.machine, Log().line):
        from mngac.exchange.single import text

        print(text(here, span), end="")


def _request(arguments: argparse.Namespace, out: str) -> Request:
    from mngac.exchange.files import Request
    from mngac.pipeline.jobs import seed_of

    names = ("checkpoint", "model", "dataset", "profile", "n", "method", "mean", "std", "stated_clean")
    seed = None if arguments.seed is None else seed_of(arguments.seed)
    given = {name: getattr(arguments, name) for name in names}
    return Request(**given, out=out, suite=arguments.suite or "quick", seed=seed)


def tables(arguments: argparse.Namespace) -> None:
    """The stage; with --partial what is there already, with --records what was given, printed."""
    from mngac.params.errors import ParamsError

    if not arguments.partial and not arguments.records:
        if arguments.intervals:
            raise ParamsError(
                "--intervals: needs --partial or --records; of files, tables.intervals of params.yaml says it"
            )
        return run_stage(arguments)
    if arguments.partial and arguments.records:
        raise ParamsError("--partial: found beside --records; allowed: one of them")
    from mngac.params.checks import load
    from mngac.results.records import read
    from mngac.results.tables import of_records, partial

    params = load(arguments.params)
    if arguments.intervals:
        params = params.model_copy(update={"tables": params.tables.model_copy(update={"intervals": True})})
    text = of_records([read(path) for path in arguments.records], params) if arguments.records else partial(params)
    print(text.rstrip() or "no record of this run yet: mngac status")
    if arguments.partial:
        from mngac.params.errors import listed
        from mngac.pipeline.cache import Cache
        from mngac.planning.status import outdated
        from mngac.results.printed import wrapped

        old = outdated(params, Cache())
        if old:
            print(f"\n{wrapped(f'Made with other parameters, code or inputs than the run has now: {listed(old)}.')}")
    return None


def status(arguments: argparse.Namespace) -> None:
    """Prints where a run stands."""
    from mngac.params.checks import load
    from mngac.pipeline.cache import Cache
    from mngac.planning.status import status, text

    print(text(status(load(arguments.params), Cache())), end="")


def compare(arguments: argparse.Namespace) -> None:
    """Prints the comparison of two records, or of two sides with several seeds each."""
    from mngac.results.compare import report
    from mngac.results.records import RecordError, read

    first, second = arguments.records, arguments.against
    if second is None:
        if len(first) != 2:
            raise RecordError(f"compare: found {len(first)} records; allowed: two, or any number with --against")
        first, second = first[:1], first[1:]
    one, other = ([read(path) for path in side] for side in (first, second))
    print(report(one, other, images=arguments.images, mixed=arguments.mixed), end="")


def verify(arguments: argparse.Namespace) -> None:
    """Prints how far this run's numbers are from known ones; an error where seeds do not explain it."""
    from mngac.exchange.verify import verify
    from mngac.params.checks import load
    from mngac.results.records import RecordError

    text, outside = verify(load(arguments.params), arguments.known)
    print(text, end="")
    if outside:
        raise RecordError(f"verify: found {', '.join(outside)} outside of what seeds explain; allowed: none")


def export(arguments: argparse.Namespace) -> None:
    """Writes the export's folder."""
    from mngac.exchange.export import export

    what = export(arguments.checkpoint, arguments.record, arguments.out, arguments.model)
    print(f"{what.name}: {len(what.records)} record(s), in {visible(arguments.out)}")


def import_checkpoint(arguments: argparse.Namespace) -> None:
    """Imports one file."""
    from mngac.exchange.released import import_checkpoint

    architecture = import_checkpoint(arguments.checkpoint, arguments.model, arguments.dataset, arguments.out)
    print(f"{visible(arguments.out)}: {architecture.model}, {architecture.classes} classes")


def reevaluate(arguments: argparse.Namespace) -> None:
    """Evaluates a folder of files and prints their table."""
    from mngac.exchange.released import reevaluate
    from mngac.params.checks import load

    a = arguments
    print(reevaluate(load(a.params), a.folder, a.model, a.dataset, a.suite, a.n, a.out))


def tune(arguments: argparse.Namespace) -> None:
    """Prints the memory format and whether to compile, for each data set, with what each gains."""
    from mngac.params.checks import load
    from mngac.pipeline.jobs import job
    from mngac.pipeline.machine import computing, machine_of, on_this_machine
    from mngac.pipeline.progress import Log

    params = on_this_machine(load(arguments.params))
    datasets = params.run.datasets if arguments.dataset is None else [arguments.dataset]
    for dataset in datasets:
        job(params, "data", dataset=dataset)  # refuses a name before torch is imported
    with computing(machine_of(params.run), Log().line):
        from mngac.tuning.tune import tune

        for text in tune(params, datasets):
            print(text, flush=True)


def replay(arguments: argparse.Namespace) -> None:
    """Prints what is seen in a step of a training, with nobody else at that training; leaves everything as it was."""
    from mngac.params.checks import load
    from mngac.pipeline.cache import Cache, key_of
    from mngac.pipeline.jobs import training_job
    from mngac.pipeline.lease import Held
    from mngac.pipeline.machine import computing

    wildcards = {name: getattr(arguments, name) for name in STAGES["train"].wildcards}
    found = training_job(load(arguments.params), **wildcards).here
    cache, key = Cache(), key_of(found.key_parts())
    try:
        with cache.lease(key, wait=False), computing(found.machine, cache.tell):
            from mngac.training.replay import replay

            for text in replay(found, cache.work(key), arguments.step):
                print(text, flush=True)
    except Held as held:
        raise UserError(f"{found.stage.name} {found.name}: {held}, which trains it; stop it first") from None


def explain(arguments: argparse.Namespace) -> None:
    """Prints the key of a job, its parts, and against the newest entry of its like, what changed."""
    import json

    from mngac.pipeline.cache import Cache, differences, key_of

    parts = _job(arguments, arguments.stage).key_parts()
    cache, key = Cache(), key_of(parts)
    print(json.dumps(parts, indent=1))
    print(f"key {key}: {'hit' if cache.find(key) else 'miss'}")
    nearest = cache.nearest(parts)
    if nearest and nearest.key != key:
        print(f"changed since {nearest.key[:12]}:")
        print("\n".join(f"  {line}" for line in differences(nearest.about["parts"], parts)))


def init(arguments: argparse.Namespace) -> None:
    """Writes a project's files, and prints what comes next."""
    from mngac.planning.init import init

    for path in init(arguments.folder):
        print(f"{visible(arguments.folder)}/{path}")
    print(f"next: cd {shlex.quote(arguments.folder)}, edit params.yaml, and run: snakemake --cores all, or: dvc repro")


def package(arguments: argparse.Namespace) -> None:
    """Writes what is installed."""
    from mngac.pipeline.package import write_package

    write_package()


def use(arguments: argparse.Namespace) -> None:
    """Lays a file over params.yaml, and prints each value that changed."""
    from mngac.params.errors import ParamsError
    from mngac.planning.use import committed, use

    if arguments.params != "params.yaml":
        raise ParamsError(f"--params: found {shown(arguments.params)}; allowed: none, since use writes params.yaml")
    changed = use(arguments.file)
    if not changed:
        print(f"{visible(arguments.file)}: params.yaml says all of it already")
        return
    print("\n".join(changed))
    count = f"{len(changed)} value{'s' if len(changed) > 1 else ''}"
    back = "as it was committed: git restore params.yaml" if committed() else "not committed: keep the lines above"
    print(f"params.yaml: {count} changed; {back}")


def plan(arguments: argparse.Namespace) -> None:
    """Prints what a run will take."""
    from mngac.params.overlay import is_overlay, whole
    from mngac.planning.cards import choice_of
    from mngac.planning.page import text
    from mngac.planning.plan import plan

    params = whole(arguments.params)
    choice = choice_of(params.run.device, arguments.card, arguments.utilisation, arguments.gpus, arguments.price)
    name = visible(arguments.params)
    of = f"{name} over params.yaml" if is_overlay(arguments.params) else name
    print(text(plan(params, choice), of, jobs=arguments.jobs), end="")


def cache(arguments: argparse.Namespace) -> None:
    """Lists or prunes the cache, or carries entries from one to another."""
    import time

    from mngac.pipeline.cache import Cache

    store = Cache()
    if arguments.action == "prune":
        gone = store.prune(arguments.older_than_days)
        print(f"removed {len(gone)} entries from {visible(str(store.root))}")
        return
    if arguments.action == "export":
        from mngac.pipeline.files import writable
        from mngac.pipeline.parcel import pack

        writable(arguments.file)
        count = pack(store.entries() if arguments.all else _entries_here(arguments, store), arguments.file)
        print(f"{visible(arguments.file)}: {count} entries")
        return
    if arguments.action == "import":
        from mngac.pipeline.parcel import unpack

        new, known = unpack(store, arguments.file)
        print(f"{visible(str(store.root))}: {new} entries taken in, {known} were there already")
        return
    entries = store.entries()
    for entry in entries:
        stored = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.about["stored"]))
        print(f"{stored}  {entry.size / 1e6:8.1f} MB  {entry.key[:12]}  {entry.name}")
    print(f"{len(entries)} entries, {sum(e.size for e in entries) / 1e6:.1f} MB in {visible(str(store.root))}")


def _entries_here(arguments: argparse.Namespace, store: Cache) -> list[Entry]:
    """What the cache has of this workspace's jobs, as far as their inputs are there.

    Raises:
        UserError: where that is nothing.
    """
    from mngac.params.checks import load
    from mngac.pipeline.cache import key_of
    from mngac.pipeline.jobs import jobs

    ready = [job for job in jobs(load(arguments.params)) if all(map(os.path.exists, job.inputs.values()))]
    found = [entry for entry in (store.find(key_of(job.key_parts())) for job in ready) if entry]
    if not found:
        raise UserError(f"{store.root}: found nothing of this workspace's jobs; allowed: after a run, or --all")
    return found


def schema(arguments: argparse.Namespace) -> None:
    """Prints or writes the generated schema."""
    from mngac.params.checks import schema_text

    _give(schema_text(), arguments.out)


def _give(text: str, out: str | None) -> None:
    from mngac.pipeline.atomic import write_text
    from mngac.pipeline.files import writable

    if out:
        write_text(writable(out), text)
    else:
        print(text, end="")


COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "data": data,
    "status": status,
    "tables": tables,
    "evaluate": evaluate,
    "compare": compare,
    "verify": verify,
    "export": export,
    "import-checkpoint": import_checkpoint,
    "reevaluate": reevaluate,
    "tune": tune,
    "replay": replay,
    "explain": explain,
    "init": init,
    "package": package,
    "use": use,
    "plan": plan,
    "cache": cache,
    "schema": schema,
}


def _reader_gone() -> bool:
    """Whether nobody reads the output any more, as after `| head`; what is left of it then goes nowhere."""
    output = sys.stdout.fileno()
    watched = select.poll()
    watched.register(output, 0)
    gone = any(event & (select.POLLERR | select.POLLHUP) for _, event in watched.poll(0))
    if gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    return gone


def main(argv: list[str] | None = None) -> int:
    """Runs one command: 0; 2 where the user can mend what is wrong, with one line that says what.

    130 after Ctrl-C, 143 after SIGTERM, 141 where who reads its output has gone, 75 where --stop-after ended it: to be
    continued.

    Whatever else is raised is a bug: it passes with its traceback, and Python ends with 1.
    """
    arguments = argparse.Namespace()
    try:
        build_parser().parse_args(argv, arguments)
        arguments.command_line = shlex.join(["mngac", *(sys.argv[1:] if argv is None else argv)])
        stopping.heed(getattr(arguments, "stop_after", None))
        COMMANDS.get(arguments.command, run_stage)(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt as stop:
        status = getattr(stop, "status", 130)
        how = "to be continued" if status == stopping.STATUS[signal.SIGALRM] else "stopped"
        with contextlib.suppress(OSError):
            print(f"\nmngac: {str(stop) or f'{how}; the same command starts it again'}", file=sys.stderr)
        return status
    except UserError as error:
        said = str(error)
    except ModuleNotFoundError as error:
        from mngac.params.extras import missing

        said = missing(error)
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _reader_gone():
            return 128 + signal.SIGPIPE
        said = line_of(mended(error, error.filename or getattr(arguments, "out", None)))
    else:
        return 0
    with contextlib.suppress(OSError):
        print(f"mngac: {said}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
