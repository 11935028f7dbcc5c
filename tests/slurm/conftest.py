"""One cluster for all tests here, which `make slurm-test` runs; `make test` does not collect them (norecursedirs)."""

import signal

import pytest
from slurm import cluster as slurm


@pytest.fixture(scope="session")
def cluster():
    """Runs until the last test has ended. Packages that are missing are a failure, never a skip."""
    packages = slurm.missing()
    if packages:
        pytest.exit(
            f"mngac: slurm-test: found no {', '.join(packages)}; allowed: apt-get install {' '.join(packages)}",
            returncode=2,
        )
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("terminated"))  # nothing is left running then, either
    with slurm.running() as found:
        yield found
