"""Prove the sheets' tests: each mutant of a solution must lose its points.

    python -m tools.mutants                    every sheet, what changed since
    python -m tools.mutants 06_multi_head      one chapter
    python -m tools.mutants --part 20          about one mutant in twenty

A mutant is the solution with one small mistake. Killed by the visible tests alone, or
by the hidden ones too; else it is listed as equivalent beside the chapter's answers, or
it survives: then a case is missing. Verdicts are kept in _build/mutants, and stopping
(Ctrl-C) loses none of them. Ends with 1 if a mutant survives.
"""

import argparse
import contextlib
import hashlib
import json
import math
import os
import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import wait

import nbformat
from tqdm import tqdm

from tests.answers import load_equivalent
from tools.execute import fingerprint
from tools.mutants.bench import Bench, cases
from tools.mutants.operators import mutants
from tools.tree import ROOT, chapters

STORE = ROOT / "_build" / "mutants"
# Answers through which somebody differentiates, in the tests or in training.
GRADIENTS = re.compile(
    r"requires_grad|\.backward\(|autograd\.grad\(|nn\.Module\b|def \w*loss\b"
)


@dataclass
class Result:
    """The mutants of one solution cell and what became of them."""

    chapter: str
    grade_id: str
    mutants: list
    equivalent: dict = field(default_factory=dict)  # changed line -> reason
    verdicts: dict = field(default_factory=dict)  # number of the mutant -> verdict

    def of(self, verdict):
        return [
            self.mutants[n] for n, v in sorted(self.verdicts.items()) if v == verdict
        ]

    @property
    def survivors(self):
        return [m for m in self.of("survived") if not self._reason(m)]

    @property
    def explained(self):
        return [m for m in self.of("survived") if self._reason(m)]

    @property
    def untrue(self):
        """What is listed as equivalent and is none: killed, or not made any more."""
        maybe = [
            mutant.change
            for number, mutant in enumerate(self.mutants)
            if self.verdicts.get(number, "survived") == "survived"
        ]
        return [line for line in self.equivalent if not any(map(_like(line), maybe))]

    def _reason(self, mutant):
        return any(_like(line)(mutant.change) for line in self.equivalent)


def _like(line):
    """Whether a change is that of EQUIVALENT, where … stands for any text."""
    return re.compile(".*".join(map(re.escape, line.split("…")))).fullmatch


class Store:
    """The verdicts of one chapter, a line each, written as they come."""

    def __init__(self, path):
        self.path, self.known = path, {}
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(ValueError):  # a line that was cut short
                    self.known.update([json.loads(line)])

    def add(self, key, verdict):
        self.known[key] = verdict
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([key, verdict]) + "\n")


def context_of(case):
    """A hash of all that a verdict hangs on besides the mutant."""
    cells = [*case.before, *case.between, case.test]
    made = [nbformat.v4.new_code_cell(source) for source in cells]
    return fingerprint(nbformat.v4.new_notebook(cells=made))


def key_of(context, mutant):
    """What a verdict is stored under."""
    return hashlib.sha256(f"{context}\0{mutant.source}".encode()).hexdigest()[:20]


def made(chapter):
    """(case, its mutants) for each solution cell of a chapter."""
    for case in cases(chapter):
        gradients = bool(GRADIENTS.search(case.source + case.test))
        yield case, mutants(case.source, case.test, gradients)


def prove(wanted, jobs=1, part=1, store=STORE, bar=None):
    """Judge the mutants of some chapters; yields a Result a cell as it is done.

    part: of each cell, one mutant in so many, chosen by hash and rounded up.
    """
    waiting, running = [], {}
    for chapter in wanted:
        stored = Store(store / f"{chapter.name}.jsonl")
        known = load_equivalent(chapter.answers) or {}
        for case, every in made(chapter):
            context = context_of(case)
            keys = [key_of(context, m) for m in every]
            by_hash = sorted(range(len(every)), key=lambda n: key_of("", every[n]))
            chosen = sorted(by_hash[: math.ceil(len(every) / part)])
            listed = known.get(case.grade_id, {})
            result = Result(chapter.name, case.grade_id, every, listed)
            result.verdicts = {
                n: stored.known[keys[n]] for n in chosen if keys[n] in stored.known
            }
            left = [n for n in chosen if n not in result.verdicts]
            if bar is not None:
                bar.total = (bar.total or 0) + len(left)
            waiting.append((case, result, keys, left, stored))
    waiting.reverse()
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                case, result, keys, left, stored = waiting.pop()
                if not left:
                    yield result
                    continue
                bench = Bench(case, [result.mutants[n].source for n in left])
                running[bench.verdicts] = bench, result, keys, left, stored
            for pipe in wait(list(running)) if running else ():
                bench, result, keys, left, stored = running[pipe]
                try:
                    answer = pipe.recv()
                except EOFError:
                    raise RuntimeError(f"{result.grade_id}: its bench broke") from None
                if isinstance(answer, Exception):
                    raise answer
                number, verdict = left[answer[0]], answer[1]
                result.verdicts[number] = verdict
                stored.add(keys[number], verdict)
                if bar is not None:
                    bar.set_description(f"{result.chapter} {result.grade_id}", False)
                    bar.update()
                if answer[0] == len(left) - 1:
                    running.pop(pipe)[0].close()
                    yield result
    finally:
        for bench, *_ in running.values():
            bench.close()


HEAD = f"{'':30} mutants  visible   hidden   equivalent  survive"


def row(name, results):
    """One line of the report."""
    count = Counter()
    for r in results:
        count.update(r.verdicts.values())
        count["left"] += len(r.survivors)
    same = count["survived"] - count["left"]
    total = sum(len(r.verdicts) for r in results) - count["same"]
    killed = count["visible"] + count["hidden"]
    share = f"{100 * count['hidden'] / killed:.1f}%" if killed else ""
    return (
        f"{name:30} {total:7} {count['visible']:8} {count['hidden']:4} {share:>6}"
        f" {same:9} {count['left']:8}"
    )


def report(results):
    """What became of the mutants of one chapter, as text."""
    lines = [HEAD, row(results[0].chapter, results)]
    lines += [row(f"  {r.grade_id}", [r]) for r in results]
    for title, pick in (
        ("SURVIVE: a case is missing, or they are equivalent", lambda r: r.survivors),
        ("HIDDEN: only the hidden tests kill them", lambda r: r.of("hidden")),
    ):
        for r in results:
            if pick(r):
                lines += ["", f"{r.grade_id} · {title}"]
                for m in pick(r):
                    lines += [f"  [{m.kind}]", f"  - {m.old}", f"  + {m.new}"]
    for r in results:
        if r.untrue:
            lines += ["", f"{r.grade_id} · listed as EQUIVALENT, and not so"]
            lines += [f"  {line}" for line in r.untrue]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(
        prog="python -m tools.mutants",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", help="chapters, such as 06_multi_head")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument(
        "--part", type=int, default=1, metavar="N", help="one mutant in N of each cell"
    )
    parser.add_argument(
        "--cell", action="append", help="list what is made of a cell, judging nothing"
    )
    options = parser.parse_args()
    wanted = [c for c in chapters() if c.solutions.exists()]
    if options.names:
        unknown = set(options.names) - {c.name for c in wanted}
        if unknown:
            parser.error(f"no sheet is called {' or '.join(sorted(unknown))}")
        wanted = [c for c in wanted if c.name in options.names]
    if options.cell:
        for chapter in wanted:
            for case, every in made(chapter):
                if case.grade_id in options.cell:
                    print(*(f"[{m.kind}] {m.change}" for m in every), sep="\n")
        return
    sys.exit(_run(wanted, options))


def _run(wanted, options):
    """Judge, write a report a chapter and print the figures; returns 1 if one fails."""
    os.environ.update(OMP_NUM_THREADS="1", OMP_WAIT_POLICY="passive")
    done, failed = {c.name: [] for c in wanted}, False
    order = {c.name: [x.grade_id for x in cases(c)] for c in wanted}
    bar = tqdm(total=0, unit="mutant", mininterval=1)
    try:
        with bar:
            for r in prove(wanted, options.jobs, options.part, bar=bar):
                done[r.chapter].append(r)
                failed |= bool(r.survivors or r.untrue)
                if len(done[r.chapter]) == len(order[r.chapter]):
                    done[r.chapter].sort(
                        key=lambda r: order[r.chapter].index(r.grade_id)
                    )
                    path = STORE / f"{r.chapter}.txt"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(report(done[r.chapter]), encoding="utf-8")
    except KeyboardInterrupt:
        print("stopped; the verdicts so far are kept: run it again to go on")
        failed = True
    print(HEAD)
    for name, results in done.items():
        print(row(name, results))
    print(row("all", [r for results in done.values() for r in results]))
    print(f"what survives, and the change in it: {STORE.relative_to(ROOT)}/*.txt")
    return int(failed)


if __name__ == "__main__":
    main()
