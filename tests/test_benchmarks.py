"""The benchmarks run, compare like with like, and judge the ratios rightly."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import bpe
from benchmarks.measure import Row, side_by_side, table
from dot2gpt.corpus import textbook
from tools.chromium import chromium

ROOT = Path(__file__).resolve().parents[1]


def test_the_command_prints_a_table():
    """Both sides compute the same: each benchmark asserts it."""
    command = [sys.executable, "-m", "benchmarks", "--quick"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    starts = ["training", "20 tokens, transformers", "20 tokens, no cache", "BPE"]
    if chromium():
        starts.insert(3, "20 tokens in Chromium")
    for line, start in zip(lines[1:], starts):
        assert line.startswith(start), done.stdout
    assert lines[-1].startswith("one thread, CPU time; torch ")


def test_the_ratio_is_a_median_and_is_held_against_the_target():
    rows = [
        Row("fast", [1, 2, 4], [2, 6, 20], 10, "things/s", 3),
        Row("slow", [2, 2, 2], [1, 4, 4], 10, "things/s", 2.1),
        Row("plain", [2], [1], 10, "things/s"),
    ]
    fast, slow, plain = table(rows).splitlines()[1:]
    assert fast.split() == "fast 5 2 things/s 3.00 2.00 to 5.00 3, met".split()
    assert slow.split() == "slow 5 2 things/s 2.00 0.50 to 2.00 2.1, missed".split()
    assert plain.split() == "plain 5 10 things/s 0.50 0.50 to 0.50".split()


def test_sides_are_called_in_turn_and_the_first_round_is_left_out():
    calls = []
    times = side_by_side(lambda: calls.append("a"), lambda: calls.append("b"), 3)
    assert "".join(calls) == "abababab" and [len(t) for t in times] == [3, 3]


@pytest.mark.parametrize("spoil", [None, 40])
def test_a_merge_of_a_rarer_pair_is_found(spoil):
    text = textbook()[:20_000]
    merges = bpe.read_merges(bpe.train_theirs(bpe.parts_of(text), 320))
    if spoil is not None:
        merges[spoil:] = merges[-1:]  # two bytes that are rarer than those before
    assert bpe.first_that_is_not_most_frequent(merges, text) == spoil
