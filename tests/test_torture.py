"""The short form of tests/torture.py, which is for every change: some kills under each engine, saving at every step."""

import pytest
from torture import Quota, pipeline, torture


@pytest.mark.slow
def test_a_pipeline_whose_processes_are_killed_ends_with_the_same_bytes(tmp_path):
    quota = Quota(killed=4, terminated=2, engines=2)
    kills = torture(quota, 0, pause=6.0, raw=pipeline(6, 100), folder=tmp_path, often=(True,))
    assert len(kills) == 8 and not quota
