"""One page about one classifier: its numbers, how tight they are, what makes them doubtful, and what they cost.

Made from its record, and from what a challenge left of it. Loads without torch.
"""

from __future__ import annotations

from collections.abc import Sequence

from mngac.report.blocks import table
from mngac.report.document import document, escape
from mngac.results import red_flags, tightness, wording
from mngac.results.challenges import Challenge
from mngac.results.flag_meanings import meaning
from mngac.results.intervals import wilson
from mngac.results.printed import DASH
from mngac.results.records import Record
from mngac.results.wording import LABELS

NAMES = {"clean": "clean", **LABELS, "union": "union"}


def page(record: Record, challenge: Challenge | None, command: str, unlooked: Sequence[str] = ()) -> str:
    """The page as text.

    Args:
        record: of the classifier.
        challenge: what further rounds of attacks left of that record's union; None where none were run.
        command: the command line that made both.
        unlooked: what was not looked for, and why, in sentences.
    """
    flags = flags_of(record, challenge)
    parts = [
        ("accuracy", "Accuracy", _accuracy(record, challenge)),
        ("tightness", f"How tight the {_bound(record)} is", _tightness(record, challenge)),
        ("cost", "What each attack did, and its cost", _cost(record, challenge)),
        ("made", "How this was made", _made(record, command)),
    ]
    parts.insert(0 if flags else 1, ("red-flags", "Red flags", _flags(flags, unlooked)))
    contents = "".join(f'<li><a href="#{anchor}">{escape(title)}</a></li>' for anchor, title, _ in parts)
    sections = "\n".join(f'<section id="{a}"><h2>{escape(title)}</h2>\n{body}\n</section>' for a, title, body in parts)
    title = f"{record.method} on {record.dataset}"
    body = f"""<nav aria-label="Contents"><p>Contents</p><ul>{contents}</ul></nav>
<main>
<header><h1>{escape(title)}</h1>
<p class="lead">{escape(lead(record, challenge, flags, unlooked))}</p>
</header>
{sections}
</main>"""
    return document(f"mngac verdict: {title}", body)


def lead(record: Record, challenge: Challenge | None, flags: list[str], unlooked: Sequence[str] = ()) -> str:
    """The verdict in a few sentences."""
    norms = "all three norms" if "union" in record.columns() else _norms(record)
    bound = f" At most {_share(_union(record, challenge))} withstand all attacks of {norms}." if norms else ""
    if flags:
        trust = f" {len(flags)} red flag{'s' if len(flags) > 1 else ''}, to be read before any number."
    else:
        trust = "".join([" No red flag: nothing that was looked for was found.", *(f" {each}" for each in unlooked)])
    return f"{_share(record.clean_correct)} of {record.n} {record.split} images are classified correctly.{bound}{trust}"


def flags_of(record: Record, challenge: Challenge | None) -> list[str]:
    """Red flags of the record, and of a challenge those that are not in it."""
    flags = [*red_flags.of_record(record), *red_flags.across([record])]
    if challenge:
        flags += [flag for flag in tightness.flags_of(challenge) if " is not standard" not in flag]
    return list(dict.fromkeys(flags))


def _union(record: Record, challenge: Challenge | None) -> list[bool]:
    return challenge.after(len(challenge.rounds)) if challenge else record.union()


def _norms(record: Record) -> str:
    """The norms attacked, such as `l_inf, l_2`."""
    return ", ".join(LABELS[norm] for norm in record.norms())


def _bound(record: Record) -> str:
    """What all attacks together leave: the union of three norms, or else a bound."""
    return "union" if "union" in record.columns() else "bound"


def _together(record: Record) -> str:
    """The name of a column of all attacks: `union`, `l_inf`, or `every attack of l_inf, l_2`."""
    if "union" in record.columns():
        return "union"
    return f"every attack of {_norms(record)}" if len(record.norms()) > 1 else _norms(record)


def _share(correct: list[bool]) -> str:
    return f"{100 * sum(correct) / len(correct):.1f} %"


def _accuracy(record: Record, challenge: Challenge | None) -> str:
    radii = record.radii()
    lines = [_line(NAMES[name], radii.get(name, DASH), record.column(name)) for name in record.columns()]
    if challenge:
        lines.append(_line(f"{_together(record)}, challenged", DASH, _union(record, challenge)))
    note = (
        f"Percent of the {record.n} {record.split} images of {record.dataset} that are classified correctly: without "
        "attack, under every attack of a norm, and under all of them. Wilson's 95 % interval is over images. Robust "
        f"accuracy is an upper bound: suite {record.suite} at these radii broke the others."
    )
    return f'{table(lines)}<p class="caption">{escape(note)}</p>'


def _line(name: str, radius: str, correct: list[bool]) -> dict[str, str]:
    low, high = (100 * end for end in wilson(sum(correct), len(correct)))
    return {
        "": name,
        "radius": radius,
        "accuracy": _share(correct),
        "95 % interval": f"{low:.1f} to {high:.1f}",
        "images": f"{sum(correct)} of {len(correct)}",
    }


def _flags(flags: list[str], unlooked: Sequence[str]) -> str:
    rest = "".join(f"<p>{escape(each)}</p>" for each in unlooked)
    if not flags:
        return f"<p>None.</p>{rest}"
    items = "".join(f"<li><b>{escape(flag)}.</b> {escape(meaning(flag))}</li>\n" for flag in flags)
    return f"<ul>\n{items}</ul>{rest}"


def _tightness(record: Record, challenge: Challenge | None) -> str:
    if challenge is None:
        return "<p>Not tried: --challenge attacks what is left with further seeds and other suites.</p>"
    steps, seeds = tightness.steps(challenge), tightness.of_seeds(challenge)
    lines = [
        {"round": s.name, "before": str(s.before), "broken": str(s.before - s.after), "left": f"{s.share:.1f} %"}
        for s in steps
    ]
    blind = sum(challenge.without_gradients)
    said = [f"{blind} of the images broken here fell to attacks without gradients alone."]
    if seeds:
        most = tightness.one_more(seeds[-1])
        said.insert(0, f"A further seed of {challenge.suite} would take at most {most:.1f} points more (95 % limit).")
    left = "of the union" if _bound(record) == "union" else f"under {_norms(record)}"
    note = f"Each round attacks only what all before it left {left}. A bound that no round lowers is tight."
    return f'{table(lines)}<p>{escape(" ".join(said))}</p><p class="caption">{escape(note)}</p>'


def _cost(record: Record, challenge: Challenge | None) -> str:
    seconds = record.timing.get("seconds", {})
    lines = [
        {
            "attack": f"{attack.name} {LABELS[attack.norm]}",
            "images": str(len(attack.correct) - attack.correct.count(".")),
            "broken": str(attack.correct.count("0")),
            "rejected": str(attack.rejected),
            "passes": f"{attack.forwards:,}",
            "seconds": _seconds(seconds.get(f"{attack.name} {attack.norm}")),
        }
        for attack in record.attacks
    ]
    passes = sum(attack.forwards for attack in record.attacks)
    spent = sum(seconds.values())
    if challenge:
        passes += sum(attack.forwards for each in challenge.rounds for attack in each.attacks)
        spent += sum(challenge.timing.get("seconds", {}).values())
    note = (
        f"In all {passes:,} images were passed forward in {spent:,.1f} s on {record.provenance.get('device', DASH)}"
        f"{', the challenge among them' if challenge else ''}. Images: those that the norm's earlier attacks had left. "
        "Rejected: misclassified, but outside the ball or no image."
    )
    return f'{table(lines)}<p class="caption">{escape(note)}</p>'


def _seconds(value: float | None) -> str:
    return DASH if value is None else f"{value:.1f}"


def _made(record: Record, command: str) -> str:
    about = record.provenance
    versions = ", ".join(f"{name} {version}" for name, version in about.get("versions", {}).items())
    attacks = f"{record.suite}, {record.profile}; seed {record.suite_config.get('seed', DASH)}"
    said = {
        "suite, radii": attacks,
        "commit": wording.made_at(about),
        "versions": versions or DASH,
        "key of the record": about.get("key", DASH),
        "code of the attacks": about.get("code", DASH),
    }
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in said.items())
    return f'<pre class="scroll" tabindex="0">{escape(command)}</pre><dl>{items}</dl>'
