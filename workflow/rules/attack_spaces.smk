rule competitiveness:
    input:
        stamp=".mngac/stamps/competitiveness/{space}.json",
        records=lambda w: list(records_of_space(PARAMS, w.space)),
    output:
        expand("results/tables/competitiveness-{{space}}.{form}", form=["md", "csv", "tex", "json"]),
        expand("results/figures/competitiveness-{{space}}.{form}", form=["png", "svg"]),
    log:
        "logs/competitiveness/{space}.log",
    params:
        values=values_of("competitiveness"),
    shell:
        "mngac {rule} --space {wildcards.space}"
