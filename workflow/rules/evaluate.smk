rule evaluate:
    input:
        stamp=".mngac/stamps/evaluate/{dataset}-{method}-{seed}-{suite}-{profile}.json",
        data="data/{dataset}.safetensors",
        classifier="trained/{dataset}/{method}/seed{seed}/classifier.safetensors",
        training="trained/{dataset}/{method}/seed{seed}/train.json",
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
