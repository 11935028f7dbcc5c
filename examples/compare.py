"""Compares two records of the same images: differences, their intervals, and the images that one side alone gets right.

    python examples/compare.py noisy.json adv_linf.json

A record is what `mngac evaluate` writes, or `mngac.evaluate(...).record(...).to_json()`, as examples/add_a_method.py
does. `mngac compare` prints the same as a table.
"""

import argparse

import mngac

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("records", nargs=2, metavar="RECORD", help="a JSON file, such as noisy.json")
first, second = (mngac.read_record(path) for path in parser.parse_args().records)
for found in mngac.compare([first], [second]):
    interval = "" if found.low is None else f", 95 % interval {found.low:+.1f} to {found.high:+.1f}"
    print(f"{found.column}: {found.first:.1f} and {found.second:.1f} %{interval}")
    print(f"  {first.method} alone classifies correctly: images {found.only_first[:10]}")
