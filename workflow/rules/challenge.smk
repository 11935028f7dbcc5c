rule craft:
    input:
        stamp=".mngac/stamps/craft/{dataset}-{method}-{seed}-{suite}-{profile}.json",
        data="data/{dataset}.safetensors",
        classifier="trained/{dataset}/{method}/seed{seed}/classifier.safetensors",
    output:
        "crafted/{dataset}/{method}/seed{seed}/{suite}-{profile}.safetensors",
    log:
        "logs/craft/{dataset}-{method}-{seed}-{suite}-{profile}.log",
    threads: RUN.threads
    resources:
        gpu=GPU,
    params:
        values=values_of("craft"),
    shell:
        "mngac {rule} --dataset {wildcards.dataset} --method {wildcards.method} --seed {wildcards.seed}"
        " --suite {wildcards.suite} --profile {wildcards.profile}"


rule challenge:
    input:
        stamp=".mngac/stamps/challenge/{dataset}-{method}-{seed}-{suite}-{profile}.json",
        data="data/{dataset}.safetensors",
        classifier="trained/{dataset}/{method}/seed{seed}/classifier.safetensors",
        record="records/{dataset}/{method}/seed{seed}/{suite}-{profile}.json",
        crafted=lambda w: list(crafted_of(PARAMS, dict(w.items()))),
    output:
        "challenges/{dataset}/{method}/seed{seed}/{suite}-{profile}.json",
    log:
        "logs/challenge/{dataset}-{method}-{seed}-{suite}-{profile}.log",
    threads: cores_of("challenge")
    resources:
        gpu=GPU,
    params:
        values=values_of("challenge"),
    shell:
        "mngac {rule} --dataset {wildcards.dataset} --method {wildcards.method} --seed {wildcards.seed}"
        " --suite {wildcards.suite} --profile {wildcards.profile}"


rule tightness:
    input:
        stamp=".mngac/stamps/tightness/{suite}-{profile}.json",
        challenges=lambda w: list(challenges_of(PARAMS, w.suite, w.profile)),
    output:
        expand("results/tables/tightness-{{suite}}-{{profile}}.{form}", form=["md", "csv", "tex", "json"]),
        expand("results/figures/tightness-{{suite}}-{{profile}}.{form}", form=["png", "svg"]),
    log:
        "logs/tightness/{suite}-{profile}.log",
    params:
        values=values_of("tightness"),
    shell:
        "mngac {rule} --suite {wildcards.suite} --profile {wildcards.profile}"
