"""What can be wrong with params.yaml, as a stage reads it."""

from bad_input.spoil import DATA, Case, deep, file, gone, in_place_of, params, text

BOMB = "split:\n    - &l0 [x]\n" + "".join(f"    - &l{k} [{', '.join([f'*l{k - 1}'] * 9)}]\n" for k in range(1, 11))
CASES: list[Case] = [
    ("missing file", DATA, ["params.yaml: not found", "run in the repository's top folder"], gone("params.yaml")),
    ("a folder", DATA, ["params.yaml", "found a folder; name a file"], in_place_of("params.yaml")),
    ("empty", DATA, ["params.yaml: found null; allowed"], file("params.yaml", b"")),
    ("not UTF-8", DATA, ["params.yaml", "byte 0xff in line 1", "allowed: text in UTF-8"], file("params.yaml", b"\xff")),
    ("not YAML", DATA, ["params.yaml: not YAML", "line"], text("split: test", "split: [")),
    ("too long", DATA, ["params.yaml: more than 262,144 bytes"], file("params.yaml", b"# " * (1 << 18))),
    ("too deep", DATA, ["params.yaml: nested too deeply"], text("split: test", f"split: {deep(3000)}")),
    ("a bomb of aliases", DATA, ["run.split: found [", "allowed: "], text("split: test", BOMB)),
    (
        "an alias of itself",
        DATA,
        ["run.split.0: found an alias of what it stands in"],
        text("split: test", "split: &x [*x]"),
    ),
    ("a key twice", DATA, ["run.split: found twice, in lines"], text("split: test", "split: test\n  split: test")),
    (
        "an object of Python",
        DATA,
        ["not YAML", "python/object"],
        text("test", "!!python/object/apply:os.system [touch planted]"),
    ),
    ("unknown key", DATA, ["run.sedes: unknown key; allowed", "seeds"], params("run.sedes", [1])),
    (
        "missing key",
        DATA,
        ["methods.rst_linf.attack_mode: missing; allowed"],
        params("methods.rst_linf", {"kind": "trades"}),
    ),
    (
        "text for a number",
        DATA,
        ['training.default.epochs: found "3"; allowed', "integer"],
        params("training.default.epochs", "3"),
    ),
    ("not a number", DATA, ["pseudo_label.min_accuracy: found NaN"], params("pseudo_label.min_accuracy", float("nan"))),
    (
        "infinite",
        DATA,
        ["training.default.weight_decay: found Infinity"],
        params("training.default.weight_decay", float("inf")),
    ),
    (
        "400 digits",
        DATA,
        ["training.default.epochs: found 999", "18 digits"],
        text("epochs: 30", f"epochs: {'9' * 400}"),
    ),
    ("a radius of 0", DATA, ["radii.standard.digits.linf: found 0", "8/255"], params("radii.standard.digits.linf", 0)),
    ("threads", DATA, ["run.threads: found 0; allowed", "greater than 0"], params("run.threads", 0)),
    ("too many threads", DATA, ["run.threads: found 1000000; allowed", "1024"], params("run.threads", 10**6)),
    ("unknown method", DATA, ['run.methods.0: found "nta"; allowed: one of nat'], params("run.methods", ["nta"])),
    (
        "unknown data set",
        DATA,
        ['run.datasets.0: found "digit"; allowed: one of digits'],
        params("run.datasets", ["digit"]),
    ),
    (
        "unknown loader",
        DATA,
        ['data.digits.loader: found "mnist"; allowed: one of cifar10'],
        params("data.digits.loader", "mnist"),
    ),
    (
        "unknown model",
        DATA,
        ["training.default.model", "such as", "wrn_28_10"],
        params("training.default.model", "vgg"),
    ),
    (
        "a model too wide",
        DATA,
        ["training.default.model", "wrn_28_10"],
        params("training.default.model", "wrn_28_1000000"),
    ),
    (
        "a module that is not there",
        DATA,
        ["methods.nat.kind", "no file of a module a.b", "PYTHONPATH"],
        params("methods.nat", {"kind": "a.b:C"}),
    ),
    (
        "a function of a long module",
        DATA,
        ["training.default.model", "allowed: a function that", "in all)"],
        params("training.default.model", "typing:nix"),
    ),
    ("a name for a shell", DATA, ["data", "$(touch planted)"], params("data.$(touch planted)", {"loader": "digits"})),
    ("a name with ;", DATA, ["methods", "a;b", "allowed"], params("methods.a;b", {"kind": "natural"})),
    ("a name with a quote", DATA, ["evaluation", "a'b", "allowed"], params("evaluation.a'b", {})),
    ("a name with a line end", DATA, ["data", "a\\nb"], params("data.a\nb", {"loader": "digits"})),
    ("a name that leads up", DATA, ["run.datasets.0", "../x"], params("run.datasets", ["../x"])),
    ("a NUL in a path", DATA, ["data.digits.source", "allowed"], params("data.digits.source", "a\0b")),
    (
        "a source without a home",
        DATA,
        ["~nobody_here/x: no home folder is known"],
        params("data.digits.source", "~nobody_here/x"),
    ),
    (
        "a source that is not there",
        DATA,
        ["data.digits.source: nowhere: not found; put"],
        params("data.digits.source", "nowhere"),
    ),
    ("a source of digits", DATA, ["data.digits.source", "allowed: null"], params("data.digits.source", "tree")),
    (
        "an image too large",
        DATA,
        ["data.digits.size: found 1000000; allowed", "8192"],
        params(
            "data.digits", {"loader": "folder", "source": "tree", "validation": 0.1, "unlabelled": 0, "size": 10**6}
        ),
    ),
    (
        "a checkpoint that is not there",
        "train --dataset digits --method their --seed 0",
        ["methods.their.checkpoint: x: not found"],
        params("methods.their", {"kind": "imported", "checkpoint": "x", "model": "wrn_10_1"}),
    ),
    ("like in a ring", DATA, ["methods.a.like", "which is like it in turn"], params("methods.a", {"like": "a"})),
]
