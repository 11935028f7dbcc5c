def one_of(names):
    """A wildcard constraint; without names, one that nothing meets."""
    return "|".join(names) or "(?!)"


def shown(names, dataset=""):
    """The figures' SVG files, marked for `snakemake --report`, each with its caption."""
    paths = {name: f"results/figures/{name}{dataset}.svg" for name in names}
    return [report(p, caption=f"../report/{n}.rst", category="Figures") for n, p in paths.items()]
