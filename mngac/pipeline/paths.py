"""Where everything lies in the workspace: the paths that both engines and the command line share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mngac.params.sections import Params

Wildcards = Mapping[str, str]
TABLES = ("all", "single_perturbation", "multi_perturbation", "semi_supervised", "components", "motivation", "beyond")
FORMATS = ("md", "csv", "tex")
FIGURES = ("motivation", "learning_curves", "clean_and_union", "union_and_cost", "components", "generator")
MODEL_FIGURES = ("over_radius", "decision_boundary", "features", "loss_landscape", "perturbations")
IMAGES = ("png", "svg")


DIGESTS = Path("digests")
"""Of files that the run names, one file a job: what DVC watches where a stage reads what many jobs make.

DVC cannot list such files and has to watch a folder. Theirs hold what other runs left as well; this one is tidied.
"""
TRAINED = "trained/{dataset}/{method}/seed{seed}"
RECORD = "records/{dataset}/{method}/seed{seed}/{suite}-{profile}.json"
CRAFTED = "crafted/{dataset}/{method}/seed{seed}/{suite}-{profile}.safetensors"
CHALLENGE = "challenges/{dataset}/{method}/seed{seed}/{suite}-{profile}.json"
UNFORESEEN = "unforeseen/{dataset}/{method}/seed{seed}/{unforeseen}-{profile}.json"
CERTIFICATES = "certificates/{dataset}/{method}/seed{seed}/{certificate}-{profile}.json"
SHARD = "shards/{dataset}/{method}/seed{seed}/{suite}-{profile}/{shard}.txt"


def _recognised(template: str, path: str) -> dict[str, str] | None:
    """The wildcards with which a path, or its end, is the template's; None where it is another."""
    pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(template))
    match = re.fullmatch(rf"(?:.*/)?{pattern}", path)
    if match is None or not match["seed"].isdecimal():
        return None
    return match.groupdict()


def _rows(params: Params) -> list[dict[str, str]]:
    """The wildcards of every training of the run."""
    run = params.run
    return [dict(dataset=d, method=m, seed=str(k)) for d in run.datasets for m in run.all_methods for k in run.seeds]


def data_path(dataset: str) -> str:
    """The data set's tensor file."""
    return f"data/{dataset}.safetensors"


def trained(w: Wildcards) -> str:
    """Folder of one training."""
    return TRAINED.format_map(w)


def training_files(w: Wildcards) -> dict[str, str]:
    """What one training leaves, by name."""
    names = ("classifier.safetensors", "generator.safetensors", "train.jsonl", "train.json")
    return {name: f"{trained(w)}/{name}" for name in names}


def training_digests(w: Wildcards) -> dict[str, tuple[str, ...]]:
    """What tells of one training's log, and of its networks."""
    name = f"{w['method']}-{w['seed']}.json"
    networks = ("classifier.safetensors", "generator.safetensors")
    return {
        f"{DIGESTS}/curves/{w['dataset']}/{name}": ("train.jsonl",),
        f"{DIGESTS}/models/{w['dataset']}/{name}": networks,
    }


def record_digest(w: Wildcards) -> str:
    """What tells of one record."""
    return f"{DIGESTS}/records/{w['suite']}-{w['profile']}/{w['dataset']}-{w['method']}-{w['seed']}.json"


def figures_digest(dataset: str) -> str:
    """What tells of the images of a data set's models."""
    return f"{DIGESTS}/figures/{dataset}.json"


def classifier(w: Wildcards) -> str:
    """The classifier of one training."""
    return f"{trained(w)}/classifier.safetensors"


def record_path(w: Wildcards) -> str:
    """The record of one evaluation."""
    return RECORD.format_map(w)


def start_of(params: Params, w: Wildcards) -> dict[str, str]:
    """The classifier that a fine-tuned method starts from, and what tells of its training."""
    start = {**w, "method": params.run.starts[w["method"]]}
    return {"start": classifier(start), "start_training": f"{trained(start)}/train.json"}


def shards_of(params: Params, suite: str) -> list[str]:
    """Names of the jobs that share an evaluation, such as `1-of-4`; none where one job does it all."""
    count = params.evaluation[suite].shards
    return [f"{i}-of-{count}" for i in range(1, count + 1)] if count > 1 else []


def shard_path(w: Wildcards) -> str:
    """The receipt of one of the jobs that share an evaluation."""
    return SHARD.format_map(w)


def crafted_path(w: Wildcards) -> str:
    """A row's adversarial images for the other rows."""
    return CRAFTED.format_map(w)


def crafted_method(path: str) -> str | None:
    """The row that made adversarial images; None for any other path."""
    found = _recognised(CRAFTED, Path(path).as_posix())
    return found["method"] if found else None


def crafted_of(params: Params, w: Wildcards) -> dict[str, str]:
    """Adversarial images of all rows of the run with the same training seed, for one suite and profile."""
    paths = [crafted_path({**w, "method": m}) for m in params.run.all_methods]
    return {path: path for path in paths}


def crafted_digest(w: Wildcards) -> str:
    """What tells of a row's adversarial images."""
    return f"{DIGESTS}/crafted/{w['suite']}-{w['profile']}/{w['dataset']}-{w['seed']}/{w['method']}.json"


def challenge_path(w: Wildcards) -> str:
    """What is left of a record's union after further rounds of attacks."""
    return CHALLENGE.format_map(w)


def challenge_digest(w: Wildcards) -> str:
    """What tells of it."""
    return f"{DIGESTS}/challenges/{w['suite']}-{w['profile']}/{w['dataset']}-{w['method']}-{w['seed']}.json"


def challenges_of(params: Params, suite: str, profile: str) -> dict[str, str]:
    """Paths of all challenges of a suite and profile."""
    paths = [challenge_path({**row, "suite": suite, "profile": profile}) for row in _rows(params)]
    return {path: path for path in paths}


def records_of_space(params: Params, name: str) -> dict[str, str]:
    """Paths of the records of an attack space."""
    space = params.attack_spaces[name]
    paths = [record_path({**row, "suite": space.suite, "profile": p}) for row in _rows(params) for p in space.profiles]
    return {path: path for path in paths}


def records_of_hypothesis(params: Params, name: str) -> dict[str, str]:
    """Paths of the records that a hypothesis is about."""
    entry = params.hypotheses[name]
    methods = {method for pair in entry.pairs for method in (pair.method, pair.against)}
    rows = [row for row in _rows(params) if row["method"] in methods]
    paths = [record_path({**row, "suite": entry.suite, "profile": entry.profile}) for row in rows]
    return {path: path for path in paths}


def tightness_files(w: Wildcards) -> dict[str, str]:
    """Files of the table and the figure of a suite's tightness, by name."""
    return further_files("tightness", f"{w['suite']}-{w['profile']}")


def competitiveness_files(w: Wildcards) -> dict[str, str]:
    """Files of the competitiveness ratios of an attack space, by name."""
    return further_files("competitiveness", w["space"])


def hypothesis_files(w: Wildcards) -> dict[str, str]:
    """Files of the table and the figure of a hypothesis, by name."""
    return further_files("hypothesis", w["hypothesis"])


def certificates_path(w: Wildcards) -> str:
    """What is certified of one classifier."""
    return CERTIFICATES.format_map(w)


def certificates_digest(w: Wildcards) -> str:
    """What tells of it."""
    name = f"{w['dataset']}-{w['method']}-{w['seed']}-{w['profile']}"
    return f"{DIGESTS}/certificates/{w['certificate']}/{name}.json"


def certificates_wildcards(path: str) -> dict[str, str] | None:
    """What the path of a classifier's certificates says of them; None for any other path."""
    return _recognised(CERTIFICATES, Path(path).as_posix())


def certificates_of(params: Params, certificate: str) -> dict[str, str]:
    """Paths of the certificates of all rows of the run, in the balls of all its profiles."""
    paths = [
        certificates_path({**row, "certificate": certificate, "profile": p})
        for row in _rows(params)
        for p in params.run.profiles
    ]
    return {path: path for path in paths}


def certified_files(w: Wildcards) -> dict[str, str]:
    """Files of the table of a certificate, by name."""
    return further_tables("certified", w["certificate"])


def further_tables(kind: str, name: str) -> dict[str, str]:
    """Files, by name, of a table that a run has only where it asks for it."""
    return {f"{kind}.{f}": f"results/tables/{kind}-{name}.{f}" for f in (*FORMATS, "json")}


def further_files(kind: str, name: str) -> dict[str, str]:
    """Files, by name, of such a table and its figure."""
    return {**further_tables(kind, name), **{f"{kind}.{f}": figure_path(f"{kind}-{name}", f) for f in IMAGES}}


def further_digest(kind: str, name: str) -> str:
    """What tells of them; below a folder that is always there, since DVC has one list of dependencies for all runs."""
    return f"{DIGESTS}/further/{kind}-{name}.json"


def further_of(params: Params) -> dict[str, str]:
    """Paths of what the report shows of them: tables in JSON, and figures."""
    names = [f"tightness-{suite}-{profile}" for suite in params.run.challenges for profile in params.run.profiles]
    names += [f"competitiveness-{space}" for space in params.run.attack_spaces]
    names += [f"hypothesis-{name}" for name in params.run.hypotheses]
    paths = [path for name in names for path in (f"results/tables/{name}.json", figure_path(name, "svg"))]
    paths += [f"results/tables/unforeseen-{name}.json" for name in params.run.unforeseen]
    paths += [f"results/tables/certified-{name}.json" for name in params.run.certificates]
    return {path: path for path in paths}


def record_wildcards(path: str) -> dict[str, str] | None:
    """What a record's path says of it; None for any other path."""
    return _recognised(RECORD, Path(path).as_posix())


def trained_wildcards(path: str) -> dict[str, str] | None:
    """What the path of a trained classifier says of it: dataset, method, seed; None for any other path."""
    return _recognised(TRAINED, Path(path).parent.as_posix())


def records_of(params: Params, suite: str | None = None, profile: str | None = None) -> dict[str, str]:
    """Paths of all records of the run, or of one suite and profile."""
    paths = [
        record_path({**row, "suite": s, "profile": p})
        for row in _rows(params)
        for s in params.run.suites
        for p in params.run.profiles
        if suite in (None, s) and profile in (None, p)
    ]
    return {path: path for path in paths}


def unforeseen_path(w: Wildcards) -> str:
    """The record of one classifier under unforeseen attacks."""
    return UNFORESEEN.format_map(w)


def unforeseen_digest(w: Wildcards) -> str:
    """What tells of such a record."""
    return f"{DIGESTS}/unforeseen/{w['unforeseen']}/{w['dataset']}-{w['method']}-{w['seed']}-{w['profile']}.json"


def unforeseen_of(params: Params, name: str) -> dict[str, str]:
    """Paths of all such records of the run for an entry, and of the records of the run's first suite."""
    paths = [
        unforeseen_path({**row, "unforeseen": name, "profile": p}) for row in _rows(params) for p in params.run.profiles
    ]
    return {**{path: path for path in paths}, **records_of(params, params.run.suites[0])}


def unforeseen_table_files(name: str) -> dict[str, str]:
    """Files of the table of an entry, by name."""
    return further_tables("unforeseen", name)


def pseudo_labels(w: Wildcards) -> str:
    """The teacher's labels of the unlabelled images."""
    return f"trained/{w['dataset']}/pseudo_labels/seed{w['seed']}.safetensors"


def logs_of(params: Params) -> dict[str, str]:
    """Paths of all training logs of the run."""
    paths = [f"{trained(row)}/train.jsonl" for row in _rows(params)]
    return {path: path for path in paths}


def drawn_methods(params: Params) -> list[str]:
    """The methods of `figures.methods` that the run trains."""
    return [m for m in params.figures.methods if m in params.run.all_methods]


def models_of(params: Params, dataset: str) -> dict[str, str]:
    """Paths of what the figures of models load: classifiers and generators of the first seed."""
    folders = [
        trained(dict(dataset=dataset, method=m, seed=str(k))) for m in drawn_methods(params) for k in _first(params)
    ]
    paths = [f"{folder}/{name}.safetensors" for folder in folders for name in ("classifier", "generator")]
    return {path: path for path in paths}


def _first(params: Params) -> list[int]:
    return params.run.seeds[:1]


def table_files() -> dict[str, str]:
    """Files of all tables, by name."""
    tables = {f"{n}.{f}": f"results/tables/{n}.{f}" for n in TABLES for f in FORMATS}
    return {**tables, "metrics.json": "results/tables/metrics.json"}


def figure_files() -> dict[str, str]:
    """Files of the figures of records and logs, by name."""
    figures = {f"{n}.{f}": figure_path(n, f) for n in FIGURES for f in IMAGES}
    return {**figures, "training_curves.csv": "results/plots/training_curves.csv"}


def model_figure_files(dataset: str) -> dict[str, str]:
    """Files of the figures of a data set's models, by name."""
    return {**model_images(dataset), "over_radius.csv": f"results/plots/over_radius-{dataset}.csv"}


def model_images(dataset: str) -> dict[str, str]:
    """The images among them."""
    return {f"{n}.{f}": figure_path(n, f, dataset) for n in MODEL_FIGURES for f in IMAGES}


def figure_path(name: str, form: str, dataset: str | None = None) -> str:
    """A figure's file; those of models have one a data set."""
    return f"results/figures/{name}.{form}" if dataset is None else f"results/figures/{name}-{dataset}.{form}"


def images_of(params: Params) -> dict[str, str]:
    """Paths of all figures of the run."""
    paths = [figure_path(n, f) for n in FIGURES for f in IMAGES]
    paths += [figure_path(n, f, d) for d in params.run.datasets for n in MODEL_FIGURES for f in IMAGES]
    return {path: path for path in paths}
