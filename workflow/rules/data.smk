rule data:
    input:
        stamp=".mngac/stamps/data/{dataset}.json",
    output:
        "data/{dataset}.safetensors",
    log:
        "logs/data/{dataset}.log",
    params:
        data=lambda w: config["data"][w.dataset],
    shell:
        "mngac data --dataset {wildcards.dataset}"
