def one_of(names):
    """A wildcard constraint; without names, one that nothing meets."""
    return "|".join(names) or "(?!)"


TEACHER = one_of(RUN.teachers)


def values_of(stage, **further):
    """A rule's `params:`: the resolved values that each of its jobs uses, so that no other value reruns it."""
    return lambda wildcards: job(PARAMS, stage, **dict(wildcards.items()), **further).values


def cores_of(stage):
    """A rule's `threads:`: the cores that each of its jobs keeps busy."""
    return lambda wildcards: job(PARAMS, stage, **dict(wildcards.items())).cores


def shown(names, dataset=""):
    """The figures' SVG files, marked for `snakemake --report`, each with its caption."""
    paths = {name: f"results/figures/{name}{dataset}.svg" for name in names}
    return [report(p, caption=f"../report/{n}.rst", category="Figures") for n, p in paths.items()]
