rule train:
    input:
        stamp=".mngac/stamps/train/{dataset}-{method}-{seed}.json",
        data="data/{dataset}.safetensors",
    output:
        "trained/{dataset}/{method}/seed{seed}/classifier.safetensors",
        "trained/{dataset}/{method}/seed{seed}/generator.safetensors",
        "trained/{dataset}/{method}/seed{seed}/train.jsonl",
        "trained/{dataset}/{method}/seed{seed}/train.json",
    log:
        "logs/train/{dataset}-{method}-{seed}.log",
    wildcard_constraints:
        method=one_of(RUN.methods),
    threads: RUN.threads
    resources:
        gpu=GPU,
    params:
        training=config["training"],
        radii=config["radii"],
        method=lambda w: config["methods"][w.method],
        device=RUN.device,
        threads=RUN.threads,
    shell:
        "mngac train --dataset {wildcards.dataset} --method {wildcards.method} --seed {wildcards.seed}"


rule pseudo_label:
    input:
        stamp=expand(".mngac/stamps/pseudo_label/{{dataset}}-{method}-{{seed}}.json", method=RUN.teachers),
        data="data/{dataset}.safetensors",
        teacher=expand("trained/{{dataset}}/{method}/seed{{seed}}/classifier.safetensors", method=RUN.teachers),
    output:
        "trained/{dataset}/pseudo_labels/seed{seed}.safetensors",
    log:
        expand("logs/pseudo_label/{{dataset}}-{method}-{{seed}}.log", method=one_of(RUN.teachers)),
    threads: RUN.threads
    resources:
        gpu=GPU,
    params:
        teacher=one_of(RUN.teachers),
        pseudo_label=config["pseudo_label"],
        device=RUN.device,
        threads=RUN.threads,
    shell:
        "mngac pseudo_label --dataset {wildcards.dataset} --method {params.teacher} --seed {wildcards.seed}"


rule train_semi:
    input:
        stamp=".mngac/stamps/train_semi/{dataset}-{method}-{seed}.json",
        data="data/{dataset}.safetensors",
        pseudo_labels="trained/{dataset}/pseudo_labels/seed{seed}.safetensors",
    output:
        "trained/{dataset}/{method}/seed{seed}/classifier.safetensors",
        "trained/{dataset}/{method}/seed{seed}/generator.safetensors",
        "trained/{dataset}/{method}/seed{seed}/train.jsonl",
        "trained/{dataset}/{method}/seed{seed}/train.json",
    log:
        "logs/train_semi/{dataset}-{method}-{seed}.log",
    wildcard_constraints:
        method=one_of(RUN.semi_methods),
    threads: RUN.threads
    resources:
        gpu=GPU,
    params:
        training=config["training"],
        radii=config["radii"],
        method=lambda w: config["methods"][w.method],
        device=RUN.device,
        threads=RUN.threads,
    shell:
        "mngac train_semi --dataset {wildcards.dataset} --method {wildcards.method} --seed {wildcards.seed}"
