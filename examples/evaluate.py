"""Evaluates a classifier in RobustBench's form: a file of weights, layer names as in its model zoo.

    python examples/evaluate.py
    python examples/evaluate.py Linf.pt --model wrn_28_10 --data data/cifar10.safetensors --n 200 --radii 8/255 12 0.5

The first line makes such a file, from a training of a few seconds. The second takes your own, on the test images of a
data set that `mngac data` has prepared.
"""

import argparse
from pathlib import Path

import torch
from shapes import NAMES, RADII, shapes, with_radii

import mngac

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("file", nargs="?", help="weights: a state dict, alone or under state_dict; .pt or .safetensors")
parser.add_argument("--model", default="wrn_10_1", help="such as wrn_28_10 or preact_resnet_18 (default: wrn_10_1)")
parser.add_argument("--data", help="a .safetensors file that `mngac data` wrote")
parser.add_argument("--n", type=int, default=100, help="images, the first ones (default: 100)")
parser.add_argument("--suite", default="quick", help="quick, aa2, autoattack, ... (default: quick)")
arguments = with_radii(parser, own="data")

if arguments.file is None:
    print("no file given: one in that form is made, zoo.pt")
    torch.set_num_threads(1)  # enough for so small a network, and what a run can be repeated with to the last digit
    arguments.file = "zoo.pt"
    recipe = {"model": "wrn_10_1", "epochs": 6, "batch_size": 64, "schedule": {"peak": 0.1, "peak_epoch": 2}}
    trained = mngac.train("sat", *shapes(1200, seed=0), radii=RADII, training={"like": "digits", **recipe})
    weights = {f"model.{name}": value for name, value in trained.classifier.state_dict().items()}
    torch.save({"state_dict": weights}, Path(arguments.file))

if arguments.data:
    data = mngac.load_data(arguments.data)
    images, labels = (each[: arguments.n] for each in data.images_of("test"))
    classes = len(data.classes)
else:
    images, labels = shapes(arguments.n, seed=1)
    classes = len(NAMES)

classifier = mngac.load_classifier(arguments.file, model=arguments.model, classes=classes, shape=images.shape[1:])
result = mngac.evaluate(classifier, images, labels, suite=arguments.suite, radii=arguments.radii)
print(result.table())
print(*(f"red flag: {flag}" for flag in result.flags), sep="\n")
