"""Released classifiers: import one file into our form, or evaluate every file of a folder again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tabulate import tabulate

from mngac.data import store
from mngac.exchange.files import Request, evaluate_file
from mngac.models.files import Architecture, save_classifier
from mngac.models.foreign import load_foreign
from mngac.params.checks import check_name
from mngac.params.errors import ParamsError
from mngac.params.sections import Params
from mngac.pipeline.files import writable
from mngac.pipeline.paths import data_path
from mngac.results import red_flags
from mngac.results.records import Record

SUFFIXES = {".pt", ".pth", ".tar", ".ckpt", ".safetensors"}


def import_checkpoint(checkpoint: str, model: str, dataset: str, out: str) -> Architecture:
    """Writes a foreign file of weights as a classifier file of this project, whole or not at all.

    Args:
        checkpoint: the authors' released form, RobustBench's, a plain state dict or safetensors.
        model: such as wrn_28_10, or authors_resnet for the authors' Tiny-ImageNet files.
        dataset: a prepared data set, whose classes and image shape the model has.
        out: the .safetensors file to write.

    Raises:
        ParamsError: where the data set was not prepared.
        ForeignError: listing every missing and unexpected key.
    """
    if Path(out).suffix != ".safetensors":
        raise ParamsError(f"--out: found {out}; allowed: a name that ends with .safetensors")
    check_name("--dataset", dataset)
    if not Path(data_path(dataset)).exists():
        raise ParamsError(f"{data_path(dataset)}: not found; make it with: mngac data --dataset {dataset}")
    data = store.load(data_path(dataset))
    writable(out, [checkpoint, data_path(dataset)])
    architecture = Architecture(model, len(data.classes), data.shape[0], data.shape[1])
    classifier = load_foreign(checkpoint, model, architecture.classes, architecture.channels, architecture.size)
    save_classifier(out, classifier, architecture)
    return architecture


def reevaluate(params: Params, folder: str, model: str, dataset: str, suite: str, n: int | None, out: str) -> str:
    """Evaluates every file of weights in a folder; one record each in `out`, and a table of them all.

    Raises:
        ParamsError: for a folder without such files.
        ForeignError: for a file that does not hold the model's weights.
    """
    files = sorted(p for p in Path(folder).iterdir() if p.suffix in SUFFIXES) if Path(folder).is_dir() else []
    if not files:
        raise ParamsError(f"{folder}: no file of weights; allowed: a folder of {', '.join(sorted(SUFFIXES))}")
    profile = params.run.profiles[0]
    records = []
    stems = Counter(path.stem for path in files)
    for path in files:
        name = path.stem if stems[path.stem] == 1 else path.name
        record = f"{out}/{name}-{suite}-{profile}.json"
        request = Request(str(path), model, dataset, suite, profile, record, n=n, method=name)
        records.append(evaluate_file(params, request))
    table = tabulate([_row(record) for record in records], headers="keys", tablefmt="github", floatfmt=".1f")
    flags = red_flags.collected([red_flags.Suspect(record.method, record) for record in records])
    return "\n".join([table, *(f"Red flag of {', '.join(who)}: {flag}" for flag, who in flags.items())])


def _row(record: Record) -> dict[str, object]:
    shares = {name: record.share(name) for name in record.columns()}
    return {"file": record.method, **shares, "n": record.n}
