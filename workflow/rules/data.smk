rule data:
    input:
        stamp=".mngac/stamps/data/{dataset}.json",
    output:
        "data/{dataset}.safetensors",
    params:
        data=lambda w: config["data"][w.dataset],
    log:
        "logs/data/{dataset}.log",
    shell:
        "mngac data --dataset {wildcards.dataset}"
