"""Trains on a folder of images, one folder a class, and says what it withstands.

    python examples/train_on_a_folder.py
    python examples/train_on_a_folder.py FOLDER --size 32 --method mng_ac --epochs 30 --radii 8/255 8 0.5

The first line makes a small folder `pictures` with train/<class>/*.png and test/<class>/*.png, and trains on it; FOLDER
is your own, of the same form. `mngac data` reads it, as in the pipeline: JPEG or PNG, resized to squares.
"""

import argparse

import torch
from shapes import save, with_radii

import mngac
from mngac.cli import main

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("folder", nargs="?", help="with train/<class>/ and test/<class>/")
parser.add_argument("--size", type=int, default=16, help="height and width to resize to (default: 16)")
parser.add_argument("--method", default="sat", help="sat, mng_ac, adv_linf, ... (default: sat)")
parser.add_argument("--epochs", type=int, default=5, help="(default: 5)")
arguments = with_radii(parser, own="folder")
torch.set_num_threads(1)  # enough for so small a network, and what a run can be repeated with to the last digit

if arguments.folder is None:
    arguments.folder = "pictures"
    save(arguments.folder)

where = ["--loader", "folder", "--source", arguments.folder, "--out", "pictures.safetensors"]
if main(["data", "--dataset", "pictures", *where, "--size", str(arguments.size)]):
    raise SystemExit(2)
data = mngac.load_data("pictures.safetensors")

schedule = {"peak": 0.1, "peak_epoch": 0.4 * arguments.epochs}
trained = mngac.train(
    arguments.method,
    *data.images_of("train"),
    radii=arguments.radii,
    training={"like": "digits", "epochs": arguments.epochs, "schedule": schedule},
    validation=data.images_of("validation"),
    progress=True,
)
trained.save("pictures-classifier.safetensors")
result = mngac.evaluate(trained.classifier, *data.images_of("test"), radii=arguments.radii)
print(result.table())
