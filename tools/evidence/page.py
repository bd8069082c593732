"""The page *How sure this is*, made of the claims, the data and the code alone."""

from tools.evidence import store
from tools.evidence.claims import load_all
from tools.evidence.source import (
    fingerprint,
    lesson_names,
    lesson_path,
    lesson_source,
    n_asserts,
)
from tools.evidence.source import whole as whole_of
from tools.tree import ROOT, read

PAGE = ROOT / "appendix" / "evidence.md"
MOVES = ("1", "2", "3", "4", "5")  # times 1,000: what is added to a notebook's seeds

HEAD = """\
# How sure this is

*What the book claims, how often it was measured, and what came out*

{summary}

## How to read it

A lesson shows each of its claims in a cell. But a cell is one run: one seed, one number
of steps. Here the claims are measured again, with the lessons' own functions:

- under several **seeds**: other random weights and other random data;
- where something *fails*, with more **steps** as well. ×1 is the lesson's own number,
  ×2 and ×4 are twice and four times as many: a failure that only more steps would mend
  is none;
- with what a **sceptic** would try: a stronger reader, another rate, a larger model.

Below each claim stand its figures, from the least to the greatest over the seeds.
✓: every run agrees with the sentence. ✗: some do not, and the line says which.
○: the code behind the claim has changed since it was measured, or it never was; figures
of earlier code are left out. What counts as agreeing stands beside the claim in the
code, as `holds`.

The **asserts** of each notebook are run besides, with 1,000 added to all of its seeds,
then 2,000, and so on to 5,000.

This page is made from stored runs. To make those that are missing, and to doubt one:

```console
$ make evidence
$ python -m tools.evidence --again {example}
```

Either may be stopped at any time, and goes on where it was. All runs together took
{hours:.1f} hours of a processor core.
"""


def lesson_code(name):
    """The fingerprint of all that a lesson computes."""
    return fingerprint([(lesson_source(name), whole_of(name))])


class Row:
    """A claim beside its runs."""

    def __init__(self, claim, stored):
        self.claim = claim
        runs = store.fresh(stored, claim.code())
        self.runs = {unit: runs[unit] for unit in claim.units if unit in runs}
        self.stale = bool(stored) and not runs
        self.waits = len(self.runs) < len(claim.units)
        self.fell = [
            u for u in self.runs if not claim.agrees(u, self.runs[u]["figures"])
        ]
        self.mark = "✗" if self.fell else "○" if self.waits else "✓"

    def text(self):
        claim, short = self.claim, self.claim.name.split("/")[1]
        seeds = f"{len(claim.seeds)} seeds" if len(claim.seeds) > 1 else "1 seed"
        steps = ", ".join(f"×{budget}" for budget in claim.budgets)
        said = [f"{len(self.runs) - len(self.fell)} of {len(self.runs)} runs agree"]
        if not self.runs:
            said = ["its code has changed since it was measured" if self.stale else
                    "not measured yet"]  # fmt: skip
        elif self.waits:
            said.append(
                f"{len(claim.units) - len(self.runs)} more are still to be made"
            )
        if self.fell:
            where = [f"seed {u.replace('×', ' at ×')}" for u in self.fell]
            said.append(f"not {', '.join(where)}")
        said.append(seeds + (f"; steps {steps}" if len(claim.budgets) > 1 else ""))
        if claim.stronger:
            said.append(f"also tried: {claim.stronger}")
        return (
            f"**{self.mark} {claim.text.rstrip('.')}.** {'; '.join(said)}. `{short}`\n"
            + "".join(
                f"\n- {figure}: {ranges}" for figure, ranges in self.figures().items()
            )
        )

    def figures(self):
        """{figure: "0.49 … 0.52 (×1) · 0.48 … 0.5 (×2)"}."""
        names = dict.fromkeys(f for run in self.runs.values() for f in run["figures"])
        texts = {}
        for name in names:
            parts = []
            for budget in self.claim.budgets:
                values = [
                    run["figures"][name]
                    for unit, run in self.runs.items()
                    if self.claim.units[unit][1] == budget and name in run["figures"]
                ]
                if values:
                    ends = dict.fromkeys([number(min(values)), number(max(values))])
                    many = f" (×{budget})" if len(self.claim.budgets) > 1 else ""
                    parts.append(" … ".join(ends) + many)
            texts[name] = " · ".join(parts)
        return texts


def number(x):
    """Three significant digits, whole numbers whole: 0.498, 12,288, 3e-7."""
    if x == int(x) and abs(x) < 1e9:
        return f"{int(x):,}"
    if 1000 <= abs(x) < 1e9:
        return f"{x:,.0f}"
    mantissa, _, power = f"{x:.3g}".partition("e")
    return f"{mantissa}e{int(power)}" if power else mantissa


class Asserts:
    """A notebook's asserts beside their runs with other seeds."""

    def __init__(self, name, stored):
        self.runs = store.fresh(stored, lesson_code(name))
        self.count = n_asserts(name)
        self.waits = bool(self.count) and not set(MOVES) <= set(self.runs)
        self.fell = {}  # (cell, text): the moves
        for move in sorted(self.runs):
            for cell, text in self.runs[move]["fell"]:
                self.fell.setdefault((cell, text), []).append(f"{move},000")

    def text(self):
        if not self.count:
            return "It has no asserts: all that it prints is compared as it stands."
        if not self.runs:
            return "○ Its asserts were not run with other seeds since its code changed."
        many = f"{len(self.runs)} other seed{'s'[: len(self.runs) > 1]}"
        if not self.fell:
            mark = "○" if self.waits else "✓"
            many += " so far" if self.waits else ""
            if self.count == 1:
                return f"{mark} Its one assert holds under {many}."
            return f"{mark} Its {self.count} asserts hold under {many}."
        lines = [f"✗ Of its {self.count} asserts not all hold under {many}:\n"]
        for (cell, text), moves in self.fell.items():
            lines.append(
                f"- cell {cell}, `{text}`: not with {' and '.join(moves)} added"
            )
        return "\n".join(lines)


def gather():
    """({name: Row}, {page: Asserts}) as data and code are now."""
    data = store.read_data()
    rows = {n: Row(c, data["claims"].get(n, {})) for n, c in load_all().items()}
    return rows, {n: Asserts(n, data["asserts"].get(n, {})) for n in lesson_names()}


def waiting(rows):
    """The names of the claims that lack a run of their code as it is."""
    return [name for name, row in rows.items() if row.waits]


def summary(rows, asserts):
    """How many claims and asserts there are and how many hold, in sentences."""
    runs = sum(len(row.runs) for row in rows.values())
    marks = [row.mark for row in rows.values()]
    said = f"{len(rows)} claims, measured in {runs} runs: "
    said += f"{marks.count('✓')} hold in every one"
    said += f", {marks.count('✗')} do not" if "✗" in marks else ""
    said += f", {marks.count('○')} wait to be measured" if "○" in marks else ""
    ran = [a for a in asserts.values() if a.count and not a.waits]
    fell = sum(len(a.fell) for a in asserts.values())
    said += (
        f". {sum(a.count for a in ran)} asserts of {len(ran)} notebooks were run under"
    )
    said += f" {len(MOVES)} other seeds each"
    return said + (f"; {fell} fell." if fell else "; all hold.")


def text(rows, asserts):
    """The whole page."""
    runs = [run for x in (*rows.values(), *asserts.values()) for run in x.runs.values()]
    hours = sum(run["seconds"] for run in runs) / 3600
    example = next(iter(rows), "")
    parts = [HEAD.format(summary=summary(rows, asserts), hours=hours, example=example)]
    for name in lesson_names():
        group = [r for r in rows.values() if r.claim.about == name]
        if not (group or asserts[name].count):
            continue
        path = lesson_path(name)
        title = read(path).cells[0].source.splitlines()[0].removeprefix("# ")
        digits = name[:2] if name[:2].isdigit() else ""
        head = f"{int(digits)} · {title}" if digits.strip("0") else title
        link = path.relative_to(ROOT).as_posix()
        parts.append(f"({label(name)})=\n## {head}\n\n[The page itself](../{link})")
        group.sort(key=lambda r: ("✗○✓".index(r.mark), -len(r.claim.budgets)))
        parts += [row.text() for row in group]
        parts.append(asserts[name].text())
    return "\n\n".join(part.strip() for part in parts) + "\n"


def label(name):
    """The name that links to a lesson's section of the page use."""
    return "evidence-" + name.replace("/", "-")


def write():
    """Write the page; returns its summary."""
    rows, asserts = gather()
    PAGE.write_text(text(rows, asserts), encoding="utf-8")
    return summary(rows, asserts)
