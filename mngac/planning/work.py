"""The work of a job: operations, passes, and in which precision; None where it cannot be known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import comb

from mngac.params.sections import AttackConfig, MethodConfig, Params
from mngac.params.training import Training
from mngac.pipeline.jobs import TRAININGS, Job
from mngac.planning.attacks import ON_THE_HOST, at_most
from mngac.planning.images import Images
from mngac.planning.networks import Network, network, noise_generator
from mngac.planning.standing import ASSUMED, Known
from mngac.planning.steps import Step, diagnostics, monitor, of_a_step
from mngac.planning.unforeseen import SEARCHES, passes_of

EVALUATIONS = ("evaluate", "evaluate_shard", "craft", "challenge")
TF32 = "tf32"
"""What attacks of evaluations run in on CUDA, by torch's default (docs/gpu.md)."""


class Unknown(Exception):  # noqa: N818
    """Why the work of a job cannot be known, in a few words."""


@dataclass(frozen=True)
class Work:
    """What a job computes."""

    flops: float
    """Operations, as expected."""
    most: float
    """Operations at most: every image withstands every attack."""
    forward: float
    """Operations of one image's forward pass, the unit of forward-equivalents."""
    precision: str
    counted: float = 0.0
    """Of a training's operations those that its train.json will count as `flops`."""
    on_the_host: bool = False
    """Whether its time also goes into a loop on the processor, which is no pass."""

    @property
    def passes(self) -> float:
        """Forward-equivalents: forward passes of one image that the operations are worth."""
        return self.flops / self.forward if self.forward else 0.0


class Worker:
    """Foretells the work of a run's jobs.

    Args:
        params: the run's.
        images: of each data set; None where they are not known.
        known: what records say of evaluations.
        device: `cpu` or `cuda`.
    """

    def __init__(self, params: Params, images: dict[str, Images | None], known: Known, device: str):
        self.params, self.images, self.known, self.device = params, images, known, device
        self._of: dict[str, Callable[[Job], Work]] = {
            **dict.fromkeys(TRAININGS, self._training),
            "pseudo_label": self._labels,
            "evaluate": self._evaluation,
            "evaluate_shard": self._attacks,
            "craft": self._crafting,
            "challenge": self._challenge,
            "unforeseen": self._unforeseen,
            "certify": self._certificates,
        }

    def of(self, job: Job) -> Work | None:
        """The job's work; None for a stage that is not counted: files, tables, figures.

        Raises:
            Unknown: for a model, method, attack or data set of one's own.
        """
        found = self._of.get(job.stage.name)
        return found(job) if found else None

    def classifier(self, job: Job) -> Network:
        """The network that a job trains or asks.

        Raises:
            Unknown: for a model of one's own, or images of unknown number or shape.
        """
        images = self.images_of(job)
        model = self.params.model_for(job.wildcards["dataset"], job.wildcards["method"])
        found = network(model, images.classes, images.channels, images.size)
        if found is None:
            raise Unknown(f"the model {model}")
        return found

    def images_of(self, job: Job) -> Images:
        """The images of a job's data set.

        Raises:
            Unknown: where their number and shape are not known before its tensor file is made.
        """
        dataset = job.wildcards["dataset"]
        images = self.images[dataset]
        if images is None:
            raise Unknown(f"the data set {dataset}, before: mngac data --dataset {dataset}")
        return images

    def training(self, job: Job) -> Training:
        """The training of a job's method on its data set."""
        return self.params.training_for(job.wildcards["dataset"], job.wildcards["method"])

    def step(self, job: Job) -> Step:
        """A step of a job's training."""
        images, config = self.images_of(job), self.params.methods[job.wildcards["method"]]
        generator = noise_generator(images.channels, images.size, bool(config.input_dependent))
        return Step(config, self.training(job).attack, self.classifier(job), generator)

    def _training(self, job: Job) -> Work:
        images, training, step = self.images_of(job), self.training(job), self.step(job)
        taken = training.epochs * steps_of_an_epoch(training, images.train, semi=job.stage.name == "train_semi")
        one = of_a_step(step)
        if one is None:
            raise Unknown(f"the kind of method {step.config.kind}")
        seen = taken * training.batch_size if one else 0
        counted = seen * one
        watched = min(training.monitor.images, images.validation) * training.epochs if one else 0
        looks = watched * monitor(step.classifier, training.attack, training.monitor.steps)
        compared, most = self._comparisons(job, step.config) if one else (0.0, 0.0)
        total = counted + seen * diagnostics(step) + looks
        forward, precision = step.classifier.forward, training.precision.on(self.device)
        return Work(total + compared, total + most, forward, precision, counted)

    def _comparisons(self, job: Job, config: MethodConfig) -> tuple[float, float]:
        """Operations of comparing a training's epochs, or a soup's mixtures, as expected and at most."""
        training, images, forward = self.training(job), self.images_of(job), self.classifier(job).forward
        select, norms, grid = training.select, config.norms or [], config.grid or 0
        epochs = sum(select.due(done, training.epochs) for done in range(1, training.epochs + 1)) if select.best else 0
        mixtures = comb(grid + len(norms), len(norms))
        compared = [
            *([(select.suite, epochs)] if epochs else []),
            *([(config.suite, mixtures)] if config.suite else []),
        ]
        expected = most = 0.0
        for suite, times in compared:
            n = min(self.params.evaluation[suite].n or images.validation, images.validation)
            one, all_of_it = self._attacked(job, suite, n)
            expected, most = expected + times * one * forward, most + times * all_of_it * forward
        return expected, most

    def _attacked(self, job: Job, name: str, n: int) -> tuple[float, float]:
        """Passes of a suite on so many images, as expected and at most: every attack's, its judge's, the clean pass."""
        suite, images = self.params.evaluation[name], self.images_of(job)
        expected = most = float(n)
        shares = self.known.of(job.wildcards["dataset"], name, suite, images.classes).shares
        for config, share in zip(suite.attacks, shares, strict=True):
            every = n * self._of_an_image(config, images)
            expected, most = expected + share * every, most + every
        return expected, most

    def _labels(self, job: Job) -> Work:
        """A pass over the unlabelled images, and one over those for validation."""
        images, forward = self.images_of(job), self.classifier(job).forward
        flops = float(forward * (images.unlabelled + images.validation))
        return Work(flops, flops, forward, self._plain)

    def evaluated(self, job: Job) -> int:
        """Images that an evaluation attacks, or a shard of one: every so-many-th block."""
        suite, available = (
            self.params.evaluation[job.wildcards["suite"]],
            self.images_of(job).split(self.params.run.split),
        )
        n = min(suite.n or available, available)
        if "shard" not in job.wildcards or suite.block is None:
            return n
        blocks = [min(suite.block, n - first) for first in range(0, n, suite.block)]
        return sum(blocks[int(job.wildcards["shard"].partition("-")[0]) - 1 :: suite.shards])

    def _evaluation(self, job: Job) -> Work:
        """All of it, or where shards attack, the clean pass."""
        if not job.shards:
            return self._attacks(job)
        forward = self.classifier(job).forward
        flops = float(forward * self.evaluated(job))
        return Work(flops, flops, forward, self._plain)

    def _attacks(self, job: Job) -> Work:
        """Every attack's passes, and for each image that it sees one that judges it; the clean pass."""
        forward, name = self.classifier(job).forward, job.wildcards["suite"]
        expected, most = self._attacked(job, name, self.evaluated(job))
        suite = self.params.evaluation[name]
        host = any(config.attack in ON_THE_HOST for config in suite.attacks)
        return Work(expected * forward, most * forward, forward, self._plain, on_the_host=host)

    def _crafting(self, job: Job) -> Work:
        """In each norm the steps of APGD on every image, with a gradient each, and the look at its start."""
        forward, steps = self.classifier(job).forward, self.params.challenge.transfer_steps
        norms = self.params.evaluation[job.wildcards["suite"]].norms
        flops = float(self.evaluated(job) * len(norms) * (2 * steps + 1) * forward)
        return Work(flops, flops, forward, self._plain)

    def _challenge(self, job: Job) -> Work:
        """Every round's attacks, on the images that the union left; then a pass over each other row's images.

        Of the suite's attacks, the one that is asked about the fewest images says how many those are, at most.
        """
        images, forward, w = self.images_of(job), self.classifier(job).forward, job.wildcards
        params, n = self.params, self.evaluated(job)
        suite, rounds = params.evaluation[w["suite"]], params.rounds(w["suite"])
        stand = min(self.known.of(w["dataset"], w["suite"], suite, images.classes).shares)
        configs = [config for _, each in rounds for config in each.attacks]
        attacked = n * sum(self._of_an_image(config, images) for config in configs)
        most = attacked + n * len(suite.norms) * (len(params.run.all_methods) - 1)
        clean = n * len(rounds)
        host = any(config.attack in ON_THE_HOST for config in configs)
        expected = (clean + stand * most) * forward
        return Work(expected, (clean + most) * forward, forward, self._plain, on_the_host=host)

    @staticmethod
    def _of_an_image(config: AttackConfig, images: Images) -> int:
        """Passes at most of an image under an attack, and the one that judges it."""
        passes = at_most(config, images.classes)
        if passes is None:
            raise Unknown(f"the attack {config.attack}")
        return passes.forward + passes.backward + 1

    def _unforeseen(self, job: Job) -> Work:
        """Every attack on all images, and the clean pass; what is broken leaves searches, of which half is assumed."""
        w, forward, available = job.wildcards, self.classifier(job).forward, self.images_of(job)
        entry, split = self.params.unforeseen[w["unforeseen"]], available.split(self.params.run.split)
        n = min(entry.n or split, split)
        expected = most = float(n)
        for config in entry.attacks:
            passes = passes_of(config, w["dataset"], n, entry.n)
            if passes is None:
                raise Unknown(f"the attack {config.attack}")
            expected, most = expected + (ASSUMED if config.attack in SEARCHES else 1) * passes, most + passes
        return Work(expected * forward, most * forward, forward, self._plain)

    def _certificates(self, job: Job) -> Work:
        """Most of it is auto_LiRPA's, which nothing here counts."""
        raise Unknown("certificates, by auto_LiRPA: docs/certificates.md says what they took")

    @property
    def _plain(self) -> str:
        """The precision of what no training sets."""
        return "float32" if self.device == "cpu" else TF32


def steps_of_an_epoch(training: Training, images: int, semi: bool) -> int:
    """Batches of an epoch over so many labelled images, as mngac/training/plan.py has them."""
    stated = training.semi.steps_per_epoch if semi else None
    return stated or training.steps_per_epoch or -(-images // training.batch_size)
