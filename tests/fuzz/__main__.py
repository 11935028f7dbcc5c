"""`python -m tests.fuzz --cases 10000 --commands 200 --seed 0`: spoilt files in process and through the command line.

Params, records, checkpoints, cache entries, tensor files, archives, images, pickles and arrays. Prints how many of each
kind were accepted and refused, and for each case that went wrong its number, with which it is made again.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from bad_input import project
from fuzz.run import by_command, in_process, prepared, timed


def main() -> int:
    """Runs both; 1 where a case went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.splitlines()[0])
    for name, count in (("cases", 10_000), ("commands", 200), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=count)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        right = prepared(project.build(Path(scratch, "built")), Path(scratch, "right"))
        folder = prepared(right, Path(scratch, "folder"))
        os.chdir(folder)
        failed = False
        for what, run, count in (("cases", in_process, wanted.cases), ("commands", by_command, wanted.commands)):
            started = time.monotonic()
            ended, wrong = run(right, folder, count, wanted.seed)
            print(timed(what, ended, wrong, started), flush=True)
            failed = failed or bool(wrong)
        os.chdir("/")
    return int(failed)


sys.exit(main())
