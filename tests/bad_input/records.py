"""What can be wrong with records."""

import json

from bad_input.project import changed_json
from bad_input.spoil import COMPARE, EXPORT, Case, deep, file, halved, json_of, nothing

CASES: list[Case] = [
    ("known records not there", "verify none", ["none: not found"], nothing),
    ("known records in no archive", "verify a.json", ["a.json: truncated, broken or no tar or zip"], nothing),
    ("known records in half an archive", "verify half.tar.xz", ["half.tar.xz: "], file("half.tar.xz", b"\xfd7zXZ\0\0")),
    ("a folder without known records", "verify tree", ["tree", "found no record; allowed: "], nothing),
    ("given records not there", "tables --records x.json", ["x.json: not found", "allowed: a record"], nothing),
    ("a given record twice", "tables --records a.json a.json", ["found two records of it; allowed: one"], nothing),
    ("not there", "compare a.json x.json", ["x.json: not found", "allowed: a record"], nothing),
    ("a folder", "compare a.json tree", ["tree: found a folder", "allowed: a record"], nothing),
    ("half", COMPARE, ["a.json: ", "allowed: a record"], halved("a.json")),
    (
        "not UTF-8",
        COMPARE,
        ["a.json: no text in UTF-8, wrong at byte 7", "allowed: a record"],
        file("a.json", b'{"a": "\xff"}'),
    ),
    ("too deep", COMPARE, ["a.json: nested too deeply"], file("a.json", deep(100_000).encode())),
    (
        "too large",
        COMPARE,
        ["a.json: more than 99 bytes"],
        lambda f, patch: patch.setattr("mngac.results.json_file.MOST_BYTES", 99),
    ),
    ("a number too long", COMPARE, ["a.json: Exceeds the limit"], file("a.json", b"9" * 5000)),
    ("NaN", COMPARE, ["a.json: found NaN, which is no number of JSON"], file("a.json", b'{"schema": NaN}')),
    ("half a character", COMPARE, ["a.json: ", "can't encode"], file("a.json", b'{"schema": 1, "x": "\\ud800"}')),
    ("a list", COMPARE, ["a.json: schema null; this version reads"], file("a.json", b"[]")),
    (
        "a later schema",
        COMPARE,
        ["a.json: schema 2; this version reads schema 1; evaluate"],
        json_of("a.json", schema=2),
    ),
    ("an unknown key", COMPARE, ["a.json: surprise: Extra inputs"], json_of("a.json", surprise=1)),
    ("a column too short", COMPARE, ["clean has 3 images, n is 4"], json_of("a.json", clean="111")),
    (
        "a name that leads up",
        EXPORT,
        ['a.json: dataset: found "../x"; allowed: a name without /'],
        json_of("a.json", dataset="../x"),
    ),
    (
        "a name with an escape",
        COMPARE,
        ["a.json: method: found", "\\u001b[2J", "allowed: printable text"],
        json_of("a.json", method="\x1b[2J"),
    ),
    (
        "a flag with a line end",
        COMPARE,
        ["a.json: flags.0: found", "printable text"],
        json_of("a.json", flags=["a\nb"]),
    ),
    (
        "a radius by zero",
        COMPARE,
        ["attacks.0.radius"],
        lambda f: changed_json(
            f / "a.json", attacks=[{**a, "radius": "1/0"} for a in json.loads((f / "a.json").read_text())["attacks"]]
        ),
    ),
    (
        "an endless radius",
        COMPARE,
        ["attacks.0.radius"],
        lambda f: changed_json(
            f / "a.json",
            attacks=[{**a, "radius": "1e999999999"} for a in json.loads((f / "a.json").read_text())["attacks"]],
        ),
    ),
    ("provenance of a list", COMPARE, ["provenance"], json_of("a.json", provenance=[])),
    (
        "a suite of a number",
        COMPARE,
        ["provenance.params.suite"],
        json_of("a.json", provenance={"params": {"suite": 3}}),
    ),
    ("seconds of text", EXPORT, ["timing.seconds"], json_of("a.json", timing={"seconds": {"clean": "x"}})),
    (
        "other images",
        COMPARE,
        ["differ in their images; allowed: the same for all"],
        json_of("a.json", indices=[9, 8, 7, 6]),
    ),
    ("another classifier's", EXPORT, ["record is not of own.safetensors"], nothing),
    ("a split that is not there", EXPORT, ["the data set has no extra images"], json_of("a.json", split="extra")),
    ("one record twice", f"{EXPORT} --record a.json", ["--record: two of one suite and profile"], nothing),
    (
        "a collapse without a norm",
        COMPARE,
        ["provenance.training.collapses.0.norm: Field required"],
        json_of("a.json", provenance={"training": {"collapses": [{"epoch": 1, "before": 9.0, "after": 0.0}]}}),
    ),
]
