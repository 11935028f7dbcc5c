rule metrics:
    input:
        stamp=".mngac/stamps/metrics/{suite}-{profile}.json",
        records=lambda w: list(records_of(PARAMS, w.suite, w.profile)),
    output:
        "results/tables/metrics-{suite}-{profile}.json",
    params:
        run=config["run"],
        radii=config["radii"],
        data=config["data"],
    log:
        "logs/metrics/{suite}-{profile}.log",
    shell:
        "mngac metrics --suite {wildcards.suite} --profile {wildcards.profile}"


rule tables:
    input:
        stamp=".mngac/stamps/tables/tables.json",
        records=list(records_of(PARAMS)),
    output:
        expand("results/tables/{name}.{form}", name=TABLES, form=FORMATS),
        "results/tables/metrics.json",
    params:
        run=config["run"],
        radii=config["radii"],
        data=config["data"],
    log:
        "logs/tables/tables.log",
    shell:
        "mngac tables"


rule figures:
    input:
        stamp=".mngac/stamps/figures/figures.json",
        records=list(records_of(PARAMS)),
        logs=list(logs_of(PARAMS)),
    output:
        expand("results/figures/{name}.{form}", name=FIGURES, form=["png", "svg"]),
    params:
        run=config["run"],
        radii=config["radii"],
        data=config["data"],
    log:
        "logs/figures/figures.log",
    shell:
        "mngac figures"
