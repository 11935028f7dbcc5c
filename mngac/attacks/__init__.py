"""Attacks as pure functions: (classifier, x, y, ...) -> x_adv."""
