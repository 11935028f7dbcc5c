import shlex
import sys
import time
from pathlib import Path

import yaml
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.utils import validate

from mngac.params.errors import UserError
from mngac.params.checks import load
from mngac.pipeline.adoption import write_stamps
from mngac.pipeline.device import decided
from mngac.pipeline.engines import claim, left_over, refuse_auto
from mngac.pipeline.jobs import job, jobs
from mngac.pipeline.overall import Overall, asked_for, beside_the_line
from mngac.pipeline.paths import (
    FIGURES,
    MODEL_FIGURES,
    TABLES,
    certificates_of,
    challenges_of,
    crafted_of,
    further_of,
    images_of,
    logs_of,
    models_of,
    records_of,
    records_of_hypothesis,
    records_of_space,
    start_of,
    unforeseen_of,
)

try:
    PARAMS = load()
except UserError as error:
    raise WorkflowError(f"mngac: {error}")


configfile: "params.yaml"


if config != yaml.safe_load(Path("params.yaml").read_text()):
    raise WorkflowError(
        "--config and --configfile are refused: params.yaml is the one source of truth; "
        "edit it, or compare values with: dvc exp run -S 'key=value'"
    )
try:
    JOBS = jobs(PARAMS)
    GPU = int(decided(PARAMS.run.device) == "cuda")
    if workflow.is_main_process:  # not in each job of a cluster again
        write_stamps(JOBS)
except UserError as error:
    raise WorkflowError(f"mngac: {error}")
validate(config, "workflow/schemas/params.schema.json", set_default=False)

RUN = PARAMS.run
STARTED = time.time()
OVERALL = Overall()


onstart:
    try:
        if not workflow.local_exec:
            refuse_auto(RUN.device)
        claim(Path.cwd(), shlex.join(sys.argv))
    except UserError as error:
        raise WorkflowError(f"mngac: {error}")
    for handler in logger.handlers:
        if handler.name == "DefaultStreamHandler":  # the terminal's; its own log keeps them
            handler.addFilter(beside_the_line)
    OVERALL.start(asked_for(JOBS, [path for each in workflow.dag.needrun_jobs() for path in each.output]))


onsuccess:
    OVERALL.stop()


onerror:
    OVERALL.stop()
    print(*left_over(JOBS, STARTED), sep="\n", file=sys.stderr)


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/challenge.smk"
include: "workflow/rules/unforeseen.smk"
include: "workflow/rules/attack_spaces.smk"
include: "workflow/rules/hypotheses.smk"
include: "workflow/rules/certificates.smk"
include: "workflow/rules/results.smk"


rule all:
    default_target: True
    input:
        [path for each in JOBS if not each.stage.shares for path in each.outputs.values()],
