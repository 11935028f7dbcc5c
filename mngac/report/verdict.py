"""One page about one classifier: its numbers, how tight they are, what makes them doubtful, and what they cost.

Made from its record, and from what a challenge left of it. Loads without torch.
"""

from __future__ import annotations

from mngac.report.blocks import table
from mngac.report.document import document, escape
from mngac.results import red_flags, tightness
from mngac.results.challenges import Challenge
from mngac.results.flag_meanings import meaning
from mngac.results.intervals import wilson
from mngac.results.printed import DASH
from mngac.results.records import Record
from mngac.results.wording import LABELS

NAMES = {"clean": "clean", **LABELS, "union": "union"}


def page(record: Record, challenge: Challenge | None, command: str) -> str:
    """The page as text.

    Args:
        record: of the classifier.
        challenge: what further rounds of attacks left of that record's union; None where none were run.
        command: the command line that made both.
    """
    flags = flags_of(record, challenge)
    parts = [
        ("accuracy", "Accuracy", _accuracy(record, challenge)),
        ("tightness", "How tight the union is", _tightness(challenge)),
        ("cost", "What each attack did, and its cost", _cost(record, challenge)),
        ("made", "How this was made", _made(record, command)),
    ]
    parts.insert(0 if flags else 1, ("red-flags", "Red flags", _flags(flags)))
    contents = "".join(f'<li><a href="#{anchor}">{escape(title)}</a></li>' for anchor, title, _ in parts)
    sections = "\n".join(f'<section id="{a}"><h2>{escape(title)}</h2>\n{body}\n</section>' for a, title, body in parts)
    title = f"{record.method} on {record.dataset}"
    body = f"""<nav aria-label="Contents"><p>Contents</p><ul>{contents}</ul></nav>
<main>
<header><h1>{escape(title)}</h1>
<p class="lead">{escape(lead(record, challenge, flags))}</p>
</header>
{sections}
</main>"""
    return document(f"mngac verdict: {title}", body)


def lead(record: Record, challenge: Challenge | None, flags: list[str]) -> str:
    """The verdict in a few sentences."""
    columns = record.columns()
    union = _union(record, challenge) if "union" in columns else None
    bound = f" At most {_share(union)} withstand all attacks of all three norms." if union else ""
    if flags:
        trust = f" {len(flags)} red flag{'s' if len(flags) > 1 else ''}, to be read before any number."
    else:
        trust = " No red flag: nothing that was looked for was found."
    return f"{_share(record.clean_correct)} of {record.n} {record.split} images are classified correctly.{bound}{trust}"


def flags_of(record: Record, challenge: Challenge | None) -> list[str]:
    """Red flags of the record, and of a challenge those that are not in it."""
    flags = [*red_flags.of_record(record), *red_flags.across([record])]
    if challenge:
        flags += [flag for flag in tightness.flags_of(challenge) if " is not standard" not in flag]
    return list(dict.fromkeys(flags))


def _union(record: Record, challenge: Challenge | None) -> list[bool]:
    return challenge.after(len(challenge.rounds)) if challenge else record.union()


def _share(correct: list[bool]) -> str:
    return f"{100 * sum(correct) / len(correct):.1f} %"


def _accuracy(record: Record, challenge: Challenge | None) -> str:
    radii = record.radii()
    lines = [_line(NAMES[name], radii.get(name, DASH), record.column(name)) for name in record.columns()]
    if challenge:
        lines.append(_line("union, challenged", DASH, _union(record, challenge)))
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


def _flags(flags: list[str]) -> str:
    if not flags:
        return "<p>None.</p>"
    items = "".join(f"<li><b>{escape(flag)}.</b> {escape(meaning(flag))}</li>\n" for flag in flags)
    return f"<ul>\n{items}</ul>"


def _tightness(challenge: Challenge | None) -> str:
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
    note = "Each round attacks only what all before it left of the union. A bound that no round lowers is tight."
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
        "commit": about.get("commit", DASH),
        "versions": versions or DASH,
        "key of the record": about.get("key", DASH),
        "code of the attacks": about.get("code", DASH),
    }
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in said.items())
    return f'<pre class="scroll" tabindex="0">{escape(command)}</pre><dl>{items}</dl>'
