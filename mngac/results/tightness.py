"""How tight a bound is: what further seeds of the attacks, and other attacks, still broke. Loads without torch.

Robust accuracy under attack is an upper bound. It is tight as far as trying again, and otherwise, lowers it no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from mngac.params.sections import Params
from mngac.pipeline.paths import challenge_path
from mngac.results.challenges import Challenge, read
from mngac.results.intervals import LEVEL
from mngac.results.records import RecordError


@dataclass(frozen=True)
class Step:
    """How many images of n the union had before and after a round."""

    name: str
    before: int
    after: int
    n: int

    @property
    def share(self) -> float:
        """Correct afterwards, in percent."""
        return 100 * self.after / self.n

    @property
    def fall(self) -> float:
        """By how many points the round lowered the union."""
        return 100 * (self.before - self.after) / self.n


def steps(challenge: Challenge) -> list[Step]:
    """Each round's step."""
    left = [sum(challenge.after(rounds)) for rounds in range(len(challenge.rounds) + 1)]
    names = [each.name for each in challenge.rounds]
    return [Step(name, a, b, challenge.n) for name, a, b in zip(names, left[:-1], left[1:], strict=True)]


def of_seeds(challenge: Challenge) -> list[Step]:
    """The steps of the rounds with the record's own suite and further seeds."""
    return steps(challenge)[: challenge.further_seeds]


def one_more(step: Step, level: float = LEVEL) -> float:
    """The most points by which one more seed would lower the union on average, one-sided, at the level.

    Images that a seed leaves are harder to break than those that it found: so the next seed breaks each image that is
    left with no larger probability, on average, than the last one broke an image that it found. Of that probability
    this is the exact upper limit (Clopper and Pearson 1934), times the images left.

    Args:
        step: of the last seed.
        level: of the limit, in (0, 1).
    """
    from scipy.stats import beta

    broken = step.before - step.after
    if not step.after:
        return 0.0
    return 100 * float(beta.ppf(level, broken + 1, step.before - broken)) * step.after / step.n


def flags_of(challenge: Challenge) -> list[str]:
    """Red flags: the rounds' own, and images that attacks without gradients broke and those with gradients do not."""
    count = sum(challenge.without_gradients)
    masked = [f"{count} image{'s' if count > 1 else ''} broken without gradients only: a sign of masked gradients"]
    return list(
        dict.fromkeys([*(masked if count else []), *(flag for each in challenge.rounds for flag in each.flags)])
    )


@dataclass(frozen=True)
class Row:
    """A method's challenges, one a training seed; none where it was not challenged."""

    method: str
    challenges: list[Challenge]

    def curve(self) -> list[float]:
        """The union in percent, at first and after each round; the mean over training seeds."""
        if not self.challenges:
            return []
        rounds = min(len(each.rounds) for each in self.challenges)
        return [mean(100 * sum(c.after(k)) / c.n for c in self.challenges) for k in range(rounds + 1)]

    def one_more(self) -> float | None:
        """`one_more` of the last seed, the mean over training seeds; None without further seeds."""
        last = [of_seeds(each)[-1:] for each in self.challenges]
        return mean(one_more(each[0]) for each in last) if last and all(last) else None


def rows_of(params: Params, dataset: str, suite: str, profile: str) -> list[Row]:
    """The challenges of a suite and profile, a row a method of the run.

    Raises:
        RecordError: for a file of another challenge than its path says, or rows challenged in other rounds.
    """
    rows = []
    for method in params.run.all_methods:
        wild = dict(dataset=dataset, method=method, suite=suite, profile=profile)
        paths = [challenge_path({**wild, "seed": str(k)}) for k in params.run.seeds]
        rows.append(Row(method, [_at(path) for path in paths if Path(path).exists()]))
    every = [each for row in rows for each in row.challenges]
    for each in every:
        if _tried(each) != _tried(every[0]):
            allowed = "the same for all; challenge them anew"
            raise RecordError(f"{each.name} and {every[0].name} differ in their rounds or images; allowed: {allowed}")
    return rows


def _at(path: str) -> Challenge:
    found = read(path)
    if challenge_path({**vars(found), "seed": str(found.seed)}) != path:
        raise RecordError(f"{path}: found what is left of {found.name}; allowed: its own; challenge it anew")
    return found


def _tried(challenge: Challenge) -> tuple[object, ...]:
    """What must be alike in one table: images, and the rounds."""
    about = challenge.provenance.get("params", {})
    names = [each.name for each in challenge.rounds]
    return challenge.n, challenge.split, names, about.get("suite"), about.get("rounds"), about.get("radii")
