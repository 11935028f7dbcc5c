rule unforeseen:
    input:
        stamp=".mngac/stamps/unforeseen/{dataset}-{method}-{seed}-{unforeseen}-{profile}.json",
        data="data/{dataset}.safetensors",
        classifier="trained/{dataset}/{method}/seed{seed}/classifier.safetensors",
    output:
        "unforeseen/{dataset}/{method}/seed{seed}/{unforeseen}-{profile}.json",
    log:
        "logs/unforeseen/{dataset}-{method}-{seed}-{unforeseen}-{profile}.log",
    threads: cores_of("unforeseen")
    resources:
        gpu=GPU,
    params:
        values=values_of("unforeseen"),
    shell:
        "mngac {rule} --dataset {wildcards.dataset} --method {wildcards.method} --seed {wildcards.seed}"
        " --unforeseen {wildcards.unforeseen} --profile {wildcards.profile}"


rule unforeseen_table:
    input:
        stamp=".mngac/stamps/unforeseen_table/{unforeseen}.json",
        records=lambda w: list(unforeseen_of(PARAMS, w.unforeseen)),
    output:
        expand("results/tables/unforeseen-{{unforeseen}}.{form}", form=["md", "csv", "tex", "json"]),
    log:
        "logs/unforeseen_table/{unforeseen}.log",
    params:
        values=values_of("unforeseen_table"),
    shell:
        "mngac {rule} --unforeseen {wildcards.unforeseen}"
