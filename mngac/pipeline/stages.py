"""The stages of the DAG: what each reads, makes, watches and runs.

Jobs, keys and the command line are derived from them. The Snakefile and dvc.yaml say the same in their engines' words;
tests/pipeline/test_one_dag.py expands both and compares every job. Starts without pydantic and yaml.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mngac.pipeline import code, paths, values
from mngac.pipeline.paths import Wildcards

if TYPE_CHECKING:
    from mngac.params.sections import Params


@dataclass(frozen=True)
class Stage:
    """One stage. Callables take the parameters and the job's wildcards."""

    name: str
    help: str
    """What it does, as the command line says it."""
    wildcards: tuple[str, ...]
    watches: tuple[str, ...]
    """Paths of params.yaml that values, inputs and outputs come from: what DVC watches."""
    values: Callable[[Params, Wildcards], dict[str, Any]]
    """The resolved values that the job uses: what the key holds, and what Snakemake watches."""
    code: Callable[[Params, Wildcards], list[str]]
    """Modules whose code the job runs, with all that they import."""
    inputs: Callable[[Params, Wildcards], dict[str, str]]
    """Workspace paths by name."""
    outputs: Callable[[Params, Wildcards], dict[str, str]]
    """Workspace paths by name."""
    run: str
    """module:function that makes the outputs."""
    methods: str = "all_methods"
    """The list of `run` that the wildcard `method` goes through."""
    suites: str = "suites"
    """The list of `run` that the wildcard `suite` goes through."""
    notes: tuple[str, ...] = ()
    """Names of inputs that are read, but are no part of the key."""
    told: dict[str, str] = field(default_factory=dict)
    """Of inputs that hold what varies between identical runs, such as times: module:function (path) -> the digest of
    the rest, which is what the key has of them; by the input's name."""
    shards: Callable[[Params, Wildcards], dict[str, str]] = lambda p, w: {}
    """Workspace paths by name: receipts of jobs that share its work, which Snakemake waits for."""
    digests: Callable[[Wildcards], dict[str, tuple[str, ...]]] = lambda w: {}
    """Workspace paths of small files with the digests of the outputs of these names: mngac/pipeline/digests.py."""
    collects: bool = False
    """Whether it reads files of many jobs, and so, under DVC, depends on folders of such files."""
    shares: str = ""
    """The stage whose work its jobs share, so that Snakemake can run them at once; DVC runs one job after another. What
    they find lies in the cache, in parts; what they make is a receipt, and is not kept."""
    settled: str = ""
    """Of a stage that shares: module:function (job, cache) -> whether nothing is left to do; asked without torch."""
    computes: bool = False
    """Whether it runs torch, on the run's device with its threads."""
    processes: Callable[[Params, Wildcards], int] = lambda p, w: 1
    """How many processes share the job's work on the CPU, each with the run's threads."""
    packages: tuple[str, ...] = ()
    """Packages whose version is a part of the key, beside torch, of a job whose code imports them."""


TRAINING = ("dataset", "method", "seed")
MACHINE = ("run.device", "run.threads", "run.deterministic")
# Entries of these may say `like` another: what a job uses of one entry may stand in any other of its section.
RESOLVED = ("training", "radii", "methods")
METHODS = ("methods", "semi_methods", "tuned")
OF_ROWS = ("datasets", *METHODS, "seeds", "mixed")
OF_UNFORESEEN_TABLE = ("datasets", *METHODS, "seeds", "suites", "profiles", "mixed")
OF_MODEL_FIGURES = (*METHODS, "seeds", "profiles", "split")

DATA = Stage(
    "data",
    "prepare a data set as one tensor file",
    ("dataset",),
    watches=("data",),
    values=values.data,
    code=code.data,
    inputs=lambda p, w: {},
    outputs=lambda p, w: {"data": paths.data_path(w["dataset"])},
    run="mngac.data.prepare:run",
)
TRAIN = Stage(
    "train",
    "train a classifier",
    TRAINING,
    methods="methods",
    watches=("data", *RESOLVED, "evaluation", *MACHINE),
    values=values.train,
    code=code.train,
    inputs=lambda p, w: {"data": paths.data_path(w["dataset"])},
    outputs=lambda p, w: paths.training_files(w),
    digests=paths.training_digests,
    run="mngac.training.stage:run",
    computes=True,
)
PSEUDO_LABEL = Stage(
    "pseudo_label",
    "label the unlabelled images with a trained method",
    TRAINING,
    methods="teachers",
    watches=("pseudo_label", *MACHINE),
    values=lambda p, w: {"pseudo_label": p.pseudo_label.model_dump()},
    code=code.pseudo_label,
    inputs=lambda p, w: {"data": paths.data_path(w["dataset"]), "teacher": paths.classifier(w)},
    outputs=lambda p, w: {"labels": paths.pseudo_labels(w)},
    run="mngac.data.pseudo_labels:run",
    computes=True,
)
TRAIN_SEMI = replace(
    TRAIN,
    name="train_semi",
    help="train a classifier with pseudo-labelled images too",
    methods="semi_methods",
    values=values.train_semi,
    inputs=lambda p, w: {"data": paths.data_path(w["dataset"]), "pseudo_labels": paths.pseudo_labels(w)},
)
TRAIN_TUNED = replace(
    TRAIN,
    name="train_tuned",
    help="fine-tune the classifier of another method",
    methods="tuned_methods",
    watches=(*TRAIN.watches, "run.tuned"),
    values=values.train_tuned,
    code=code.train_tuned,
    inputs=lambda p, w: {"data": paths.data_path(w["dataset"]), **paths.start_of(p, w)},
    told={"start_training": "mngac.results.costs:repeating_digest"},
)
EVALUATE = Stage(
    "evaluate",
    "attack a classifier and write its record",
    (*TRAINING, "suite", "profile"),
    watches=("evaluation.{suite}", "radii", "run.split", *MACHINE),
    values=values.evaluate,
    code=code.evaluate,
    inputs=lambda p, w: {
        "data": paths.data_path(w["dataset"]),
        "classifier": paths.classifier(w),
        "training": f"{paths.trained(w)}/train.json",
    },
    outputs=lambda p, w: {"record": paths.record_path(w)},
    digests=lambda w: {paths.record_digest(w): ("record",)},
    run="mngac.evaluation.stage:run",
    notes=("training",),
    shards=lambda p, w: {s: paths.shard_path({**w, "shard": s}) for s in paths.shards_of(p, w["suite"])},
    computes=True,
    processes=lambda p, w: p.evaluation[w["suite"]].processes,
    packages=("pyautoattack", "foolbox"),
)
EVALUATE_SHARD = replace(
    EVALUATE,
    name="evaluate_shard",
    help="attack a share of an evaluation's blocks of images",
    wildcards=(*EVALUATE.wildcards, "shard"),
    outputs=lambda p, w: {"receipt": paths.shard_path(w)},
    digests=lambda w: {},
    run="mngac.evaluation.shards:run",
    shards=lambda p, w: {},
    shares="evaluate",
    settled="mngac.pipeline.blocks:settled",
)
OF_CHALLENGES = tuple(f"run.{key}" for key in METHODS)
CRAFT = replace(
    EVALUATE,
    name="craft",
    help="move images adversarially, to be tried on the other methods",
    suites="challenges",
    watches=("challenge.transfer_steps", "evaluation.{suite}", "radii", "run.split", *MACHINE),
    values=values.craft,
    code=code.craft,
    inputs=lambda p, w: {"data": paths.data_path(w["dataset"]), "classifier": paths.classifier(w)},
    outputs=lambda p, w: {"images": paths.crafted_path(w)},
    digests=lambda w: {paths.crafted_digest(w): ("images",)},
    run="mngac.evaluation.challenge_stage:craft",
    notes=(),
    shards=lambda p, w: {},
    processes=lambda p, w: 1,
    packages=(),
)
CHALLENGE = replace(
    EVALUATE,
    name="challenge",
    help="attack what a record's union left with other seeds, suites and images",
    suites="challenges",
    watches=("challenge", "evaluation", "radii", "run.split", *OF_CHALLENGES, *MACHINE),
    values=values.challenge,
    code=code.challenge,
    inputs=lambda p, w: {
        "data": paths.data_path(w["dataset"]),
        "classifier": paths.classifier(w),
        "record": paths.record_path(w),
        **paths.crafted_of(p, w),
    },
    outputs=lambda p, w: {"challenge": paths.challenge_path(w)},
    digests=lambda w: {paths.challenge_digest(w): ("challenge",)},
    run="mngac.evaluation.challenge_stage:run",
    notes=(),
    told={"record": "mngac.results.records:outcomes_digest"},
    shards=lambda p, w: {},
    processes=lambda p, w: max((suite.processes for _, suite in p.rounds(w["suite"])), default=1),
    collects=True,
)
TIGHTNESS = Stage(
    "tightness",
    "show how far a suite's unions fell when they were challenged",
    ("suite", "profile"),
    suites="challenges",
    watches=("run", "tables"),
    values=values.rows,
    code=lambda p, w: ["mngac.figures.tightness"],
    inputs=lambda p, w: paths.challenges_of(p, w["suite"], w["profile"]),
    outputs=lambda p, w: paths.tightness_files(w),
    digests=lambda w: {
        paths.further_digest("tightness", f"{w['suite']}-{w['profile']}"): ("tightness.json", "tightness.svg")
    },
    run="mngac.figures.tightness:run",
    collects=True,
    packages=("matplotlib",),
)
COMPETITIVENESS = Stage(
    "competitiveness",
    "hold each method against the specialists of an attack space",
    ("space",),
    watches=("attack_spaces.{space}", *(f"run.{key}" for key in OF_ROWS), "tables.reference"),
    values=values.competitiveness,
    code=lambda p, w: ["mngac.figures.competitiveness"],
    inputs=lambda p, w: paths.records_of_space(p, w["space"]),
    outputs=lambda p, w: paths.competitiveness_files(w),
    digests=lambda w: {
        paths.further_digest("competitiveness", w["space"]): ("competitiveness.json", "competitiveness.svg")
    },
    run="mngac.figures.competitiveness:run",
    collects=True,
    packages=("matplotlib", "numpy"),
)
HYPOTHESIS = Stage(
    "hypothesis",
    "test pairs of methods against each other, seed by seed",
    ("hypothesis",),
    watches=("hypotheses.{hypothesis}", *(f"run.{key}" for key in OF_ROWS)),
    values=values.hypothesis,
    code=lambda p, w: ["mngac.figures.hypothesis"],
    inputs=lambda p, w: paths.records_of_hypothesis(p, w["hypothesis"]),
    outputs=lambda p, w: paths.hypothesis_files(w),
    digests=lambda w: {paths.further_digest("hypothesis", w["hypothesis"]): ("hypothesis.json", "hypothesis.svg")},
    run="mngac.figures.hypothesis:run",
    collects=True,
    packages=("matplotlib",),
)
UNFORESEEN = Stage(
    "unforeseen",
    "attack a classifier as no method trains for",
    (*TRAINING, "unforeseen", "profile"),
    watches=("unforeseen.{unforeseen}", "radii", "run.split", *MACHINE),
    values=values.unforeseen,
    code=code.unforeseen,
    inputs=lambda p, w: {"data": paths.data_path(w["dataset"]), "classifier": paths.classifier(w)},
    outputs=lambda p, w: {"record": paths.unforeseen_path(w)},
    digests=lambda w: {paths.unforeseen_digest(w): ("record",)},
    run="mngac.unforeseen.stage:run",
    computes=True,
    packages=("foolbox",),
)
UNFORESEEN_TABLE = Stage(
    "unforeseen_table",
    "make the table of unforeseen attacks",
    ("unforeseen",),
    watches=(*(f"run.{key}" for key in OF_UNFORESEEN_TABLE),),
    values=values.unforeseen_table,
    code=lambda p, w: ["mngac.results.unforeseen_table"],
    inputs=lambda p, w: paths.unforeseen_of(p, w["unforeseen"]),
    outputs=lambda p, w: paths.unforeseen_table_files(w["unforeseen"]),
    digests=lambda w: {paths.further_digest("unforeseen", w["unforeseen"]): ("unforeseen.json",)},
    run="mngac.results.unforeseen_table:run",
    collects=True,
)
CERTIFY = Stage(
    "certify",
    "bound a classifier's robust accuracy from below, and from above in the same balls",
    (*TRAINING, "certificate", "profile"),
    watches=("certificates.{certificate}", "evaluation", "radii", "run.suites", "run.split", *MACHINE),
    values=values.certify,
    code=code.certify,
    inputs=lambda p, w: {"data": paths.data_path(w["dataset"]), "classifier": paths.classifier(w)},
    outputs=lambda p, w: {"certificates": paths.certificates_path(w)},
    digests=lambda w: {paths.certificates_digest(w): ("certificates",)},
    run="mngac.certificates.stage:run",
    computes=True,
    processes=lambda p, w: p.evaluation[p.run.suites[0]].processes,
    packages=EVALUATE.packages,
)
CERTIFIED_TABLE = Stage(
    "certified_table",
    "make the table of a certificate",
    ("certificate",),
    watches=tuple(f"run.{key}" for key in ("datasets", *METHODS, "seeds", "profiles")),
    values=values.certified_table,
    code=lambda p, w: ["mngac.results.certified_table"],
    inputs=lambda p, w: paths.certificates_of(p, w["certificate"]),
    outputs=lambda p, w: paths.certified_files(w),
    digests=lambda w: {paths.further_digest("certified", w["certificate"]): ("certified.json",)},
    run="mngac.results.certified_table:run",
    collects=True,
)
METRICS = Stage(
    "metrics",
    "collect the records of one suite and profile",
    ("suite", "profile"),
    watches=("run", "tables"),
    values=values.rows,
    code=lambda p, w: ["mngac.results.tables"],
    inputs=lambda p, w: paths.records_of(p, w["suite"], w["profile"]),
    outputs=lambda p, w: {"metrics": f"results/tables/metrics-{w['suite']}-{w['profile']}.json"},
    run="mngac.results.tables:run_metrics",
    collects=True,
)
TABLES = Stage(
    "tables",
    "make the tables",
    (),
    watches=("run", "tables"),
    values=values.rows,
    code=lambda p, w: ["mngac.results.tables"],
    inputs=lambda p, w: paths.records_of(p),
    outputs=lambda p, w: paths.table_files(),
    run="mngac.results.tables:run_tables",
    collects=True,
)
FIGURES = Stage(
    "figures",
    "draw the figures of records and training logs",
    (),
    watches=("run", "tables", "methods"),
    values=values.figures,
    code=lambda p, w: ["mngac.figures.from_records"],
    inputs=lambda p, w: {**paths.records_of(p), **paths.logs_of(p)},
    outputs=lambda p, w: paths.figure_files(),
    run="mngac.figures.from_records:run",
    collects=True,
    packages=("matplotlib",),
)
MODEL_FIGURES = Stage(
    "model_figures",
    "draw the figures that look into classifiers",
    ("dataset",),
    watches=("figures", "radii", "tables.reference", *(f"run.{key}" for key in OF_MODEL_FIGURES), *MACHINE),
    values=values.model_figures,
    code=code.model_figures,
    inputs=lambda p, w: {"data": paths.data_path(w["dataset"]), **paths.models_of(p, w["dataset"])},
    outputs=lambda p, w: paths.model_figure_files(w["dataset"]),
    digests=lambda w: {paths.figures_digest(w["dataset"]): tuple(paths.model_images(w["dataset"]))},
    run="mngac.figures.from_models:run",
    collects=True,
    computes=True,
    packages=("matplotlib",),
)
REPORT = Stage(
    "report",
    "write results/report.html",
    (),
    watches=("run", "data", "radii", "training", "pseudo_label", "methods", "evaluation", "tables", "figures"),
    values=values.report,
    code=lambda p, w: ["mngac.report.page"],
    inputs=lambda p, w: {**paths.records_of(p), **paths.images_of(p), **paths.further_of(p)},
    outputs=lambda p, w: {"report": "results/report.html"},
    run="mngac.report.page:run",
    collects=True,
)

IN_ORDER = (
    DATA,
    TRAIN,
    PSEUDO_LABEL,
    TRAIN_SEMI,
    TRAIN_TUNED,
    EVALUATE_SHARD,
    EVALUATE,
    CRAFT,
    CHALLENGE,
    TIGHTNESS,
    COMPETITIVENESS,
    HYPOTHESIS,
    UNFORESEEN,
    UNFORESEEN_TABLE,
    CERTIFY,
    CERTIFIED_TABLE,
    METRICS,
    TABLES,
    FIGURES,
    MODEL_FIGURES,
    REPORT,
)
STAGES = {stage.name: stage for stage in IN_ORDER}
"""By name, each after those whose outputs it reads."""
