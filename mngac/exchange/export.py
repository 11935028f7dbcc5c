"""A classifier with its records as a folder for others: weights, model_info, model card, AutoAttack log."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from mngac.data import store
from mngac.data.pixels import to_unit
from mngac.evaluation.acceptance import is_correct
from mngac.exchange import model_card
from mngac.exchange.exported import WIDE_RESNET, Export
from mngac.models.files import architecture_of, load_classifier
from mngac.models.opened import open_classifier, refuse_code
from mngac.params.errors import ParamsError, listed, shown
from mngac.params.types import NORMS, Norm
from mngac.pipeline.atomic import atomic
from mngac.pipeline.cache import Cache
from mngac.pipeline.fingerprint import file_digest
from mngac.pipeline.paths import data_path, trained_wildcards
from mngac.results import records
from mngac.results.costs import in_all, read_cost
from mngac.results.records import Record, RecordError
from mngac.results.together import CLASSIFIER, check_alike

STRENGTH = ("autoattack", "aa2", "quick", "apgd", "paper", "pgd")
"""Suites whose numbers lead, strongest first; others come after them."""
CHECKED = 256


def export(checkpoint: str, record_paths: Sequence[str], out: str, model: str | None = None) -> Export:
    """Writes classifier.safetensors, config.json, <name>.pt, model_info.json, README.md, the records and the log.

    Args:
        checkpoint: a classifier file of this project.
        record_paths: its records, at least one.
        out: a folder; files of these names are replaced, all of them or none.
        model: needed where the file names `package.module:function`: the same, since that is run.

    Raises:
        RecordError: where there is no record, or one is not of this classifier.
        UserError: for a checkpoint of another form.
    """
    evaluated = sorted((records.read(path) for path in record_paths), key=lambda r: (_rank(r), r.profile))
    _check_one_classifier(checkpoint, evaluated)
    architecture = architecture_of(checkpoint)
    if model and model != architecture.model:
        raise ParamsError(f"--model: found {shown(model)}; allowed: {architecture.model}, which {checkpoint} names")
    if architecture.own:
        refuse_code(checkpoint, architecture.model, model)
    beside = Path(checkpoint).with_name("train.json")
    what = Export(
        Path(checkpoint),
        architecture,
        evaluated,
        _training_params(file_digest(checkpoint)),
        read_cost(beside) if beside.exists() else {},
        _verify(checkpoint, evaluated),
    )
    _write(_files(what), Path(out))
    return what


def _files(what: Export) -> dict[str, bytes]:
    """Every file of the export, by its path in the folder."""
    info = model_info(what)
    texts = {
        "config.json": json.dumps(config(what), indent=1) + "\n",
        "model_info.json": json.dumps(info, indent=2) + "\n",
        "README.md": model_card.text(what, info),
        **{f"records/{r.suite}-{r.profile}.json": r.to_json() for r in what.records},
        **{f"autoattack-{r.profile}.log": autoattack_log(r) for r in what.records if r.suite == "autoattack"},
    }
    weights = {"classifier.safetensors": what.checkpoint.read_bytes(), f"{what.name}.pt": _robustbench(what)}
    return {**weights, **{name: text.encode() for name, text in texts.items()}}


def _write(files: Mapping[str, bytes], folder: Path) -> None:
    """Writes files into a folder, each in place only once all are written."""
    with contextlib.ExitStack() as stack:
        for name, content in files.items():
            stack.enter_context(atomic(folder / name)).write_bytes(content)


def _rank(record: Record) -> int:
    return STRENGTH.index(record.suite) if record.suite in STRENGTH else len(STRENGTH)


def _check_one_classifier(checkpoint: str, evaluated: Sequence[Record]) -> None:
    if not evaluated:
        raise RecordError("--record: missing; allowed: one record or more of the classifier")
    path = trained_wildcards(checkpoint)
    for record in evaluated:
        own = (record.dataset, record.method, str(record.seed))
        if path and own != (path["dataset"], path["method"], path["seed"]):
            raise RecordError(f"{record.name} is not of {checkpoint}; allowed: its own records")
        if "mean" in record.provenance.get("classifier", {}):
            raise RecordError(f"{record.name}: its images were normalised (--mean, --std); allowed: one without")
    check_alike(evaluated, wanted=CLASSIFIER)
    names = [(r.suite, r.profile) for r in evaluated]
    if len(set(names)) < len(names):
        raise RecordError(f"--record: two of one suite and profile: {listed(sorted(names))}; allowed: one of each")


@torch.no_grad()
def _verify(checkpoint: str, evaluated: Sequence[Record]) -> bool:
    """Classifies the first images again, where the data set is here.

    Raises:
        RecordError: where that is not what a record says.
    """
    if not Path(data_path(evaluated[0].dataset)).exists():
        return False
    data = store.load(data_path(evaluated[0].dataset))
    classifier = open_classifier(checkpoint, None, len(data.classes), data.shape)
    for record in evaluated:
        part = data.split(record.split)
        n = min(CHECKED, record.n, len(part))
        same_images = part.index[: record.n].tolist() == record.indices
        correct = is_correct(classifier(to_unit(part.images[:n])), part.labels[:n]).tolist()
        differing = sum(a != b for a, b in zip(correct, record.clean_correct[:n], strict=True))
        if not same_images or differing > 0.01 * n:
            raise RecordError(
                f"the {record.suite}-{record.profile} record is not of {checkpoint}: {differing} of {n} clean images "
                "are classified otherwise"
            )
    return True


def _training_params(digest: str) -> dict[str, Any] | None:
    """The parameters under which the cache holds a classifier file of this digest, those of its start among them."""
    for entry in Cache().entries():
        if digest in entry.about["outputs"].values():
            parts = entry.about["parts"]
            start = parts.get("inputs", {}).get("start")
            before = {"start": _training_params(start)} if start else {}
            return {"stage": parts["stage"], **parts.get("params", {}), **before}
    return None


def _saw_additional_data(training: dict[str, Any], cost: dict[str, Any]) -> bool | None:
    """Whether a training, or its start's, saw other images than its data set's labelled; None where nobody knows."""
    if training.get("stage") == "train_semi" or training.get("training", {}).get("additional_share"):
        return True
    if cost.get("additional_images"):
        return True
    if "start" not in training:
        return False
    start = training["start"]
    return None if start is None or "checkpoint" in start else _saw_additional_data(start, {})


def _robustbench(what: Export) -> bytes:
    """The state dict under `state_dict`: for a WRN, RobustBench's WideResNet loads it strictly."""
    weights = load_classifier(what.checkpoint, "cpu").state_dict()
    buffer = io.BytesIO()
    torch.save({"state_dict": {name: tensor.contiguous() for name, tensor in weights.items()}}, buffer)
    return buffer.getvalue()


def config(what: Export) -> dict[str, Any]:
    """What is needed to build and feed the classifier."""
    return {
        **asdict(what.architecture),
        "input": "float32 images in [0, 1], NCHW, no normalisation",
        "output": "logits",
        "sha256": file_digest(what.checkpoint),
    }


def model_info(what: Export) -> dict[str, Any]:
    """RobustBench's model_info, with norms, radii, union, average, n and GPU seconds added; accuracies in percent.

    RobustBench's own fields speak of l_inf; `autoattack_acc` is null unless AutoAttack's standard version ran.
    """
    record = what.leading
    robust = {norm: round(record.share(norm), 2) for norm in record.norms()}
    linf = f"{robust['linf']:.2f}" if "linf" in robust else None
    standard = record.suite == "autoattack" and not any("not standard" in flag for flag in record.flags)
    complete = set(record.norms()) == set(NORMS)
    return {
        "link": None,
        "name": f"{record.method} trained on {record.dataset}",
        "authors": "",
        "additional_data": _saw_additional_data(what.training or {}, what.cost),
        "number_forward_passes": 1,
        "dataset": record.dataset,
        "venue": "",
        "architecture": _architecture(what.architecture.model),
        "eps": record.radii().get("linf"),
        "clean_acc": f"{record.share('clean'):.2f}",
        "reported": linf,
        "autoattack_acc": linf if standard else None,
        "footnote": f"{record.suite} suite, {record.profile} radii, {record.n} {record.split} images",
        "unreliable": bool(record.flags),
        "norms": robust,
        "radii": record.radii(),
        "union": round(record.share("union"), 2) if complete else None,
        "average": round(sum(robust.values()) / len(robust), 2) if complete else None,
        "n": record.n,
        "gpu_seconds": _gpu_seconds(what),
    }


def _architecture(model: str) -> str:
    match = WIDE_RESNET.fullmatch(model)
    return f"WideResNet-{match[1]}-{match[2]}" if match else model


def _gpu_seconds(what: Export) -> dict[str, float | None]:
    """Seconds on a GPU, zero on a CPU, None where that is not known; a start is taken to have been on the same."""
    if not what.cost:
        return {"training": None, "evaluation": _gpu_seconds_of_attacks(what)}
    trained_on_gpu = what.cost.get("device", "cpu") != "cpu"
    seconds = in_all(what.cost, "seconds") if what.cost.get("start") else what.cost.get("seconds") or 0.0
    return {"training": seconds if trained_on_gpu else 0.0, "evaluation": _gpu_seconds_of_attacks(what)}


def _gpu_seconds_of_attacks(what: Export) -> float:
    attacked = [sum(r.timing.get("seconds", {}).values()) for r in what.records if r.provenance.get("device") == "cuda"]
    return round(sum(attacked, 0.0), 3)


def autoattack_log(record: Record) -> str:
    """What AutoAttack prints, norm by norm, told from the record."""
    seconds = record.timing.get("seconds", {})
    versions = record.provenance.get("versions", {})
    suite = record.suite_config
    lines = [f"pyautoattack {versions.get('pyautoattack', '?')}, torch {versions.get('torch', '?')}"]
    norms: list[Norm] = [norm for norm in NORMS if norm in record.norms()]
    for norm in norms:
        attacks = [a for a in record.attacks if a.norm == norm]
        names = ", ".join(a.name.replace("_", "-") for a in attacks)
        lines += [
            "",
            f"{norm}, eps {attacks[0].radius}, {record.n} images, batch size {suite.get('batch_size')}, "
            f"seed {suite.get('seed')}",
            f"using standard version including {names}.",
            f"initial accuracy: {record.share('clean'):.2f}%",
        ]
        total = 0.0
        for i, attack in enumerate(attacks):
            total += seconds.get(f"{attack.name} {norm}", 0.0)
            column = records.worst_case(record.clean, *(a.correct for a in attacks[: i + 1]))
            correct = 100 * sum(column) / len(column)
            shown = attack.name.replace("_", "-").upper()
            lines.append(f"robust accuracy after {shown}: {correct:.2f}% (total time {total:.1f} s)")
        lines.append(f"robust accuracy: {record.share(norm):.2f}%")
    return "\n".join(lines) + "\n"
