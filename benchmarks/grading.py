"""Grading beside stock nbgrader: `python -m benchmarks.grading`.

The same submissions of a sheet of the course, with the right and wrong answers of
`tests/answers/` in turn, go through `nbgrader autograde` and `python -m grading run`,
one after the other. Both must give the same points.
"""

import argparse
import copy
import csv
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil

from grading import doctor, store
from tests.answers import load
from tools.tree import ROOT, Chapter

NAME = "06_multi_head"
TARGET = 10  # times the submissions per minute of nbgrader
INTERVAL = 0.5  # seconds between two looks at the memory


@dataclass(frozen=True)
class Run:
    """What grading some submissions took.

    seconds: by the clock, from the command's start to its end.
    memory: bytes, the most of all processes below the command, or of all if `alone`.
    """

    submissions: int
    seconds: float
    memory: int

    @property
    def rate(self):
        """Submissions per minute."""
        return 60 * self.submissions / self.seconds


def hand_in(course, numbers):
    """Put submissions with these numbers into submitted/; each is another file."""
    chapter = Chapter(NAME)
    answers = load(chapter.answers)
    blank = nbformat.read(chapter.sheet, as_version=4)
    for number in numbers:
        notebook = copy.deepcopy(blank)
        for cell in notebook.cells:
            if given := answers.get(cell.metadata.get("nbgrader", {}).get("grade_id")):
                chosen = given[number % len(given)].code
                cell.source = f"# submission {number}\n{chosen}"
        path = course / f"submitted/s{number:04}/{NAME}" / chapter.sheet.name
        path.parent.mkdir(parents=True)
        nbformat.write(notebook, path)


def command(course, *arguments):
    """Start `python -m ...` in a course, with no settings of this user's."""
    private = str(course.parent / "jupyter")
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=course,
        env=os.environ
        | {
            "PYTHONPATH": str(ROOT),
            "JUPYTER_CONFIG_DIR": private,
            "JUPYTER_DATA_DIR": private,
            "OMP_NUM_THREADS": "1",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def timed(course, submissions, arguments, *, alone):
    """The Run of a command; raises RuntimeError with what it said if it fails."""
    start, most = time.perf_counter(), 0
    with open(course / "said.txt", "w+") as said:
        process = command(course, *arguments)
        pump = subprocess.Popen(["cat"], stdin=process.stdout, stdout=said)
        while process.poll() is None:
            most = max(most, memory(process.pid, alone))
            time.sleep(INTERVAL)
        seconds = time.perf_counter() - start
        pump.wait()
        said.seek(0)
        if process.returncode:
            raise RuntimeError(said.read()[-2000:])
    return Run(submissions, seconds, most)


def memory(pid, alone):
    """Bytes of a command's processes; a page that several share counts once in all."""
    try:
        command = psutil.Process(pid)
        family = command.children(recursive=True) + [command] * alone
    except psutil.NoSuchProcess:
        return 0
    total = 0
    for process in family:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            pass  # it has ended
    return total


def ours(course, submissions, jobs):
    """The Run of `python -m grading run`."""
    arguments = ["grading", "run", NAME, "--jobs", str(jobs)]
    return timed(course, submissions, arguments, alone=False)


def theirs(course, submissions):
    """The Run of stock `nbgrader autograde`."""
    arguments = ["nbgrader", "autograde", NAME]
    return timed(course, submissions, arguments, alone=True)


def points(course):
    """{student: points} of the gradebook."""
    done = command(course, "nbgrader", "export")
    said, _ = done.communicate()
    if done.returncode:
        raise RuntimeError(said[-2000:])
    with open(course / "grades.csv", newline="") as file:
        return {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}


def warm(course, jobs):
    """Median seconds of a submission, without the first of each worker."""
    saved = store.Store(course, NAME)
    students = sorted(path.name for path in course.glob("submitted/*"))
    taken = sorted(saved.get(student).result.seconds for student in students)
    return statistics.median(taken[:-jobs] or taken)


def courses(folder, numbers):
    """Three equal courses with an empty gradebook; two of them hold submissions."""
    first = folder / "stock"
    for what in (f"solutions/{NAME}", "grading/templates"):
        shutil.copytree(ROOT / what, first / what)
    shutil.copy(ROOT / "nbgrader_config.py", first)
    made = command(first, "nbgrader", "generate_assignment", NAME)
    said, _ = made.communicate()
    if made.returncode:
        raise RuntimeError(said[-2000:])
    others = [Path(shutil.copytree(first, folder / n)) for n in ("ours", "copies")]
    for course in (first, others[0]):
        hand_in(course, numbers)
    return first, *others


def compare(folder, number, copies, jobs):
    """Print what grading `number` submissions takes, and `copies` of them."""
    stock, own, many = courses(folder, range(number))
    a, b = theirs(stock, number), ours(own, number, jobs)
    if points(stock) != points(own):
        raise RuntimeError(f"the points differ: {points(stock)} and {points(own)}")
    ratio = b.rate / a.rate
    met = "met" if ratio >= TARGET else "missed"
    print(row("nbgrader autograde", a, 1))
    print(row(f"grading run, {jobs} workers", b, jobs))
    print(f"ratio {ratio:.1f} (target {TARGET}, {met}); the same points in both")
    print(f"warm: {warm(own, jobs):.2f} s a submission (median)", flush=True)
    hand_in(many, range(copies))
    c = ours(many, copies, jobs)
    print(row("copies", c, jobs))
    found = points(many)
    if len(found) != copies:
        raise RuntimeError(f"{copies - len(found)} of {copies} copies were lost")
    growth = c.memory / b.memory - 1
    print(f"{copies} of {copies} in the gradebook; memory {growth:+.0%}")


def row(what, run, workers):
    """One line of the table."""
    return (
        f"{what:24}{run.submissions:6} submissions{run.seconds:8.1f} s"
        f"{run.rate:8.1f} a minute{run.memory / workers / 2**20:8.0f} MiB a worker"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--number", type=int, default=30, help="submissions (default: %(default)s)")
    add("--copies", type=int, help="submissions of the long run (default: ten times)")
    add("--jobs", type=int, default=2, help="workers (default: %(default)s)")
    add("--quick", action="store_true", help="3 submissions: only shows that it runs")
    options = parser.parse_args()
    number = 3 if options.quick else options.number
    copies = options.copies or (6 if options.quick else 10 * number)
    if problems := doctor.problems():
        sys.exit(f"there is no sandbox to measure: {'; '.join(problems)}")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        compare(Path(folder), number, copies, options.jobs)
    print(f"load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
