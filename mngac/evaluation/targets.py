"""Classes that a targeted attack aims at."""

from mngac.evaluation.acceptance import Target


def targets_at_most(wanted: int, target: Target) -> int:
    """Target classes of a targeted attack: as wanted, but no more than there are other classes."""
    return min(wanted, target.classes - 1)
