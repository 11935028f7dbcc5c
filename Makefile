# Each target makes .venv when it is missing or the pins changed, and puts it on PATH.
PYTHON ?= python3
VENV := .venv
SLURM_VENV := .venv-slurm
CERTIFY_VENV := .venv-certify
DOCS_VENV := .venv-docs
# Python 3.11 or later, and not the one in .venv itself, which may be broken or too old.
RIGHT := import sys; sys.exit(sys.version_info < (3, 11))
BARE := $(subst $(CURDIR)/$(VENV)/bin:,,$(PATH))
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export MPLBACKEND := Agg
CORES ?= all

.PHONY: run verify slurm certify docs test slurm-test container-test torture fuzz check schema report format clean

run: $(VENV)/ready
	snakemake --cores $(CORES)
	@echo; for table in multi_perturbation semi_supervised components; do cat results/tables/$$table.md; echo; done

slurm: $(SLURM_VENV)/ready
	$(SLURM_VENV)/bin/python -m snakemake --workflow-profile profiles/slurm

certify: $(CERTIFY_VENV)/ready

# What `make run` made here, against ten other seeds of each row.
verify: $(VENV)/ready
	mngac verify docs/results/digits_seeds.tar.xz

docs: $(DOCS_VENV)/ready
	python docs/site/pages.py build/docs
	NO_MKDOCS_2_WARNING=1 PYTHONPATH='$(CURDIR):docs/site' \
	  $(DOCS_VENV)/bin/python -m mkdocs build --quiet --strict --config-file docs/site/mkdocs.yml
	$(DOCS_VENV)/bin/python docs/site/look.py build/site

report: $(VENV)/ready
	snakemake --cores $(CORES) results/report.html

test: $(VENV)/ready
	OMP_NUM_THREADS=1 pytest

slurm-test: $(SLURM_VENV)/ready
	OMP_NUM_THREADS=1 pytest -n 0 -rP --durations=0 tests/slurm

container-test: $(VENV)/ready
	python tests/container.py

torture: $(VENV)/ready
	python tests/torture.py

fuzz: $(VENV)/ready
	OMP_NUM_THREADS=1 python -m tests.fuzz

check: $(VENV)/ready
	ruff check .
	ruff format --check .
	mypy
	snakefmt --check Snakefile workflow
	@# One environment serves all rules (.venv): the lint that asks for one a rule does not apply. Nor does the one that
	@# takes {rule} in a shell command, which Snakemake fills in itself, for a variable from outside.
	! snakemake --lint 2>&1 | grep '^    \*' | grep -Ev 'a conda environment or container|uses variable rule from outside'
	mngac schema | diff - workflow/schemas/params.schema.json
	pytest -n 0 tests/test_layers.py

schema: $(VENV)/ready
	mngac schema --out workflow/schemas/params.schema.json

format: $(VENV)/ready
	ruff check --fix .
	ruff format .
	snakefmt Snakefile workflow
	@# DVC drops a comment that follows a list: put it after a key with one value.
	python -c 'from dvc.utils.hydra import apply_overrides; apply_overrides("params.yaml", [])'

$(VENV)/ready: export BARE := $(BARE)
$(VENV)/ready: requirements.lock pyproject.toml
	@PATH="$$BARE"; $(PYTHON) -c '$(RIGHT)' 2>/dev/null || { \
	  echo "mngac: $(PYTHON): found $$($(PYTHON) -V 2>&1 | tail -n 1); allowed: Python 3.11 or later," \
	    "such as: make run PYTHON=python3.11" >&2; exit 2; }
	@$(VENV)/bin/python -c 'import pip; $(RIGHT)' 2>/dev/null || PATH="$$BARE" $(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/python -m pip install --quiet --requirement requirements.lock
	@# As a line of a .pth: so that the package is found beside a folder of its name, such as the clone's own, too.
	$(VENV)/bin/python -m pip install --quiet --no-deps --config-settings editable_mode=compat --editable .
	touch $@

# Snakemake's plugin for Slurm, auto_LiRPA, whose own pins nothing can meet, and what makes the site: each with what it
# needs beyond the first environment, which it sees: no second torch.
WHERE := import sysconfig; print(sysconfig.get_path("purelib"))
SEES := import pathlib, sys; \
  pathlib.Path(sys.argv[1], "mngac.pth").write_text(f"import site; site.addsitedir({sys.argv[2]!r})\n")
$(SLURM_VENV)/ready $(CERTIFY_VENV)/ready $(DOCS_VENV)/ready: .venv-%/ready: requirements-%.lock $(VENV)/ready
	$(VENV)/bin/python -m venv --clear --without-pip $(@D)
	$(VENV)/bin/python -c '$(SEES)' \
	  "$$($(@D)/bin/python -c '$(WHERE)')" "$$($(VENV)/bin/python -c '$(WHERE)')"
	$(VENV)/bin/python -m pip --python $(@D) install --quiet --no-deps --requirement requirements-$*.lock
	touch $@

clean:
	rm -rf data trained shards records crafted challenges certificates unforeseen results logs .mngac .snakemake
	find digests -name "*.json" -delete
