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
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil

from grading import doctor
from grading.course import store
from tests.answers import load
from tools.tree import ROOT, Chapter

NAME = "06_multi_head"
TARGET = 10  # times the submissions per minute of nbgrader
INTERVAL = 2  # seconds between two looks at the memory


@dataclass(frozen=True)
class Run:
    """What grading some submissions took.

    seconds: by the clock, from the command's start to its end.
    memory: bytes at one time after the other, of all processes below the command.
    """

    submissions: int
    seconds: float
    memory: list[int]

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


def command(course, *arguments, stdout=subprocess.PIPE):
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
        stdout=stdout,
        stderr=subprocess.STDOUT,
        text=True,
    )


def timed(course, submissions, arguments, look=False):
    """The Run of a command; raises RuntimeError with what it said if it fails.

    look: at the memory, which takes a fifth of the time of two cores.
    """
    memory, ended = [], threading.Event()
    start = time.perf_counter()
    with open(course / "said.txt", "w+") as said:
        process = command(course, *arguments, stdout=said)
        watch = threading.Thread(target=_look, args=(process.pid, ended, memory))
        if look:
            watch.start()
        process.wait()
        seconds = time.perf_counter() - start
        ended.set()
        if look:
            watch.join()
        said.seek(0)
        if process.returncode:
            raise RuntimeError(said.read()[-2000:])
    return Run(submissions, seconds, memory)


def _look(pid, ended, memory):
    """Note the bytes of all processes below `pid` now and then, until it has ended."""
    while not ended.wait(INTERVAL):
        with suppress(psutil.Error):
            family = psutil.Process(pid).children(recursive=True)
            memory.append(sum(map(_bytes, family)))


def _bytes(process):
    """Bytes of a process; a page that several share counts once in all."""
    with suppress(psutil.Error):
        return process.memory_full_info().pss
    return 0  # it has ended


def ours(course, submissions, jobs, look=False):
    """The Run of `python -m grading run`."""
    arguments = ["grading", "run", NAME, "--jobs", str(jobs)]
    return timed(course, submissions, arguments, look)


def theirs(course, submissions):
    """The Run of stock `nbgrader autograde`."""
    return timed(course, submissions, ["nbgrader", "autograde", NAME])


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
    for what in (f"solutions/{NAME}", "grading/course/templates"):
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
    print(row("nbgrader autograde", a))
    print(row(f"grading run, {jobs} workers", b))
    print(f"ratio {ratio:.1f} (target {TARGET}, {met}); the same points in both")
    print(f"warm: {warm(own, jobs):.2f} s a submission (median)", flush=True)
    hand_in(many, range(copies))
    c = ours(many, copies, jobs, look=True)
    print(row("copies, memory watched", c))
    found = points(many)
    if len(found) != copies:
        raise RuntimeError(f"{copies - len(found)} of {copies} copies were lost")
    half = len(c.memory) // 2
    early, late = (
        max(part, default=0) / jobs / 2**20
        for part in (c.memory[:half], c.memory[half:])
    )
    print(f"{copies} of {copies} in the gradebook; memory a worker, at most: ", end="")
    print(f"{early:.0f} MiB in the first half of the time, {late:.0f} in the second")


def row(what, run):
    """One line of the table."""
    return (
        f"{what:24}{run.submissions:6} submissions{run.seconds:8.1f} s"
        f"{run.rate:8.1f} a minute"
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
