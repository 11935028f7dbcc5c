"""What can be wrong with the machine: its GPU, folders, disk and packages."""

import errno
import shutil
import sys

from bad_input.spoil import DATA, EXPORT, OWN, TRAIN, Case, cache_at, file, full_disk, gone, no_home, params, raising

CASES: list[Case] = [
    (
        "no GPU",
        TRAIN,
        ['run.device: found "cuda", but no GPU is to be seen here', "allowed: auto, cpu, or a machine with one"],
        lambda f, patch: [params("run.device", "cuda")(f), patch.setenv("CUDA_VISIBLE_DEVICES", "")],
    ),
    ("no home", DATA, ["no home folder is known; set MNGAC_CACHE to a folder"], no_home),
    ("a cache that is a file", DATA, ["MNGAC_CACHE: found", "w.pt, which is no folder"], cache_at("w.pt")),
    ("a cache in a file", "cache list", ["MNGAC_CACHE: found", "w.pt, which is no folder"], cache_at("w.pt/x")),
    (
        "a folder in the place of data",
        f"{OWN} tree",
        ["out", "a file stands where a folder is wanted"],
        file("out", b""),
    ),
    (
        "a full disk for data",
        f"{OWN} tree",
        ["mine.safetensors: No space left on device; free space"],
        full_disk("mngac.tensors.save_file"),
    ),
    (
        "a full disk for the stage",
        DATA,
        ["No space left on device; free space", "work"],
        full_disk("mngac.tensors.save_file"),
    ),
    (
        "a full disk for an export",
        EXPORT.replace("a.json", "right.json"),
        ["exported: No space left on device; free space"],
        lambda f, patch: [
            gone("data/digits.safetensors")(f),
            shutil.copy(f / "a.json", f / "right.json"),
            full_disk("mngac.exchange.export.atomic")(f, patch),
        ],
    ),
    (
        "a full disk for a schema",
        "schema --out s.json",
        ["s.json: No space left on device"],
        full_disk("mngac.pipeline.atomic.tempfile.mkstemp"),
    ),
    (
        "a quota",
        "schema --out s.json",
        ["s.json: Disk quota exceeded; free space"],
        raising("mngac.pipeline.atomic.tempfile.mkstemp", OSError(errno.EDQUOT, "")),
    ),
    (
        "a folder that may not be written",
        "schema --out s.json",
        ["/ro: no permission; make it accessible"],
        raising("mngac.pipeline.atomic.tempfile.mkstemp", PermissionError(errno.EACCES, "", "/ro")),
    ),
    (
        "a read-only file system",
        "schema --out s.json",
        ["/ro: Read-only file system; choose another place"],
        raising("mngac.pipeline.atomic.tempfile.mkstemp", OSError(errno.EROFS, "", "/ro")),
    ),
    (
        "a disk that fails",
        "schema --out s.json",
        ["s.json: Input/output error; look after the disk"],
        raising("mngac.pipeline.atomic.tempfile.mkstemp", OSError(errno.EIO, "")),
    ),
    (
        "too many open files",
        "schema --out s.json",
        ["ulimit -n"],
        raising("mngac.pipeline.atomic.tempfile.mkstemp", OSError(errno.EMFILE, "")),
    ),
    (
        "a missing package",
        DATA,
        ["the package sklearn is not installed; run: pip install"],
        lambda f, patch: [
            patch.setitem(sys.modules, "sklearn.datasets", None),
            patch.delitem(sys.modules, "mngac.data.loaders.digits", raising=False),
        ],
    ),
]
