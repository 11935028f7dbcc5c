"""What can be wrong with files of weights, and what lies beside them."""

import pickle
import zipfile
from pathlib import Path

import torch
from bad_input.spoil import (
    EVALUATE,
    EXPORT,
    FOREIGN,
    IMPORT,
    Case,
    Planted,
    file,
    halved,
    nothing,
    tensors_of,
    torch_file,
)

CASES: list[Case] = [
    ("not there", f"{EVALUATE} x.pt --model wrn_10_1", ["--checkpoint: x.pt: not found; allowed"], nothing),
    ("a folder", f"{EVALUATE} tree --model wrn_10_1", ["--checkpoint: tree: found a folder; allowed"], nothing),
    ("no model", f"{EVALUATE} w.pt", ["--model: missing; w.pt does not name its model", "wrn_28_10"], nothing),
    ("an unknown model", f"{EVALUATE} w.pt --model vgg", ['--model: found "vgg"; allowed: such as'], nothing),
    ("rubbish", FOREIGN, ["w.pt: can't be read as weights; allowed: safetensors"], file("w.pt", b"rubbish")),
    ("half", FOREIGN, ["w.pt: can't be read as weights"], halved("w.pt")),
    (
        "half of the old form",
        f"{EVALUATE} legacy.pth --model wrn_10_1",
        ["legacy.pth: can't be read"],
        halved("legacy.pth"),
    ),
    (
        "code",
        FOREIGN,
        ["w.pt: a pickle with other objects", "posix.system", "not read", "save the state dict alone"],
        torch_file("w.pt", {"net": Planted()}),
    ),
    (
        "an object",
        FOREIGN,
        ["w.pt: a pickle with other objects", "save the state dict alone"],
        torch_file("w.pt", {"net": Path("x")}),
    ),
    (
        "a bare pickle",
        FOREIGN,
        ["w.pt: a pickle with other objects", "posix.system"],
        file("w.pt", pickle.dumps(Planted(), protocol=2)),
    ),
    (
        "a zip bomb",
        FOREIGN,
        ["w.pt: its", "bytes unpack to", "refused"],
        lambda f: zipfile.ZipFile(f / "w.pt", "w", zipfile.ZIP_DEFLATED).writestr("a/data.pkl", bytes(1 << 20)),
    ),
    ("no weights", FOREIGN, ["holds no weights by name, but int"], torch_file("w.pt", 3)),
    (
        "another model's",
        f"{EVALUATE} w.pt --model wrn_16_2",
        ["not the weights of this wrn_16_2", "missing: ", "in all)"],
        nothing,
    ),
    (
        "complex weights",
        FOREIGN,
        ["no plain numbers: fc.bias torch.complex64"],
        lambda f: torch.save(
            {**torch.load(f / "w.pt")["net"], "fc.bias": torch.zeros(10, dtype=torch.complex64)}, f / "w.pt"
        ),
    ),
    (
        "weights nowhere",
        FOREIGN,
        ["no plain numbers: fc.bias"],
        lambda f: torch.save({**torch.load(f / "w.pt")["net"], "fc.bias": torch.zeros(10, device="meta")}, f / "w.pt"),
    ),
    (
        "our own cut",
        f"{EVALUATE} own.safetensors",
        ["own.safetensors: not a whole safetensors file"],
        halved("own.safetensors"),
    ),
    (
        "our own without classes",
        f"{EVALUATE} own.safetensors",
        ["own.safetensors: classes: found null; allowed: 1 to"],
        tensors_of("own.safetensors", {"classes": None}),
    ),
    (
        "our own, a vast model",
        f"{EVALUATE} own.safetensors",
        ["not the weights of this wrn_994_999", "missing: ", "name the model"],
        tensors_of("own.safetensors", {"model": "wrn_994_999"}),
    ),
    (
        "our own, another's weights",
        f"{EVALUATE} own.safetensors",
        ["missing: fc.bias"],
        tensors_of("own.safetensors", **{"fc.bias": None}),
    ),
    (
        "our own that names code",
        f"{EVALUATE} own.safetensors",
        ["--model: missing", 'asks to run "shutil:rmtree"', "code"],
        tensors_of("own.safetensors", {"model": "shutil:rmtree"}),
    ),
    (
        "an export that names code",
        EXPORT,
        ["--model: missing", 'asks to run "shutil:rmtree"'],
        tensors_of("own.safetensors", {"model": "shutil:rmtree"}),
    ),
    ("an import of rubbish", IMPORT, ["w.pt: can't be read as weights"], file("w.pt", b"")),
    (
        "one bad file of a folder",
        "reevaluate nets --model wrn_10_1 --dataset digits --suite pgd --n 3 --out again",
        ["nets/bad.pt: can't be read"],
        lambda f: [(f / "nets").mkdir(), (f / "nets/bad.pt").write_bytes(b"x")],
    ),
    (
        "a damaged train.json",
        f"{EVALUATE} own.safetensors",
        ["train.json", "allowed: a train.json"],
        file("train.json", b"{"),
    ),
    ("a train.json of texts", EXPORT, ["train.json: seconds", "valid number"], file("train.json", b'{"seconds": "x"}')),
]
