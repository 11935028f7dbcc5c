"""Classifiers of [0, 1] images, and the noise generator."""
