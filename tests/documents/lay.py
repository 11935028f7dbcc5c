"""`python lay.py FILE`: lays what FILE says over params.yaml, as a reader who edits it does, and checks the whole."""

import sys
from pathlib import Path

import yaml

from mngac.params.checks import parse
from mngac.params.inheritance import merged

raw = merged(yaml.safe_load(Path("params.yaml").read_text()), yaml.safe_load(Path(sys.argv[1]).read_text()))
parse(raw)
Path("params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
