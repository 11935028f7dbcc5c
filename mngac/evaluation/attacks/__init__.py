"""One file an evaluation attack: `attack(classifier, x, y, target, config) -> x_adv`; entries of suites name it.

A file may say `BLACK_BOX = True`: it uses no gradients, so that it should never beat those that do.
"""
