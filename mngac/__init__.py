"""MNG-AC and its baselines: classifiers robust to l_inf, l_1 and l_2 attacks at once."""

__version__ = "0.1.0"
