"""Trains by a method of one's own, and holds it against one of the package.

    python examples/add_a_method.py

The method is the class Noisy in examples/noisy.py: any module that Python can import, named `package.module:Class`. The
same line in params.yaml makes it a row of the pipeline's tables: docs/own_method_and_model.md.
"""

import argparse
from pathlib import Path

import torch
from shapes import RADII, shapes

import mngac

argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
torch.set_num_threads(1)  # enough for so small a network, and what a run can be repeated with to the last digit

RECIPE = {"like": "digits", "model": "wrn_10_1", "epochs": 5, "schedule": {"peak": 0.1, "peak_epoch": 2}}
METHODS = {"noisy": {"kind": "noisy:Noisy", "options": {"alpha": 0.2}}, "adv_linf": "adv_linf"}

for name, method in METHODS.items():
    trained = mngac.train(method, *shapes(900, seed=0), radii=RADII, training=RECIPE)
    result = mngac.evaluate(trained.classifier, *shapes(60, seed=1), radii=RADII)
    print(f"\n{name}, loss of the last epoch {trained.epochs[-1]['loss']:.2f}\n\n{result.table()}")
    Path(f"{name}.json").write_text(result.record(name, "shapes").to_json())

print("\nwrote noisy.json and adv_linf.json: python examples/compare.py noisy.json adv_linf.json")
