"""A small project folder with one right file of every kind, for tests that spoil one of them."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import torch
from evaluation_helpers import record
from helpers import small, write_params
from tiny_data import pack, write_tree

from mngac import tensors
from mngac.data import store
from mngac.data.pixels import to_unit
from mngac.data.pseudo_labels import save_pseudo_labels
from mngac.models.files import Architecture, save_classifier

IMAGES = 12
DIGITS = Architecture("wrn_10_1", 10, 1, 8)


def build(folder: Path) -> Path:
    """params.yaml, data, weights in three forms, records, pseudo-labels, a tree of images and archives of it."""
    folder.mkdir(exist_ok=True)
    write_params(folder, small(methods=("nat",), semi=("rst_linf",)))
    classifier = _classifier()
    splits = _splits(classifier)
    store.save(folder / "data/digits.safetensors", splits, [str(c) for c in range(10)])
    save_classifier(folder / "own.safetensors", classifier, DIGITS)
    torch.save({"net": classifier.state_dict()}, folder / "w.pt")
    torch.save(classifier.state_dict(), folder / "legacy.pth", _use_new_zipfile_serialization=False)
    for name in ("a", "b"):
        (folder / f"{name}.json").write_text(_record(name).to_json())
    digest = store.load(folder / "data/digits.safetensors").digest
    labels = folder / "trained/digits/pseudo_labels/seed0.safetensors"
    save_pseudo_labels(labels, torch.zeros(IMAGES, dtype=torch.int64), digest, {})
    tree = write_tree(folder / "tree")
    for ending in ("tar", "tar.gz", "zip"):
        pack(tree, folder / f"tree.{ending}")
    pool = {"data": np.zeros((5, 8, 8, 1), np.uint8), "extrapolated_targets": np.arange(5)}
    (folder / "pool.pkl").write_bytes(pickle.dumps(pool))
    np.save(folder / "pool.npy", pool["data"])
    return folder


def _classifier() -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return DIGITS.build().eval()


def _splits(classifier: torch.nn.Module) -> dict[str, store.Split]:
    """The same random images in every split, with the classifier's own answers as labels."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (IMAGES, 1, 8, 8), dtype=torch.uint8, generator=generator)
    labels = classifier(to_unit(images)).argmax(1)
    return {name: store.Split(images.clone(), labels.clone(), torch.arange(IMAGES)) for name in store.SPLITS}


def _record(method: str):
    columns = {"apgd_ce linf": "110.", "apgd_ce l1": "101.", "apgd_ce l2": "111."}
    about = {"code": "c", "commit": "0123456789ab", "device": "cpu", "versions": {"torch": "2"}}
    about["training"] = {"attacked": True, "collapses": [{"epoch": 2, "norm": "l1", "before": 50.0, "after": 1.5}]}
    training = {"seconds": 1.5, "images_seen": 10, "device": "cpu"}
    timing = {"seconds": {"apgd_ce linf": 0.5}, "training": training}
    return record("1110", columns, method=method, provenance=about, timing=timing)


def changed_json(path: Path, **changes: object) -> None:
    """Changes keys of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def changed_tensors(path: Path, about: dict, **changes: torch.Tensor | None) -> None:
    """Changes facts and tensors of a file; None takes a tensor out."""
    content, said = tensors.read(path)
    kept = {name: tensor.clone() for name, tensor in {**content, **changes}.items() if tensor is not None}
    tensors.write(path, kept, **{**said, **about})
