"""The instructor's command line: `python -m grading`.

A command is a function that adds its own parser and sets `run` on it, which takes the
parsed arguments and returns an exit code.
"""

import argparse
import re
import sys
from datetime import datetime
from pathlib import Path

from grading.sandbox import scope

HELP = """\
Grade what strangers hand in: in a sandbox, many at a time, and nothing is lost.

  python -m grading doctor                   what this machine can do
  python -m grading release                  the students' bundle, as a zip
  python -m grading collect submissions.zip  sort an export of the LMS into submitted/
  python -m grading run 06_multi_head        grade it, and write the gradebook
  nbgrader generate_feedback 06_multi_head   a page for each student
  python -m grading grades --csv grades.csv  the points, as an LMS imports them
"""
DOCTOR = """\
Say whether a sandbox can be made on this machine, what it keeps in, and how to get what
is missing. Nothing is installed. Exit code: 0 it can be made, 1 it can't.
"""
RUN = """\
Grade submitted/STUDENT/ASSIGNMENT/ and write nbgrader's gradebook and autograded/.

  python -m grading run                          all that was handed in
  python -m grading run 06_multi_head --jobs 8   one assignment, eight at a time
  python -m grading run 06_multi_head --only ada --again --timeout 120
  python -m grading run --scheduler tcp://10.0.0.5:8786

Answers run in a sandbox, the tests outside of it. What was graded is saved at once in
graded/: stop it or lose power, and the same command goes on where it was. A submission
that has not changed is not graded again, unless its sheet has, or --again is given.
Points that a person gave in Formgrader stay.

Then: look at what was reported, grade what needs a person in Formgrader (`make lab`),
and make the students' pages with `nbgrader generate_feedback ASSIGNMENT`.

Exit code: 0 all graded, whatever is reported of it, 1 something was left out or could
not be graded, 2 the run could not be made or ended early, 130 stopped with Ctrl-C.
"""
RELEASE = """\
Make the zip that students get: lessons, sheets, dot2gpt, requirements, a README.

  python -m grading release                              all chapters
  python -m grading release 00_before_attention 01_dot_product --to week1.zip

It holds no solutions, hidden tests, grading or tests: the zip is opened again and
searched for them before it is written.
"""
COLLECT = """\
Sort what an LMS exports, a zip or a folder, into submitted/STUDENT/ASSIGNMENT/.

  python -m grading collect submissions.zip
  python -m grading collect submissions.zip --assignment 06_multi_head
  python -m grading collect inbox/ --due "2026-11-20 23:59"

These names are understood:
  Canvas       lovelaceada_LATE_4711_99_sheet.ipynb, anon_x7Kp2_99_sheet.ipynb
  Moodle       Ada Lovelace_4711_assignsubmission_file_/sheet.ipynb
  Blackboard   HW1_ada1_attempt_2026-11-19-10-00-00_sheet.ipynb
  Brightspace  39786-640693 - Ada Lovelace - Oct 10, 2026 1022 AM/sheet.ipynb
  Gradescope   submission_4711/sheet.ipynb, with submission_metadata.yml
  flat         ada_sheet.ipynb, ada.ipynb
  folders      ada/sheet.ipynb, ada/06_multi_head/...

The system's number says who it is, and is a part of the folder's name. Moodle's is
another one in each assignment. What fits none of these is left out, and said.

Which assignment a notebook belongs to is read in the notebook. All that comes in is
kept in collected/; a student's newest submission counts. Files that would lead out of
the archive, links and zip bombs are left out, and said. Canvas and Moodle do not say
when something was handed in: --due cannot judge it, and Canvas's LATE counts.

Exit code: 0 all sorted, 1 something was left out, 2 nothing could be read.
"""
GRADES = """\
Show the points in the gradebook, or write them for the LMS.

  python -m grading grades                                        a table
  python -m grading grades --csv grades.csv                       a plain CSV file
  python -m grading grades --csv canvas.csv --for canvas          Grades, Import
  python -m grading grades 06_multi_head --csv m.csv --for moodle
                                             Assignment, Upload grading worksheet

Canvas finds its assignment by the title of the column. Export Canvas's gradebook to see
it, and give it: 06_multi_head --column "Multi-head (1234)".
"""


def main(argv=None):
    """Run one command; returns its exit code."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")
    parser = _parser("python -m grading", HELP, argparse.ArgumentParser)
    parser.set_defaults(run=lambda _: parser.print_help() or 2)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for add in (add_run, add_doctor, add_release, add_collect, add_grades):
        add(commands)
    arguments = parser.parse_args(argv)
    if argv is None and vars(arguments).get("no_sandbox") is False:
        scope.enter([sys.executable, "-m", "grading", *sys.argv[1:]])
    try:
        return arguments.run(arguments)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `| head` has seen enough
        sys.stderr.close()
        return 141


def add_doctor(commands):
    """Add `doctor`: what this machine can do."""
    parser = _command(commands, "doctor", "what this machine can do", DOCTOR)
    parser.set_defaults(run=doctor)


def doctor(arguments):
    """Say whether a sandbox can be made, and what it holds."""
    from grading import doctor

    return doctor.report()


# ---- run ----------------------------------------------------------------------------


def add_run(commands):
    """Add `run`: grade."""
    parser = _command(commands, "run", "grade what was handed in", RUN)
    add = parser.add_argument
    add("names", metavar="ASSIGNMENT", nargs="*", help="default: all handed in")
    add("--jobs", metavar="N", type=_count, default=0, help="default: one a core")
    add(
        "--only",
        metavar="STUDENT",
        action="extend",
        nargs="+",
        default=[],
        help="these students alone",
    )
    add("--again", action="store_true", help="grade again what has not changed, too")
    add(
        "--timeout",
        metavar="S",
        type=_count,
        help="seconds that one cell may take (default: 30); the other limits grow with "
        "it: half of it a call from a test, twice a test, six times a notebook",
    )
    add("--memory", metavar="SIZE", type=_bytes, help="a sandbox's; default: 2GiB")
    add("--scheduler", metavar="tcp://…", default="", help="grade on Dask's workers")
    add(
        "--no-sandbox",
        action="store_true",
        help="run the answers as you, with your files and network: only for people "
        "whom you trust",
    )
    parser.set_defaults(run=run)


def run(arguments):
    """Grade, and print the summary."""
    from grading import run
    from grading.course import summary
    from grading.course.gradebook import GradebookError

    root = _root()
    options = run.Options(
        names=[name.rstrip("/") for name in arguments.names],
        only=arguments.only,
        jobs=arguments.jobs,
        again=arguments.again,
        limits=_limits(arguments.timeout, arguments.memory),
        scheduler=arguments.scheduler,
        sandbox="none" if arguments.no_sandbox else "warm",
    )
    try:
        outcomes = run.run(root, options)
    except (run.RunError, GradebookError) as error:
        return _refuse(error)
    except KeyboardInterrupt:
        return _stopped()
    for outcome in outcomes:
        path = summary.write(root, outcome)
        print(summary.text(outcome, summary.SHOWN))
        print(f"\nThe whole table is in {path.relative_to(root)}\n")
    return 1 if any(o.failed or o.trouble for o in outcomes) else 0


def _stopped():
    print(
        "\nstopped: what was graded is saved and written; the same command goes on",
        file=sys.stderr,
    )
    return 130


def _limits(timeout, memory):
    from dataclasses import replace

    from grading.judge.limits import Limits

    limits = Limits()
    if timeout:
        times = {"cell": 1, "call": 0.5, "test": 2, "total": 6}
        limits = replace(limits, **{k: v * timeout for k, v in times.items()})
    return replace(limits, memory=memory) if memory else limits


# ---- release, collect, grades -------------------------------------------------------


def add_release(commands):
    """Add `release`: the students' bundle."""
    parser = _command(commands, "release", "make the students' zip", RELEASE)
    parser.add_argument("names", metavar="CHAPTER", nargs="*", help="default: all")
    parser.add_argument("--to", metavar="FILE", help="default: _build/x-to-gpt.zip")
    parser.set_defaults(run=release)


def release(arguments):
    """Make the bundle and say what is in it."""
    from grading.course import release

    root = _root()
    try:
        path, names = release.release(root, arguments.names, arguments.to)
    except (release.ReleaseError, OSError) as error:
        return _refuse(error)
    sheets = sum(name.endswith("_exercises.ipynb") for name in names)
    size = path.stat().st_size / (1 << 20)
    print(f"{path}: {size:.1f} MiB, {sheets} sheets, {len(names)} files")
    print("searched: no solution and no hidden test is in it")
    return 0


def add_collect(commands):
    """Add `collect`: sort an LMS's export into submitted/."""
    parser = _command(commands, "collect", "sort an export into submitted/", COLLECT)
    add = parser.add_argument
    add("source", metavar="ZIP_OR_FOLDER")
    add("--assignment", metavar="NAME", default="", help="all of it is this one's")
    add(
        "--due",
        metavar="TIME",
        type=_when,
        help='what came later is late: "2026-11-20 23:59", in local time',
    )
    parser.set_defaults(run=collect)


def collect(arguments):
    """Sort an export and say what came of it."""
    from grading import run
    from grading.course import archives, collect, store

    root = _root()
    known = run.assignments(root)
    if arguments.assignment and arguments.assignment not in known:
        return _refuse(
            f"there is no assignment {arguments.assignment!r}: {', '.join(known)}"
        )
    try:
        with store.alone(root):
            done = collect.collect(
                root, arguments.source, arguments.assignment, arguments.due
            )
    except (archives.Refused, store.Busy, OSError) as error:
        return _refuse(error)
    print(_collected(done))
    return 1 if done.refused else 0


def _collected(done):
    """What was collected, in lines."""
    lines = []
    for name in sorted({assignment for assignment, _ in done.new}):
        own = [got for (assignment, _), got in done.new.items() if assignment == name]
        lines.append(f"{name}: {len(own)} students")
        for got in own:
            lines += [f"  {got.student}: {note}" for note in got.notes()]
        lines.append(f"  now: python -m grading run {name}")
    for lms, students in sorted(done.untimed.items()):
        says = f"{lms.capitalize()}'s export" if lms else "the export"
        lines.append(
            f"--due says nothing of {len(students)} students: {says} does not say when "
            "they handed in" + (", its LATE counts" if lms == "canvas" else "")
        )
    if done.known:
        lines.append(f"{done.known} submissions were there already")
    lines += done.refused
    return "\n".join(lines) or "nothing was handed in"


def add_grades(commands):
    """Add `grades`: the points, for people or for an LMS."""
    parser = _command(commands, "grades", "points, for you or for the LMS", GRADES)
    add = parser.add_argument
    add("names", metavar="ASSIGNMENT", nargs="*", help="default: all graded")
    add("--csv", metavar="FILE", help="write them; - prints them")
    add(
        "--for",
        dest="format",
        choices=("plain", "canvas", "moodle"),
        default="plain",
        help="how the file has to look (default: %(default)s)",
    )
    add("--column", metavar="TITLE", default="", help="the assignment's in Canvas")
    parser.set_defaults(run=grades)


def grades(arguments):
    """Show or write the grades."""
    from grading.course import grades, store
    from grading.course.gradebook import GradebookError

    try:
        found = grades.read(_root(), arguments.names)
        text, left_out = grades.as_csv(found, arguments.format, arguments.column)
        if arguments.csv and arguments.csv != "-":
            store.write(arguments.csv, text.encode("utf-8-sig"))
    except (grades.GradesError, GradebookError, OSError) as error:
        return _refuse(error)
    if arguments.csv == "-":
        print(text, end="")
    elif not arguments.csv:
        print(_grade_table(found))
    else:
        print(f"{arguments.csv}: {len(found) - len(left_out)} grades")
    for student in left_out:
        print(f"not from {arguments.format}, left out: {student}", file=sys.stderr)
    waiting = sorted({grade.student for grade in found if grade.for_a_person})
    if waiting:
        print(
            f"{len(waiting)} students have something that a person has to look at in "
            f"Formgrader: {', '.join(waiting[:10])}",
            file=sys.stderr,
        )
    return 0


def _grade_table(found):
    width = max(len(grade.student) for grade in found)
    lines = [
        f"{g.assignment:24}  {g.student:{width}}  {g.points:>6g} of {g.possible:g}"
        for g in found
    ]
    return "\n".join(lines)


# ---- helpers ------------------------------------------------------------------------


def _root():
    """The course's folder: this one, or one above it; else this repository."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "solutions").is_dir() and (
            folder / "nbgrader_config.py"
        ).is_file():
            return folder
    return Path(__file__).resolve().parents[1]


def _refuse(error):
    print(f"grading: {error}", file=sys.stderr)
    return 2


def _count(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _bytes(text):
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG])(?:i?B)?", text, re.IGNORECASE)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 2GiB or 512M")
    return int(float(match[1]) * (1 << {"K": 10, "M": 20, "G": 30}[match[2].upper()]))


def _when(text):
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time such as 2026-11-20 23:59"
        ) from None


def _command(commands, name, help, description):
    return _parser(name, description, commands.add_parser, help=help)


def _parser(name, description, make, **options):
    return make(
        name,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        **options,
    )


if __name__ == "__main__":
    sys.exit(main())
