rule hypothesis:
    input:
        stamp=".mngac/stamps/hypothesis/{hypothesis}.json",
        records=lambda w: list(records_of_hypothesis(PARAMS, w.hypothesis)),
    output:
        expand("results/tables/hypothesis-{{hypothesis}}.{form}", form=["md", "csv", "tex", "json"]),
        expand("results/figures/hypothesis-{{hypothesis}}.{form}", form=["png", "svg"]),
    log:
        "logs/hypothesis/{hypothesis}.log",
    params:
        values=values_of("hypothesis"),
    shell:
        "mngac {rule} --hypothesis {wildcards.hypothesis}"
