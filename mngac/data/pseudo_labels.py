"""The pseudo_label stage: a teacher labels the unlabelled split (Carmon et al. 2019)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mngac import tensors
from mngac.data import store
from mngac.data.pixels import to_unit
from mngac.models.files import load_classifier
from mngac.params.sections import PseudoLabel
from mngac.pipeline.jobs import Context

CHUNK = 500


@torch.no_grad()
def posteriors(classifier: torch.nn.Module, images: Tensor, device: str) -> Tensor:
    """Class probabilities (n, classes) of uint8 images, on the CPU."""
    return torch.cat([classifier(to_unit(chunk.to(device))).softmax(1).cpu() for chunk in images.split(CHUNK)])


def check_teacher(classifier: torch.nn.Module, data: store.DataSet, device: str, min_accuracy: float) -> float:
    """The teacher's validation accuracy, in [0, 1].

    Raises:
        DataError: where it is under `min_accuracy`.
    """
    validation = data.split("validation")
    checked = posteriors(classifier, validation.images, device).argmax(1)
    accuracy = (checked == validation.labels).float().mean().item()
    if accuracy < min_accuracy:
        raise store.DataError(
            f"run.teachers: the teacher's validation accuracy is {accuracy:.3f} on {len(validation)} images, under "
            f"pseudo_label.min_accuracy {min_accuracy}; train it longer or choose another"
        )
    return accuracy


def brought_along(data: store.DataSet) -> Tensor:
    """Labels int64 (n,) that the n unlabelled images bring along.

    Raises:
        DataError: where some have none.
    """
    labels = data.split("unlabelled").labels
    if (labels < 0).any():
        raise store.DataError(
            f"pseudo_label.labels: found data, but {int((labels < 0).sum())} unlabelled images have no label; "
            "allowed: teacher"
        )
    return labels


def label(classifier: torch.nn.Module, data: store.DataSet, device: str, params: PseudoLabel) -> tuple[Tensor, dict]:
    """Hard labels of the unlabelled split, and what is known of them and of the teacher.

    Args:
        classifier: the teacher, images in [0, 1] (batch, channels, height, width) -> logits (batch, classes).
        data: with validation and unlabelled images.
        device: where the teacher is.
        params: whose labels are taken, and how good the teacher must be.

    Returns:
        int64 (n,) of the n unlabelled images; accuracies in [0, 1], a histogram of confidences, images a class.

    Raises:
        DataError: for a teacher that is not good enough, and where labels of the images' own are wanted and missing.
    """
    accuracy = check_teacher(classifier, data, device, params.min_accuracy)
    confidence, predicted = posteriors(classifier, data.split("unlabelled").images, device).max(1)
    labels = predicted if params.labels == "teacher" else brought_along(data)
    return labels, {
        "labels": params.labels,
        "validation_accuracy": round(accuracy, 6),
        "validation_images": len(data.split("validation")),
        "agreement_with_teacher": round((labels == predicted).float().mean().item(), 6),
        "confidence_histogram": torch.histc(confidence, bins=10, min=0, max=1).int().tolist(),
        "class_counts": torch.bincount(labels, minlength=len(data.classes)).tolist(),
    }


def save_pseudo_labels(path: str | Path, labels: Tensor, data_digest: str, facts: dict[str, Any]) -> None:
    """Writes labels int64 (n,) with the digest of the data set that they belong to, and JSON-like facts."""
    tensors.write(path, {"labels": labels}, data=data_digest, **facts)


def load_pseudo_labels(path: str | Path, data: store.DataSet) -> Tensor:
    """Labels int64 (n,) of the unlabelled split.

    Raises:
        UserError: for a file of another schema.
        DataError: where the labels belong to another data set, or are none of its classes.
    """
    content, about = tensors.read(path)
    if about.get("data") != data.digest:
        raise store.DataError(f"{path}: labels another data set than the one given; run pseudo_label again")
    labels, wanted = content.get("labels"), data.splits["unlabelled"].labels
    fits = labels is not None and (labels.dtype, labels.shape) == (wanted.dtype, wanted.shape)
    if labels is None or not fits or not bool(((labels >= 0) & (labels < len(data.classes))).all()):
        what = f"found {'nothing' if labels is None else f'{labels.dtype} {tuple(labels.shape)}'}"
        allowed = f"{len(wanted)} labels from 0 to {len(data.classes) - 1}"
        raise store.DataError(f"{path}: labels: {what}; allowed: {allowed}; run pseudo_label again")
    return labels


def run(context: Context) -> None:
    """Writes trained/<dataset>/pseudo_labels/seed<k>.safetensors."""
    torch.set_num_threads(context.job.params.run.threads)
    data = store.load(context.job.inputs["data"])
    classifier = load_classifier(context.job.inputs["teacher"], context.device)
    labels, facts = label(classifier, data, context.device, context.job.params.pseudo_label)
    save_pseudo_labels(context.outputs["labels"], labels, data.digest, facts)
    context.log.line(f"pseudo_label {context.job.name}: {json.dumps(facts)}")
