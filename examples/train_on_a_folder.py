"""Trains on a folder of images, one folder a class, and says what it withstands.

    python examples/train_on_a_folder.py
    python examples/train_on_a_folder.py FOLDER --size 32 --method mng_ac --epochs 30 --radii 8/255 8 0.5

The first line makes a small folder `pictures` with train/<class>/*.png and test/<class>/*.png, and trains on it; FOLDER
is your own, of the same form. `mngac data` reads it, as in the pipeline: JPEG or PNG, resized to squares.
"""

import argparse

import torch
from shapes import RADII, radius, save

import mngac
from mngac.cli import main

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("folder", nargs="?", help="with train/<class>/ and test/<class>/")
parser.add_argument("--size", type=int, default=16, help="height and width to resize to (default: 16)")
parser.add_argument("--method", default="sat", help="sat, mng_ac, adv_linf, ... (default: sat)")
parser.add_argument("--epochs", type=int, default=5, help="(default: 5)")
parser.add_argument(
    "--radii",
    nargs=3,
    type=radius,
    metavar=("LINF", "L1", "L2"),
    help="of your own data, on images in [0, 1], such as 8/255 12 0.5",
)
arguments = parser.parse_args()
if arguments.folder and not arguments.radii:
    parser.error("FOLDER: found no --radii; allowed: both, since radii are those of a data set")
radii = dict(zip(RADII, arguments.radii, strict=True)) if arguments.radii else RADII
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
    radii=radii,
    training={"like": "digits", "epochs": arguments.epochs, "schedule": schedule},
    validation=data.images_of("validation"),
    progress=True,
)
trained.save("pictures-classifier.safetensors")
result = mngac.evaluate(trained.classifier, *data.images_of("test"), radii=radii)
print(result.table())
