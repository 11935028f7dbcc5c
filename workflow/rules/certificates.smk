rule certify:
    input:
        stamp=".mngac/stamps/certify/{dataset}-{method}-{seed}-{certificate}-{profile}.json",
        data="data/{dataset}.safetensors",
        classifier="trained/{dataset}/{method}/seed{seed}/classifier.safetensors",
    output:
        "certificates/{dataset}/{method}/seed{seed}/{certificate}-{profile}.json",
    log:
        "logs/certify/{dataset}-{method}-{seed}-{certificate}-{profile}.log",
    threads: cores_of("certify")
    resources:
        gpu=GPU,
    params:
        values=values_of("certify"),
    shell:
        "mngac {rule} --dataset {wildcards.dataset} --method {wildcards.method} --seed {wildcards.seed}"
        " --certificate {wildcards.certificate} --profile {wildcards.profile}"


rule certified_table:
    input:
        stamp=".mngac/stamps/certified_table/{certificate}.json",
        certificates=lambda w: list(certificates_of(PARAMS, w.certificate)),
    output:
        expand("results/tables/certified-{{certificate}}.{form}", form=["md", "csv", "tex", "json"]),
    log:
        "logs/certified_table/{certificate}.log",
    params:
        values=values_of("certified_table"),
    shell:
        "mngac {rule} --certificate {wildcards.certificate}"
