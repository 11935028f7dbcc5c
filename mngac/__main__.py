"""`python -m mngac`: the command line."""

import sys

from mngac.cli import main

sys.exit(main())
