"""Attacks on a classifier, and what became of each image: `evaluate` is for any callable of images to logits."""

from mngac.evaluation.loop import AttackFailed, Classifier, Evaluation, evaluate

__all__ = ["AttackFailed", "Classifier", "Evaluation", "evaluate"]
