rule metrics:
    input:
        stamp=".mngac/stamps/metrics/{suite}-{profile}.json",
        records=lambda w: list(records_of(PARAMS, w.suite, w.profile)),
    output:
        "results/tables/metrics-{suite}-{profile}.json",
    log:
        "logs/metrics/{suite}-{profile}.log",
    params:
        values=values_of("metrics"),
    shell:
        "mngac {rule} --suite {wildcards.suite} --profile {wildcards.profile}"


rule tables:
    input:
        stamp=".mngac/stamps/tables/tables.json",
        records=list(records_of(PARAMS)),
    output:
        expand("results/tables/{name}.{form}", name=TABLES, form=["md", "tex"]),
        report(
            expand("results/tables/{name}.csv", name=TABLES),
            caption="../report/tables.rst",
            category="Tables",
        ),
        "results/tables/metrics.json",
    log:
        "logs/tables/tables.log",
    params:
        values=values_of("tables"),
    shell:
        "mngac {rule}"


rule figures:
    input:
        stamp=".mngac/stamps/figures/figures.json",
        records=list(records_of(PARAMS)),
        logs=list(logs_of(PARAMS)),
    output:
        expand("results/figures/{name}.png", name=FIGURES),
        shown(FIGURES),
        "results/plots/training_curves.csv",
    log:
        "logs/figures/figures.log",
    params:
        values=values_of("figures"),
    shell:
        "mngac {rule}"


rule model_figures:
    input:
        stamp=".mngac/stamps/model_figures/{dataset}.json",
        data="data/{dataset}.safetensors",
        models=lambda w: list(models_of(PARAMS, w.dataset)),
    output:
        expand("results/figures/{name}-{{dataset}}.png", name=MODEL_FIGURES),
        shown(MODEL_FIGURES, "-{dataset}"),
        "results/plots/over_radius-{dataset}.csv",
    log:
        "logs/model_figures/{dataset}.log",
    threads: RUN.threads
    resources:
        gpu=GPU,
    params:
        values=values_of("model_figures"),
    shell:
        "mngac {rule} --dataset {wildcards.dataset}"


rule report:
    input:
        stamp=".mngac/stamps/report/report.json",
        records=list(records_of(PARAMS)),
        figures=list(images_of(PARAMS)),
        further=list(further_of(PARAMS)),
    output:
        report("results/report.html", caption="../report/report.rst", category="Report"),
    log:
        "logs/report/report.log",
    params:
        values=values_of("report"),
    shell:
        "mngac {rule}"
