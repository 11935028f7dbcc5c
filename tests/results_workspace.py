"""A workspace with small hand-made records and logs, and classifiers of the smallest kind that were never trained."""

import json
from pathlib import Path

import torch
from helpers import small_params

from mngac import tensors
from mngac.data import store
from mngac.models.files import Architecture, save_classifier
from mngac.models.noise_generator import NoiseGenerator
from mngac.pipeline.paths import record_path, trained

CLASSES = [str(i) for i in range(10)]
GENERATOR = ("over_gaussian", "fgsm_over_gaussian", "x_adv_over_gaussian", "gradient_to_decay", "clamped_share")


def record(method, share, seconds, flags=()):
    """A record on 20 images, of which `share` withstand every norm and two more only l_2."""
    held = "1" * share + "0" * (20 - share)
    columns = {"linf": held, "l1": held, "l2": "1" * (share + 2) + "0" * (18 - share)}
    attacks = [
        dict(name="apgd_ce", norm=norm, radius="0.1", correct=flags_, rejected=0, forwards=9)
        for norm, flags_ in columns.items()
    ]
    about = {"key": "a" * 64, "code": "c" * 64, "commit": "0123456789ab", "versions": {"torch": "2"}, "device": "cpu"}
    counted = {"flops": 3000 * seconds, "forward_passes": 30 * seconds}
    training = {"seconds": seconds + 8, "process_seconds": seconds, "images_seen": 1000, "device": "cpu", **counted}
    return {
        "schema": 1, "dataset": "digits", "split": "test", "method": method, "seed": 0, "suite": "apgd",
        "profile": "standard", "n": 20, "indices": list(range(20)), "clean": "1" * 20, "attacks": attacks,
        "flags": list(flags), "timing": {"training": training}, "provenance": about,
    }  # fmt: skip


def log(method):
    """Three epochs of a training's log."""
    lines = []
    for epoch in (1, 2, 3):
        line = {"epoch": epoch, **{f"validation_{name}": 20.0 * epoch for name in ("clean", "linf", "l1", "l2")}}
        if method.startswith("mng"):
            norms = ("linf", "l1", "l2") if epoch > 1 else ("l2",)
            line |= {f"generator_{name}_{norm}": 0.1 * epoch for name in GENERATOR for norm in norms}
            line["generator_angle"] = 2.0 * epoch
        lines.append(json.dumps(line) + "\n")
    return "".join(lines)


def write_results(folder, methods):
    """Records and logs of the methods, under `folder`."""
    for i, method in enumerate(methods):
        content = record(method, 4 + 3 * i, 10.0 * (i + 1), ["<zero> gradients"] if method == "nat" else [])
        path = folder / record_path({k: str(content[k]) for k in ("dataset", "method", "seed", "suite", "profile")})
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(content))
        home = folder / trained(dict(dataset="digits", method=method, seed="0"))
        home.mkdir(parents=True)
        (home / "train.jsonl").write_text(log(method))


def write_models(folder, methods):
    """Data of 30 random images, and untrained classifiers with a generator where the method has one."""
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (30, 1, 8, 8), generator=draw, dtype=torch.uint8)
    parts = {name: store.Split(images.clone(), torch.arange(30) % 10, torch.arange(30)) for name in store.SPLITS}
    store.save(folder / "data/digits.safetensors", parts, CLASSES)
    architecture = Architecture("wrn_10_1", 10, 1, 8)
    for seed, method in enumerate(methods):
        torch.manual_seed(seed)
        home = folder / trained(dict(dataset="digits", method=method, seed="0"))
        save_classifier(home / "classifier.safetensors", architecture.build(), architecture)
        weights = NoiseGenerator(1).state_dict() if method.startswith("mng") else {}
        tensors.write(home / "generator.safetensors", weights)


def made(folder, methods, **run):
    """Parameters of a run whose records, logs, data and models lie in `folder`."""
    (Path(folder) / "data").mkdir(parents=True, exist_ok=True)
    write_results(Path(folder), methods)
    write_models(Path(folder), methods)
    return small_params(methods=methods, **run)
