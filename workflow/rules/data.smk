rule data:
    input:
        stamp=".mngac/stamps/data/{dataset}.json",
    output:
        "data/{dataset}.safetensors",
    log:
        "logs/data/{dataset}.log",
    params:
        values=values_of("data"),
    shell:
        "mngac {rule} --dataset {wildcards.dataset}"
