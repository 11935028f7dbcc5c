"""What can be wrong with images, archives, arrays, tensor files and pseudo-labels."""

import pickle
import shutil
import tarfile

import numpy as np
import torch
from bad_input.spoil import (
    DATA,
    OWN,
    SEMI,
    TRAIN,
    Case,
    Planted,
    animation,
    file,
    halved,
    member,
    nothing,
    params,
    tar,
    tensors_of,
    wide_image,
    zip_of_zeros,
)
from tiny_data import encoded, pixels

CASES: list[Case] = [
    ("no tree", f"{OWN} nowhere", ["nowhere: not found; put the file or folder there"], nothing),
    ("a home of nobody", f"{OWN} '~nobody_here/x'", ["~nobody_here/x: no home folder is known"], nothing),
    ("a cut archive", f"{OWN} tree.tar.gz", ["tree.tar.gz", "get the file again"], halved("tree.tar.gz")),
    (
        "no archive",
        f"{OWN} x.zip",
        ["x.zip: truncated, broken or no tar or zip file"],
        file("x.zip", b"PK\3\4" + bytes(99)),
    ),
    ("a web page", f"{OWN} x.tar", ["x.tar: an HTML page, not the archive"], file("x.tar", b"<!doctype html>")),
    ("a way out", f"{OWN} x.tgz", ['"../x.png" leads out of the archive'], tar("x.tgz", member("../x.png"))),
    (
        "a link",
        f"{OWN} x.tgz",
        ['"l" is a link'],
        tar("x.tgz", member("l", type=tarfile.SYMTYPE, linkname="/etc/passwd")),
    ),
    ("a device", f"{OWN} x.tgz", ['"d" is a device'], tar("x.tgz", member("d", type=tarfile.CHRTYPE))),
    ("a line end in a name", f"{OWN} x.tgz", ["a\\nb", "no PNG or JPEG file"], tar("x.tgz", member("train/ant/a\nb"))),
    (
        "a class with an escape",
        f"{OWN} tree",
        ["can't be printed; rename"],
        lambda f: [shutil.copytree(f / "tree" / p / "ant", f / "tree" / p / "\x1b[2J") for p in ("train", "test")],
    ),
    ("a bomb", f"{OWN} bomb.zip", ["bomb.zip: unpacks to more than", "refused"], zip_of_zeros),
    (
        "too many entries",
        f"{OWN} tree.tar",
        ["tree.tar: holds more than 3 entries"],
        lambda f, patch: patch.setattr("mngac.data.archives.MOST_ENTRIES", 3),
    ),
    (
        "a large file",
        f"{OWN} tree",
        ["more than 9 bytes; allowed: fewer"],
        lambda f, patch: patch.setattr("mngac.data.trees.MOST_BYTES", 9),
    ),
    (
        "an animation",
        f"{OWN} tree",
        ["0.png: an animation or several images (2); allowed: one"],
        file("tree/train/ant/0.png", animation),
    ),
    (
        "a vast image",
        f"{OWN} tree",
        ["vast; allowed: 67,108,864 pixels", "make it smaller or remove it"],
        file("tree/train/ant/0.png", wide_image),
    ),
    ("half an image", f"{OWN} tree", ["0.png: not a readable PNG or JPEG"], halved("tree/train/ant/0.png")),
    ("another form of image", f"{OWN} tree", ["0.png: not a readable PNG"], file("tree/train/ant/0.png", b"GIF89a")),
    (
        "another size",
        f"{OWN} tree",
        ["9x9 pixels, but", "state a size"],
        file("tree/train/bee/0.png", encoded(pixels(1, 9))),
    ),
    (
        "one class only in train",
        f"{OWN} tree",
        ["class 'bee' has no images in test/bee"],
        lambda f: shutil.rmtree(f / "tree/test/bee"),
    ),
    (
        "a pickle that runs code",
        DATA,
        ["pool.pkl: a pickle with code or other objects (posix.system), which is not run"],
        lambda f: [params("data.digits.unlabelled", "pool.pkl")(f), file("pool.pkl", pickle.dumps(Planted()))(f)],
    ),
    (
        "half a pickle",
        DATA,
        ["pool.pkl: no pickle of arrays", "get it again"],
        lambda f: [params("data.digits.unlabelled", "pool.pkl")(f), halved("pool.pkl")(f)],
    ),
    (
        "an array of objects",
        DATA,
        ["pool.npy: no whole .npy file of numbers"],
        lambda f: [
            params("data.digits.unlabelled", "pool.npy")(f),
            np.save(f / "pool.npy", np.array([Planted()]), allow_pickle=True),
        ],
    ),
    (
        "half an array",
        DATA,
        ["pool.npy: no whole .npy file"],
        lambda f: [params("data.digits.unlabelled", "pool.npy")(f), halved("pool.npy")(f)],
    ),
    (
        "half a tensor file",
        TRAIN,
        ["data/digits.safetensors: not a whole safetensors file"],
        halved("data/digits.safetensors"),
    ),
    ("an empty tensor file", TRAIN, ["data/digits.safetensors: not a whole"], file("data/digits.safetensors", b"")),
    (
        "a changed tensor file",
        TRAIN,
        ["its content is not what was written", "run the data stage again"],
        tensors_of("data/digits.safetensors", {"digest": "0"}),
    ),
    (
        "another's tensor file",
        TRAIN,
        ["no tensor file of a data set (train.images: missing)"],
        tensors_of("data/digits.safetensors", **{"train.images": None}),
    ),
    (
        "float images",
        TRAIN,
        ["train.images: torch.float32"],
        tensors_of("data/digits.safetensors", **{"train.images": torch.zeros(12, 1, 8, 8)}),
    ),
    (
        "labels of no class",
        TRAIN,
        ["train.labels: 99 to 99 of 10 classes"],
        tensors_of("data/digits.safetensors", **{"train.labels": torch.full((12,), 99)}),
    ),
    (
        "a later schema",
        TRAIN,
        ["schema 99; this version reads schema 1"],
        tensors_of("data/digits.safetensors", {"schema": 99}),
    ),
    (
        "pseudo-labels of other data",
        SEMI,
        ["seed0.safetensors: labels another data set", "run pseudo_label again"],
        tensors_of("trained/digits/pseudo_labels/seed0.safetensors", {"data": "x"}),
    ),
    (
        "too few pseudo-labels",
        SEMI,
        ["labels: found torch.int64 (3,); allowed: 12 labels"],
        tensors_of("trained/digits/pseudo_labels/seed0.safetensors", labels=torch.zeros(3, dtype=torch.int64)),
    ),
    (
        "pseudo-labels of no class",
        SEMI,
        ["labels: found", "allowed: 12 labels from 0 to 9"],
        tensors_of("trained/digits/pseudo_labels/seed0.safetensors", labels=torch.full((12,), 10)),
    ),
    (
        "pseudo-labels cut",
        SEMI,
        ["seed0.safetensors: not a whole safetensors file"],
        halved("trained/digits/pseudo_labels/seed0.safetensors"),
    ),
    ("no parcel", "cache import nowhere", ["nowhere: not found; put the file"], nothing),
    ("rubbish in a parcel's place", "cache import w.pt", ["w.pt: found ", "allowed: a file that"], nothing),
    (
        "a parcel that leads out",
        "cache import tree.tar",
        ['found "', "allowed: a file that `mngac cache export`"],
        nothing,
    ),
    (
        "nothing to put into a parcel",
        "cache export x",
        ["found nothing of this workspace's jobs; allowed: after a run"],
        nothing,
    ),
]
