"""`mngac.evaluate`: any callable, attacked with a suite."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mngac.api.given import device_of, whole
from mngac.attacks.pgd import Classifier
from mngac.evaluation import loop
from mngac.evaluation.loop import Evaluation
from mngac.evaluation.stage import record_of
from mngac.params.checks import check_name
from mngac.params.errors import UserError
from mngac.params.extras import missing
from mngac.params.sections import Radii, Suite
from mngac.params.suites import radii_of, suite_of
from mngac.pipeline import code
from mngac.pipeline.fingerprint import code_digest, imported
from mngac.pipeline.jobs import public_version
from mngac.pipeline.progress import Log
from mngac.pipeline.provenance import provenance
from mngac.pipeline.stages import STAGES
from mngac.results.records import Record


@dataclass(frozen=True)
class Evaluated(Evaluation):
    """What happened to each image, and with what it was attacked."""

    suite: Suite
    suite_name: str
    radii: Radii
    device: str

    def record(
        self, method: str, dataset: str, *, seed: int = 0, split: str = "test", indices: Sequence[int] | None = None
    ) -> Record:
        """The record of it: `.to_json()` is a file for `mngac compare`, `mngac.read_record` and `mngac.compare`.

        Args:
            method: who was evaluated.
            dataset: whose images they are; records of one data set are held against each other.
            seed: of the training.
            split: which of its images.
            indices: of the images in their split, by default 0 to n - 1; records are compared on equal ones alone.

        Raises:
            UserError: for a name with other characters than params.yaml admits, for another number of indices than
                images, and for a seed or an index that is none.
        """
        for path, name in (("method", method), ("dataset", dataset), ("split", split)):
            check_name(path, name)
        params = {
            "suite": self.suite.model_dump(exclude_none=True, exclude={"processes", "shards"}),
            "radii": self.radii.model_dump(),
            "split": split,
        }
        digests = {root: code_digest([root]) for root in code.measuring(self.suite)}
        used = [name for name in STAGES["evaluate"].packages if name in imported(digests)]
        versions = {name: public_version(name) for name in (*used, "torch")}
        about = provenance("", {"params": params, "code": digests, "versions": versions}, self.device, self.suite)
        del about["key"]  # no cache has it
        whole("seed", seed, 0)
        numbers = [whole("indices", k, 0) for k in (range(len(self.clean)) if indices is None else indices)]
        if len(numbers) != len(self.clean):
            raise UserError(f"indices: found {len(numbers)}; allowed: {len(self.clean)}, one an image")
        twice = [k for k, times in Counter(numbers).items() if times > 1]
        if twice:
            raise UserError(f"indices: found {twice[0]} twice; allowed: each once")
        who = {"dataset": dataset, "method": method, "seed": seed, "split": split}
        return record_of(self, numbers, about, None, **who, suite=self.suite_name, profile=OWN)


OWN = "own"
"""What radii that no params.yaml names are called in a record, and a suite that it does not name."""


def evaluate(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    suite: Suite | str = "quick",
    *,
    radii: Radii | Mapping[str, str | float],
    device: str | torch.device = "cpu",
    resume: str | Path | None = None,
    progress: bool = False,
) -> Evaluated:
    """Attacks a classifier with a suite, and says of each image what it withstood.

    The classifier must be on the device already. Its mode and its weights' gradients are left as found, and so are the
    global random generators.

    Args:
        classifier: images in [0, 1] (batch, channels, height, width) -> logits (batch, classes), deterministic, in the
            mode in which it is to be judged (`eval()`).
        images: uint8 (n, channels, height, width), or float in [0, 1].
        labels: int64 (n,), from 0 to one less than the classifier's classes.
        suite: the name of one of the package's suites, such as quick, aa2 or autoattack, or a `Suite`. Its `n` is not
            read: all images that are given are attacked.
        radii: of each norm that the suite attacks, on images in [0, 1]: {"linf": "8/255", "l1": 12, "l2": 0.5}.
        device: where batches are put.
        resume: a file for what is finished; where it exists, that is not run again. That it is of the same classifier,
            images, suite and radii is the caller's to know.
        progress: whether a line an attack is printed.

    Returns:
        what happened to each image: `.table()` for reading, `.union()` and `.robust("l1")` per image,
        `.share("union")` in percent, `.flags` for what makes the numbers doubtful, `.to_pandas()` for all of it, and
        `.record(...)` for a file.

    Raises:
        AttackFailed: where an attack or the classifier raises, with the attack's name and the images' positions.
        UserError: for an unknown suite, radii that are wrong or missing, images or labels of another type, shape or
            range, and a suite whose attacks are not installed: `pip install 'mngac[attacks]'`.
    """
    attacks, name = suite_of(suite), suite if isinstance(suite, str) else OWN
    balls, log = radii_of(attacks, radii), Log() if progress else None
    where, path = device_of(device), None if resume is None else Path(resume)
    if path is not None and path.is_dir():
        raise UserError(f"resume: found the folder {path}; allowed: a file")
    try:
        found = loop.evaluate(classifier, images, labels, attacks, balls, device=where, resume=path, log=log)
    except ModuleNotFoundError as error:
        raise UserError(missing(error)) from error
    return Evaluated(**vars(found), suite=attacks, suite_name=name, radii=balls, device=where)
