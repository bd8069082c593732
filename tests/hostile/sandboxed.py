"""Grades hostile submissions as the course does, and says what went wrong with one.

`python -m tests.hostile.sandboxed CASE...` does it without a cgroup, for whoever runs
it, and prints a line of JSON for each case: its name, and its flaws.
"""

import json
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

import nbformat

from grading.course import clean as clean_html
from grading.grade import Result, grade
from grading.judge.limits import Limits
from grading.sandbox import spec
from grading.sandbox.cgroup import Cgroup
from tests.hostile import CASES, sheet
from tests.hostile.world import SECRETS, World, clean, left_files, survivors, tree

LIMITS = Limits(
    cell=4, call=4, test=10, total=90, output=1 << 16, memory=384 << 20, restarts=2
)
MOST_TOLD = 1 << 20  # characters of a result
AT_ONCE = 6  # most of the slow ones wait
AHEAD = 12  # that are begun before anybody asks


@dataclass(frozen=True)
class Graded:
    """What came of a case.

    touched: whether its world or its own folder has changed. left: what is still there
    of it: processes, files, and the sandbox's own folders.
    """

    result: Result
    touched: bool
    heard: bool
    left: list


def run(case, folder, folders):
    """Grade a case in a world of its own in `folder`; returns a Graded.

    folders: of `noted_folders`.
    """
    with World(folder / "world") as world:
        own, mark = folder / "handed in" / "hostile", f"{world.mark}-end"
        case.hand_in(own, world, world.facts(own, mark))
        before, mine = (world.state(), tree(own)), folders()
        try:
            result = grade(sheet.BUNDLE, own, LIMITS)
            touched = before != (world.state(), tree(own))
            left = [path for path in mine if Path(path).exists()]
            left += [*map(str, survivors(mark)), *left_files(mark)]
            return Graded(result, touched, world.heard(mark), left)
        finally:
            clean(mark)


def as_shown(result):
    """What is told of a submission, its Markdown as the pages show it."""
    if not result.notebook:
        return result.to_json()
    notebook = nbformat.reads(result.notebook, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = clean_html.markdown(cell.source)
    return replace(result, notebook=nbformat.writes(notebook)).to_json()


def flaws(case, graded):
    """What is not as the case deserves it, in words."""
    result, told = graded.result, as_shown(graded.result)
    words = "\n".join([*result.notes, *result.reasons.values()])
    secrets = [secret for secret in (*SECRETS, *case.secrets) if secret in told]
    found = {
        f"scores {result.scores}, not {case.deserved}": result.scores != case.deserved,
        f"reasons {result.reasons}, not for {list(case.lost)}": (
            set(result.reasons) != {f"test_{name}" for name in case.lost}
        ),
        f"{case.says!r} is not said: {words}": case.says not in words,
        f"{case.shows!r} is not shown": case.shows not in result.notebook,
        f"{secrets} leaked": bool(secrets),
        "a script would run": "<script" in told,
        f"{len(told)} characters of result": len(told) > MOST_TOLD,
        f"{result.manual} for a person": result.manual != ["essay"],
        f"{result.seconds:.0f} s": result.seconds > LIMITS.total + 10,
        "something has changed": graded.touched,
        "somebody was reached": graded.heard,
        f"left behind: {graded.left}": bool(graded.left),
    }
    return [flaw for flaw, is_so in found.items() if is_so]


@contextmanager
def noted_folders():
    """A function that starts a list of the folders of this thread's sandboxes."""
    lists, init, make = {}, spec.Box.__init__, Cgroup.__init__

    def box(self):
        init(self)
        lists.get(threading.get_ident(), []).append(str(self.path))

    def group(self, name, bounds):
        make(self, name, bounds)
        lists.get(threading.get_ident(), []).extend(self.folders)

    def start():
        lists[threading.get_ident()] = mine = []
        return mine

    with (
        mock.patch.object(spec.Box, "__init__", box),
        mock.patch.object(Cgroup, "__init__", group),
    ):
        yield start


class Grader:
    """Grades cases, a few at a time; used as a context.

    Whoever asks for one has the next ones begun.
    """

    def __init__(self, cases, folder):
        self.cases, self.folder, self.futures = list(cases), Path(folder), {}

    def __enter__(self):
        self._noted = noted_folders()
        self._folders = self._noted.__enter__()
        self._pool = ThreadPoolExecutor(AT_ONCE)
        return self

    def __exit__(self, *_):
        self._pool.shutdown(cancel_futures=True)
        self._noted.__exit__(None, None, None)

    def __call__(self, case):
        """The Graded of a case."""
        number = self.cases.index(case)
        for place, one in enumerate(self.cases[number : number + AHEAD], number):
            if str(one) not in self.futures:
                folder = self.folder / str(place)
                folder.mkdir()
                begun = self._pool.submit(run, one, folder, self._folders)
                self.futures[str(one)] = begun
        return self.futures[str(case)].result()


def main(names):
    """Grade the cases of these names without a cgroup, and print what is wrong."""
    cases = [case for case in CASES if str(case) in names]
    refuse = mock.Mock(side_effect=PermissionError)
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.multiple(Cgroup, _make_v1=refuse, _make_v2=refuse),
        Grader(cases, folder) as graded,
    ):
        for case in cases:
            print(json.dumps([str(case), flaws(case, graded(case))]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
