"""`python -m mngac`: the command line."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  (nothing of the package can be imported to say it)
    found = ".".join(map(str, sys.version_info[:3]))
    sys.exit(print(f"mngac: found Python {found}; allowed: Python 3.11 or later", file=sys.stderr) or 2)

from mngac.cli import main

sys.exit(main())
