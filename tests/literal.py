"""Losses written as their formulas stand, number by number in double precision."""

import math


def posterior(row):
    """The softmax of a row of logits."""
    top = max(row)
    weights = [math.exp(v - top) for v in row]
    return [w / sum(weights) for w in weights]


def ce(row, label):
    """Cross-entropy of a row of logits."""
    return -math.log(posterior(row)[label])


def kl(p, q):
    """KL(p ‖ q) of two posteriors."""
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def js(rows):
    """Jensen-Shannon divergence of the posteriors of rows of logits."""
    ps = [posterior(row) for row in rows]
    mixture = [sum(c) / len(ps) for c in zip(*ps, strict=True)]
    return sum(kl(p, mixture) for p in ps) / len(ps)


def mean(values):
    """The mean of some numbers."""
    values = list(values)
    return sum(values) / len(values)
