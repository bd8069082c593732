"""Take times side by side and print them as a table."""

import argparse
import os
import statistics
import time
from dataclasses import dataclass
from importlib.metadata import version

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # before tokenizers is imported


@dataclass(frozen=True)
class Row:
    """One comparison: what ours and theirs cost, and the ratio that is aimed at."""

    what: str
    ours: list  # seconds a repeat
    theirs: list
    amount: float  # of `unit`, done in a repeat
    unit: str
    target: float | None = None

    @property
    def ratios(self):
        """Their time by ours, a repeat each, sorted: above 1 ours is faster."""
        return sorted(b / a for a, b in zip(self.ours, self.theirs))


def side_by_side(ours, theirs, repeats):
    """Times of two functions in CPU seconds, called in turn; a first round is left out.

    CPU time is the time on a quiet machine: what else runs is not counted. With one
    thread it is what a clock would show.
    """
    times = [], []
    for _ in range(repeats + 1):
        for call, taken in zip((ours, theirs), times):
            start = time.process_time()
            call()
            taken.append(time.process_time() - start)
    return times[0][1:], times[1][1:]


def table(rows):
    """The rows as text: rates, the median ratio, its middle half, and the target."""
    lines = [("", "ours", "theirs", "", "ratio", "middle half", "target")]
    for row in rows:
        ratio = statistics.median(row.ratios)
        n = len(row.ratios)
        low, high = row.ratios[n // 4], row.ratios[-1 - n // 4]
        rates = (row.amount / statistics.median(t) for t in (row.ours, row.theirs))
        aim = "" if row.target is None else f"{row.target:g}"
        if row.target is not None:
            aim += ", met" if ratio >= row.target else ", missed"
        middle = f"{low:.2f} to {high:.2f}"
        ours, theirs = (f"{rate:,.0f}" for rate in rates)
        lines.append((row.what, ours, theirs, row.unit, f"{ratio:.2f}", middle, aim))
    widths = [max(map(len, column)) for column in zip(*lines)]
    left = (0, 3, 6)  # words; numbers stand to the right
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths))
        ).rstrip()
        for line in lines
    )


def main(description, *parts):
    """Run parts (quick -> rows) as a command and print their table."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes: only shows that it runs"
    )
    quick = parser.parse_args().quick
    import torch
    import transformers

    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    print(table([row for part in parts for row in part(quick)]))
    names = ("torch", "transformers", "tokenizers")
    print("\none thread, CPU time;", ", ".join(f"{n} {version(n)}" for n in names))
