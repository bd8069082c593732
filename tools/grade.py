"""Autograde what lies in submitted/: scores, feedback pages and grades.csv.

    python -m tools.grade 06_multi_head     one assignment
    python -m tools.grade                   every assignment that was handed in

It runs nbgrader's own commands. The learners' code runs as you, on your machine.
"""

import argparse
import subprocess
import sys

from tools.tree import ROOT, chapters


def nbgrader(*arguments):
    """Run one command of nbgrader in the course; returns whether it worked."""
    command = [sys.executable, "-m", "nbgrader", *arguments]
    return subprocess.call(command, cwd=ROOT) == 0


def main():
    parser = argparse.ArgumentParser(
        prog="python -m tools.grade",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="ASSIGNMENT")
    names = parser.parse_args().names
    handed_in = {
        path.name for path in (ROOT / "submitted").glob("*/*") if path.is_dir()
    }
    known = [c.name for c in chapters() if c.solutions.exists()]
    for name in names:
        if name not in known:
            parser.error(f"there is no assignment {name!r}: {', '.join(known)}")
        if name not in handed_in:
            parser.error(
                f"nobody handed in {name}: submitted/STUDENT/{name}/ is missing"
            )
    wanted = [name for name in known if name in (names or handed_in)]
    if not wanted:
        sys.exit(
            "nothing is handed in: put notebooks into submitted/STUDENT/ASSIGNMENT/"
        )
    failed = []
    for name in wanted:
        # The gradebook has to know the sheet as it is now, before it grades answers.
        steps = (
            ("generate_assignment", name, "--force"),
            ("autograde", name, "--force"),
            ("generate_feedback", name, "--force"),
        )
        if not all(nbgrader(*step) for step in steps):
            failed.append(name)
    nbgrader("export")
    if failed:
        sys.exit(
            f"some submissions could not be graded: {', '.join(failed)} (see above)"
        )
    print("scores are in grades.csv, pages for the learners in feedback/")


if __name__ == "__main__":
    main()
