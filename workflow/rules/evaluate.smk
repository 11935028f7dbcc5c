rule evaluate_shard:
    input:
        stamp=".mngac/stamps/evaluate/{dataset}-{method}-{seed}-{suite}-{profile}.json",
        data="data/{dataset}.safetensors",
        classifier="trained/{dataset}/{method}/seed{seed}/classifier.safetensors",
        training="trained/{dataset}/{method}/seed{seed}/train.json",
    output:
        # What was found is in the cache: the evaluation only waits for these.
        temp("shards/{dataset}/{method}/seed{seed}/{suite}-{profile}/{shard}.txt"),
    log:
        "logs/evaluate_shard/{dataset}-{method}-{seed}-{suite}-{profile}-{shard}.log",
    threads: cores_of("evaluate_shard")
    resources:
        gpu=GPU,
    params:
        values=values_of("evaluate_shard"),
    shell:
        "mngac {rule} --dataset {wildcards.dataset} --method {wildcards.method} --seed {wildcards.seed}"
        " --suite {wildcards.suite} --profile {wildcards.profile} --shard {wildcards.shard}"


# Shards are gathered by a function of params.yaml, not by `scattergather`, whose numbers the command line could change.
rule evaluate:
    input:
        stamp=".mngac/stamps/evaluate/{dataset}-{method}-{seed}-{suite}-{profile}.json",
        data="data/{dataset}.safetensors",
        classifier="trained/{dataset}/{method}/seed{seed}/classifier.safetensors",
        training="trained/{dataset}/{method}/seed{seed}/train.json",
        shards=lambda w: list(job(PARAMS, "evaluate", **dict(w.items())).shards.values()),
    output:
        "records/{dataset}/{method}/seed{seed}/{suite}-{profile}.json",
    log:
        "logs/evaluate/{dataset}-{method}-{seed}-{suite}-{profile}.log",
    threads: cores_of("evaluate")
    resources:
        gpu=GPU,
    params:
        values=values_of("evaluate"),
    shell:
        "mngac {rule} --dataset {wildcards.dataset} --method {wildcards.method} --seed {wildcards.seed}"
        " --suite {wildcards.suite} --profile {wildcards.profile}"
