"""The section `challenge`: how hard the bounds of a record are tried again."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mngac.params.types import Closed, Name, Positive

TRANSFER = "transfer"
"""Name of the round that tries other rows' adversarial images, and of no suite; its attacks are named after those."""


class ChallengeParams(Closed):
    """What attacks the images that a record's union left, round after round, for the suites of `run.challenges`."""

    attack_seeds: Annotated[int, Field(ge=1, le=100)]
    """Seeds of the suite's attacks in all, the record's own among them: each further one is a round."""
    opinions: list[Name]
    """Suites that attack what is left after these, each in a round: names of `evaluation`. The suite itself is none."""
    transfer_steps: Positive
    """Steps of APGD that craft each row's adversarial images. Those of the other rows are tried in the last round."""
