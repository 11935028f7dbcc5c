"""The sections of params.yaml: every number of the pipeline, typed, with its unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from mngac.params.attack_spaces import AttackSpace
from mngac.params.certificates import CertificateConfig
from mngac.params.challenge import ChallengeParams
from mngac.params.errors import ParamsError
from mngac.params.hypotheses import Hypothesis
from mngac.params.inheritance import Heir
from mngac.params.training import OwnTraining, Training, Trainings
from mngac.params.types import (
    NORMS,
    UNSTATED,
    Closed,
    Name,
    Norm,
    Place,
    Pool,
    Positive,
    Ratio,
    Scalar,
    Seed,
    Share,
    at_most_1,
)
from mngac.params.unforeseen import Unforeseen


class Tuned(Closed):
    """A method that goes on from the classifier of another, of the same data set and seed."""

    method: Name
    """What is trained, with its own budget: a name of `methods`."""
    start: Name
    """Whose classifier it starts from: a method of `run.methods` or `run.semi_methods`."""


class Run(Closed):
    """What one run covers, and on what machine."""

    datasets: Annotated[list[Name], Field(min_length=1)]
    """Data sets to prepare, train on and evaluate: names of `data`."""
    methods: Annotated[list[Name], Field(min_length=1)]
    """Methods trained on labelled images alone: names of `methods`. At least one, since a teacher is one of them."""
    semi_methods: list[Name]
    """Methods trained on labelled and pseudo-labelled images: names of `methods`."""
    tuned: list[Tuned]
    """Methods that fine-tune the classifier of another row."""
    teachers: Annotated[list[Name], Field(max_length=1)]
    """The method that labels the unlabelled images; empty without semi_methods."""
    seeds: Annotated[list[Seed], Field(min_length=1)]
    """One training a seed, for each data set and method."""
    suites: Annotated[list[Name], Field(min_length=1)]
    """Attack suites: names of `evaluation`. The first fills metrics.json; tables have a part a suite."""
    profiles: Annotated[list[Name], Field(min_length=1)]
    """Radii that the evaluation uses: names of `radii`."""
    challenges: list[Name]
    """Suites among `suites` whose unions are challenged, as the section `challenge` says."""
    unforeseen: list[Name]
    """Unforeseen attacks, in tables of their own: names of `unforeseen`."""
    attack_spaces: list[Name]
    """Attacks that competitiveness ratios are taken over: names of `attack_spaces`."""
    hypotheses: list[Name]
    """Pairs of methods that are tested against each other: names of `hypotheses`."""
    certificates: list[Name]
    """Certificates that bound each classifier from below: names of `certificates`."""
    split: Literal["validation", "test"]
    """Part of the data that is evaluated: validation to choose, test to report."""
    mixed: bool
    """true: records of different evaluation code may share a table, whose caption then says so."""
    device: Literal["auto", "cpu", "cuda"]
    """cpu, cuda: planned and restored anywhere; what has to be computed on cuda needs a GPU there. auto: cuda where a
    driver and a GPU are found, else cpu: for one machine, since keys then depend on where they are made."""
    threads: Annotated[int, Field(gt=0, le=1024)]
    """Threads of one stage. Results are byte-identical only for one thread count."""
    deterministic: bool
    """true: on CUDA the algorithms that give the same bits twice, where there are any, at some cost in speed; the CPU's
    always do."""

    @property
    def all_methods(self) -> list[str]:
        """`methods`, `semi_methods` and those of `tuned` together: every method that is evaluated."""
        return [*self.methods, *self.semi_methods, *self.tuned_methods]

    @property
    def tuned_methods(self) -> list[str]:
        """The methods of `tuned`."""
        return [tuned.method for tuned in self.tuned]

    @property
    def starts(self) -> dict[str, str]:
        """Whose classifier each of them starts from."""
        return {tuned.method: tuned.start for tuned in self.tuned}


class DataConfig(Heir):
    """Where a data set comes from, and which of its images are held out."""

    loader: Annotated[str, Field(json_schema_extra={"examples": ["digits", "cifar10", "folder"]})]
    """A loader: a file of mngac/data/loaders, or package.module:function of one's own."""
    source: Place | None = None
    """A folder or archive to read; null: what the loader embeds or downloads."""
    validation: Share
    """Share of the training images held out to choose with."""
    unlabelled: Pool
    """Images whose labels the semi-supervised methods do not see: a share of the training images, `extra` (those that
    svhn brings along), or the path of a folder, archive or .npy file of further images."""
    additional: Place | None = None
    """An .npz file of further training images with labels, as `image` uint8 (n, height, width, channels) and `label`
    integers (n,): a method sees them where its training's `additional_share` says so; null: none."""
    classes: Positive | None = None
    """Number of classes that the source must have; null: as many as are found."""
    size: Annotated[int, Field(gt=0, le=8192)] | None = None
    """Height and width in pixels that images are resized to; null: they must be square and alike."""
    reduce: Annotated[int, Field(ge=2, le=64)] | None = None
    """Side in pixels of the squares that are averaged to one, after all else that is stated: a divisor of height and
    width; null: none are. What `additional` and `unforeseen` bring along has the averaged size already."""
    train_images: Positive | None = None
    """Training images kept after holding out, drawn evenly over the classes; null: all."""
    test_images: Positive | None = None
    """Test images kept, drawn evenly over the classes; null: all."""

    @property
    def drawn_parts(self) -> int:
        """How many parts the training images are divided into."""
        return 1 + (self.validation > 0) + (self._share > 0)

    @property
    def _share(self) -> float:
        return 0.0 if isinstance(self.unlabelled, str) else self.unlabelled

    @property
    def held_out(self) -> str:
        """What of the source's training images is not trained on, in words."""
        shares = {"for validation": self.validation, "without labels": self._share}
        parts = [f"{100 * share:g} % {purpose}" for purpose, share in shares.items() if share]
        text = f"held out of its training images: {', '.join(parts)}" if parts else "nothing held out of training"
        return text + (f"; of the rest {self.train_images:,} used" if self.train_images else "")


class Radii(Heir):
    """Radius of each norm's ball, on images in [0, 1]."""

    linf: Annotated[Ratio, AfterValidator(at_most_1)]
    """l_inf radius, at most 1."""
    l1: Ratio
    """l_1 radius."""
    l2: Ratio
    """l_2 radius."""


class PseudoLabel(Closed):
    """Who labels the unlabelled images, and when a teacher is good enough; `run.teachers` names it."""

    labels: Literal["teacher", "data"]
    """teacher: the teacher of the same seed; data: the labels that the images bring along (a pickle of Carmon et al.'s,
    or the true ones of SVHN's extra), the teacher being measured all the same."""
    min_accuracy: Annotated[float, Field(ge=0, le=1)]
    """Validation accuracy under which a teacher is refused."""


class MethodConfig(Heir):
    """Keys of a method's entry. An entry states exactly the keys that its kind reads."""

    kind: str
    """A file of mngac/methods, or package.module:Class of one's own."""
    norms: Annotated[list[Norm], Field(min_length=1)] | None = None
    """Norms that it trains against."""
    attack_mode: Literal["train", "eval"] | None = None
    """Batch norm during the attack: the batch's statistics or the running ones; the running ones never move."""
    beta: Annotated[float, Field(ge=0)] | None = None
    """Weight of the consistency term, or of another that is added to the cross-entropy."""
    projection: Annotated[float, Field(ge=0, le=1)] | None = None
    """Weight of clean training in RAMP's gradient projection; 0: none."""
    noise: Literal["none", "gaussian"] | None = None
    """Third view of the consistency term: none, or Gaussian noise in the ball."""
    step_sizes: dict[Norm, Ratio] | None = None
    """Step sizes as shares of the radius, in place of `training.attack`'s."""
    start_std: Annotated[float, Field(gt=0)] | None = None
    """Standard deviation of the attack's Gaussian start, on images in [0, 1]."""
    checkpoint: Place | None = None
    """Path of a file of weights."""
    model: str | None = None
    """Its classifier, in place of `training`'s."""
    momentum: Annotated[float, Field(ge=0, lt=1)] | None = None
    """How much of a running training accuracy is kept at each step that measures it."""
    input_dependent: bool | None = None
    """Whether the noise generator sees the image (paper) or noise alone (the authors' code)."""
    grid: Annotated[int, Field(gt=0, le=20)] | None = None
    """Steps in which the weight of each classifier of a soup runs from 0 to 1."""
    suite: Name | None = None
    """Suite of `evaluation` under which it compares classifiers on validation images."""
    training: OwnTraining | None = None  # type: ignore[valid-type]
    """What holds for its training in place of the data set's `training`: any of its keys, on every data set."""
    options: dict[Name, Scalar] | None = None
    """Keys of one's own method that have no name here, read as `self.config.options["key"]`."""


class AttackConfig(Closed):
    """One attack of a suite. An entry states exactly the keys that its adapter reads, but for name and norm."""

    attack: str
    """A file of mngac/evaluation/attacks, or package.module:function of one's own."""
    norm: Norm
    """Norm of the ball."""
    steps: Positive = UNSTATED
    """Gradient steps."""
    step_size: Ratio = UNSTATED
    """Length of a step in the norm, as a share of the radius."""
    top_share: Ratio = UNSTATED
    """Share of coordinates that an l_1 step moves, rounded up to whole coordinates."""
    restarts: Positive = UNSTATED
    """Random restarts."""
    targets: Positive = UNSTATED
    """Target classes of a targeted attack; at most the number of classes less one, and then not standard."""
    queries: Positive = UNSTATED
    """Forward passes of a black-box attack."""
    binary_search_steps: Positive = UNSTATED
    """Values tried for the constant that weighs misclassification against distance."""
    repeats: Positive = UNSTATED
    """Random draws."""
    options: dict[Name, Scalar] = UNSTATED
    """Keys of one's own attack that have no name here, read as `config.options["key"]`."""


class Suite(Closed):
    """Attacks that are run together."""

    attacks: Annotated[list[AttackConfig], Field(min_length=1)]
    """In the order in which they run: cheapest first, so that costly ones see few images."""
    mode: Literal["survivors", "all"] = "survivors"
    """survivors: an attack sees the images that its norm's earlier attacks left correct; all: then the others too, so
    that its column is complete. Worst cases and union are the same in both."""
    processes: Positive = 1
    """Worker processes that share the batches on the CPU, each with `run.threads`, no more than the cores hold; a CUDA
    device is one worker. Results do not depend on it."""
    compile: bool = False
    """true: attacks ask a copy of the classifier that went through torch.compile, if there is a compiler; what they
    find is judged on the classifier itself."""
    batch_size: Positive
    """Images attacked at a time."""
    block: Positive | None = None
    """Images of a block, neighbours in the split: what is left of them is packed anew within the block, whoever attacks
    the others. null: all images are one block, as for the original AutoAttack."""
    shards: Annotated[int, Field(gt=0, le=1000)] = 1
    """Jobs that share the blocks, under Snakemake; more than one need a `block`. Results do not depend on it."""
    n: Positive | None
    """Images evaluated, the first ones of the split; null: all."""
    seed: Seed
    """Seed of the attacks' randomness."""

    @property
    def norms(self) -> list[Norm]:
        """Those that are attacked, in the order of the attacks."""
        return list(dict.fromkeys(attack.norm for attack in self.attacks))

    def within(self, norms: Sequence[Norm]) -> Suite:
        """The suite with its attacks on some norms; without any, where it attacks others alone."""
        return self.model_copy(update={"attacks": [attack for attack in self.attacks if attack.norm in norms]})


Rounds = list[tuple[str, Suite]]
"""Names of suites, and the suites with their seeds, in the order in which they attack what is left of a union."""


class FigureParams(Closed):
    """What the figures of models look at: few images, so that they cost little beside a training."""

    methods: list[Name]
    """Methods side by side; those that the run does not train are left out, and named."""
    images: Positive
    """Images of `run.split`, the first ones, for robust accuracy over radius and for features."""
    steps: Positive
    """Steps of APGD in every figure."""
    radius_factors: Annotated[list[Annotated[float, Field(ge=0)]], Field(min_length=2)]
    """Multiples of each norm's radius, rising."""
    planes: Positive
    """Images whose decision regions are shown."""
    plane_span: Annotated[float, Field(gt=0)]
    """Half the width of a plane of decision regions, in l_2 radii."""
    grid: Annotated[int, Field(ge=2)]
    """Points on a side of a plane of decision regions."""
    classes: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=3, max_length=3)]
    """Numbers of the three classes whose features are shown; instead of those that a data set has not, its first."""
    surface_images: Positive
    """Images over which a loss landscape is a mean."""
    surface_grid: Annotated[int, Field(ge=2)]
    """Points on a side of a loss landscape."""
    panel_images: Positive
    """Images whose perturbations are shown."""


Shown = Annotated[list[Name], Field(min_length=1)]


class TableParams(Closed):
    """Methods that the tables show, in this order, and those that the others are held against: names of `methods`.

    The table `all` shows the methods of the run.
    """

    reference: Name
    """Method against whose union p is computed; figures draw it in black."""
    baseline: Name
    """Method whose cost of training is the unit of the others'."""
    intervals: bool
    """true: Markdown shows every column's interval, and the images seen; false: the union's alone, in 100 columns. CSV,
    LaTeX and the report have all of them."""
    single_perturbation: Shown
    """Against methods for one perturbation."""
    multi_perturbation: Shown
    """Against methods for several perturbations."""
    semi_supervised: Shown
    """With pseudo-labelled images."""
    components: Shown
    """Components of MNG-AC, one added at a time; the figure of that name shows the same."""
    motivation: Shown
    """Trained on one norm, attacked in all."""
    beyond: Shown
    """Newer than the paper, and what they are held against; those of the run alone are shown."""


class Params(Closed):
    """The whole of params.yaml."""

    run: Run
    """What is trained and evaluated, how often, on what machine."""
    data: dict[Name, DataConfig]
    """Data sets, by a name of one's choice that names their files too."""
    radii: dict[Name, dict[Name, Radii]]
    """radii.<profile>.<dataset>"""
    training: Trainings
    """Model, budget, optimizer and attacks of a training, by data set."""
    pseudo_label: PseudoLabel
    """Labels of the unlabelled images, for `run.semi_methods`."""
    methods: dict[Name, MethodConfig]
    """Methods, by a name of one's choice: one kind may stand in several entries."""
    evaluation: dict[Name, Suite]
    """Attack suites, by a name of one's choice that names their records too."""
    challenge: ChallengeParams
    """How hard the unions of `run.challenges` are tried again."""
    unforeseen: dict[Name, Unforeseen]
    """Sets of attacks that no method trains against, by a name of one's choice that names their records too."""
    attack_spaces: dict[Name, AttackSpace]
    """Attacks of a competitiveness ratio, by a name of one's choice that names its table and figure."""
    hypotheses: dict[Name, Hypothesis]
    """Pairs of methods that are tested, by a name of one's choice that names their table and figure."""
    certificates: dict[Name, CertificateConfig]
    """Lower bounds of robust accuracy, by a name of one's choice that names their files and tables too."""
    tables: TableParams
    """What tables show, and against what."""
    figures: FigureParams
    """What figures of classifiers look at."""

    def training_for(self, dataset: str, method: str | None = None) -> Training:
        """The training of a data set, or that of a method on it, whose entry may state values of its own."""
        return self.training.of(dataset, self.methods[method].training if method else None)

    def norms_of(self, method: str) -> list[Norm]:
        """The norms that a method trains on, and those of the method whose classifier it starts from."""
        start = self.run.starts.get(method)
        entries = [self.methods[name] for name in ([start] if start else []) + [method]]
        return [norm for norm in NORMS if any(norm in (entry.norms or []) for entry in entries)]

    def model_for(self, dataset: str, method: str) -> str:
        """The model that a method trains on a data set: its entry's own, or `training`'s."""
        return self.methods[method].model or self.training_for(dataset, method).model

    def rounds(self, name: str) -> Rounds:
        """What challenges the union of a suite: itself with further seeds, then the opinions.

        Only the norms that the suite itself attacks are attacked; an opinion that attacks none of them is left out.
        """
        own = self.evaluation[name]
        again = [(name, own.model_copy(update={"seed": own.seed + k})) for k in range(1, self.challenge.attack_seeds)]
        others = [(other, self.evaluation[other].within(own.norms)) for other in self.challenge.opinions]
        return again + [(other, suite) for other, suite in others if other != name and suite.attacks]

    def shown_in(self, table: str) -> list[str]:
        """The methods of a table that the run has, in the table's order."""
        shown = self.run.all_methods if table == "all" else getattr(self.tables, table)
        return [method for method in shown if method in self.run.all_methods]

    def radii_for(self, profile: str, dataset: str) -> Radii:
        """Radii of a profile on a data set."""
        try:
            return self.radii[profile][dataset]
        except KeyError:
            raise ParamsError(f"radii.{profile}.{dataset}: missing; allowed: linf, l1 and l2 radii") from None
