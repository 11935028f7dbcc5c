"""One file an evaluation attack: `attack(classifier, x, y, target, settings) -> x_adv`; entries of suites name it."""
