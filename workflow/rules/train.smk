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
        values=values_of("train"),
    shell:
        "mngac {rule} --dataset {wildcards.dataset} --method {wildcards.method} --seed {wildcards.seed}"


rule pseudo_label:
    input:
        stamp=expand(".mngac/stamps/pseudo_label/{{dataset}}-{method}-{{seed}}.json", method=TEACHER),
        data="data/{dataset}.safetensors",
        teacher=expand("trained/{{dataset}}/{method}/seed{{seed}}/classifier.safetensors", method=TEACHER),
    output:
        "trained/{dataset}/pseudo_labels/seed{seed}.safetensors",
    log:
        expand("logs/pseudo_label/{{dataset}}-{method}-{{seed}}.log", method=TEACHER),
    threads: RUN.threads
    resources:
        gpu=GPU,
    params:
        values=values_of("pseudo_label", method=TEACHER),
    shell:
        f"mngac {{rule}} --dataset {{wildcards.dataset}} --method {TEACHER} --seed {{wildcards.seed}}"


use rule train as train_semi with:
    input:
        stamp=".mngac/stamps/train_semi/{dataset}-{method}-{seed}.json",
        data="data/{dataset}.safetensors",
        pseudo_labels="trained/{dataset}/pseudo_labels/seed{seed}.safetensors",
    log:
        "logs/train_semi/{dataset}-{method}-{seed}.log",
    wildcard_constraints:
        method=one_of(RUN.semi_methods),
    params:
        values=values_of("train_semi"),


use rule train as train_tuned with:
    input:
        stamp=".mngac/stamps/train_tuned/{dataset}-{method}-{seed}.json",
        data="data/{dataset}.safetensors",
        start=lambda w: start_of(PARAMS, w)["start"],
        start_training=lambda w: start_of(PARAMS, w)["start_training"],
    log:
        "logs/train_tuned/{dataset}-{method}-{seed}.log",
    wildcard_constraints:
        method=one_of(RUN.tuned_methods),
    params:
        values=values_of("train_tuned"),
