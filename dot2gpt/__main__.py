"""The learner's command line: `python -m dot2gpt`.

A command is a function that adds its own parser and sets `run` on it, which takes the
parsed arguments and returns an exit code. Commands of other modules join `main`'s list.
"""

import argparse
import json
import sys

from dot2gpt import quick_start, running, sheets  # noqa: F401 (quick_start: first)
from dot2gpt.commands.export import add_export
from dot2gpt.commands.generate import add_generate
from dot2gpt.commands.page import add_page
from dot2gpt.commands.train import add_train

HELP = """\
Work the exercise sheets of "From X·Xᵀ to GPT", and train a GPT of your own.

  python -m dot2gpt list                  the chapters, and your points in each
  python -m dot2gpt start 06_multi_head   copy a sheet to submitted/me/, to work in
  python -m dot2gpt check 06_multi_head   run your sheet, see points and what is wrong
  python -m dot2gpt train                 train a GPT on a text
  python -m dot2gpt generate --prompt The let it continue one
  python -m dot2gpt export --out my_gpt2  write it for transformers
  python -m dot2gpt page                  put it into an HTML file, to look into it
"""
CHECK = """\
Run sheets from the first cell to the last in a clean kernel, and show the points.

  python -m dot2gpt check                 all sheets that you have started
  python -m dot2gpt check 6               chapter 6; 06_multi_head will do, too
  python -m dot2gpt check my/sheet.ipynb  the sheet in this file
  python -m dot2gpt check 6 --json        for programs

Exit code: 0 all right, 1 something is wrong or not written, 2 a sheet cannot be read.
"""
START = """\
Copy a chapter's sheet to submitted/me/, where you work in it. Nothing is overwritten.

  python -m dot2gpt start 06_multi_head
  python -m dot2gpt start 6 --to ~/my_answers
"""
MARKS = {
    "right": "✓",
    "wrong": "✗",
    "not written": "·",
    "timed out": "✗",
    "not run": "·",
}


def main(argv=None):
    """Run one command; returns its exit code."""
    for stream in (sys.stdout, sys.stderr):  # a Windows console may not know ✓
        stream.reconfigure(errors="replace")
    parser = _parser("python -m dot2gpt", HELP, argparse.ArgumentParser)
    parser.set_defaults(run=lambda _: parser.print_help() or 2)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    course = (add_list, add_start, add_check)
    for add in (*course, add_train, add_generate, add_page, add_export):
        add(commands)
    arguments = parser.parse_args(argv)
    try:
        return arguments.run(arguments)
    except sheets.SheetError as error:
        return _refuse(error)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `| head` has seen enough
        sys.stderr.close()
        return 141


def add_check(commands):
    """Add `check`: run sheets and show the points."""
    parser = _command(
        commands, "check", "run sheets, show points and what is wrong", CHECK
    )
    parser.add_argument(
        "sheets", metavar="SHEET", nargs="*", help="a chapter or an .ipynb file"
    )
    parser.add_argument(
        "--timeout",
        metavar="S",
        type=_seconds,
        default=running.TIMEOUT,
        help="seconds that one cell may take (default: %(default)s)",
    )
    parser.add_argument(
        "--json", action="store_true", help="print JSON instead of a table"
    )
    parser.set_defaults(run=check)


def add_start(commands):
    """Add `start`: copy a sheet to work in."""
    parser = _command(commands, "start", "copy a sheet, to work in", START)
    parser.add_argument(
        "sheet", metavar="SHEET", help="a chapter, such as 06_multi_head"
    )
    parser.add_argument(
        "--to", metavar="FOLDER", help="another folder than submitted/me/"
    )
    parser.set_defaults(run=start)


def add_list(commands):
    """Add `list`: the chapters and the learner's points."""
    help = "show the chapters, and your points as your saved sheets tell them"
    parser = _command(commands, "list", help, help.capitalize() + ".")
    parser.set_defaults(run=list_chapters)


def check(arguments):
    """Run the named sheets, or all that are started."""
    names = arguments.sheets or sheets.started_sheets(sheets.course_root())
    if not names:
        raise sheets.SheetError(
            "you have not started a sheet: python -m dot2gpt start "
            f"{next(iter(sheets.chapters(sheets.course_root())), 'CHAPTER')}"
        )
    code, done = 0, []
    for name in names:
        try:
            sheet = sheets.read_sheet(sheets.find_sheet(name))
            print(f"reading {sheets.shown(sheet.path)}", file=sys.stderr)
            report = running.run_sheet(sheet, arguments.timeout)
        except sheets.SheetError as error:
            code = _refuse(error)
            done.append({"path": str(name), "error": str(error)})
            continue
        code = max(code, 0 if report.right else 1)
        done.append(_plain(report))
        if not arguments.json:
            print(_table(report), flush=True)
    if arguments.json:
        print(json.dumps({"sheets": done}, ensure_ascii=False, indent=2))
    elif len(done) > 1:
        earned = sum(sheet.get("earned", 0) for sheet in done)
        possible = sum(sheet.get("possible", 0) for sheet in done)
        print(f"All sheets: {earned:g} of {possible:g} points")
    return code


def start(arguments):
    """Copy a sheet and say what to open."""
    root = sheets.course_root()
    chapter = sheets.chapter_named(arguments.sheet, root)
    path = sheets.shown(sheets.start_sheet(chapter, arguments.to))
    again = path if arguments.to else chapter.name
    print(f"Your sheet is {path}\nOpen it:  jupyter lab {_quoted(path)}")
    print(f"Check it: python -m dot2gpt check {_quoted(again)}")
    return 0


def list_chapters(arguments):
    """Print a line for each chapter that has a sheet, and the points of all."""
    root = sheets.course_root()
    known = sheets.chapters(root)
    if not known:
        raise sheets.SheetError(
            f"there are no exercise sheets in {sheets.shown(root / 'chapters')}"
        )
    started = {path.parent.name: path for path in sheets.started_sheets(root)}
    width, total, possible = max(map(len, known)), 0, 0
    for name, chapter in known.items():
        path = sheets.shown(started.get(name, chapter.released))
        try:
            earned, points = sheets.progress(chapter)
        except sheets.SheetError as error:
            print(f"{name:{width}}  {error}")
            continue
        total, possible = total + (earned or 0), possible + points
        state = "not started" if earned is None else f"{earned:g} of {points:g}"
        print(f"{name:{width}}  {state:11}  {points:3g} points  {path}")
    print(f"\n{total:g} of {possible:g} points, as you ran and saved your sheets")
    return 0


def _table(report):
    """The report as text: a line an exercise, what is wrong below it, and the total."""
    rows = [
        (MARKS[r.status], r.title, f"{r.earned:g}/{r.possible:g}", r)
        for r in report.results
    ]
    width = max(len(title) for _, title, _, _ in rows)
    right = max(len(points) for _, _, points, _ in rows)
    lines = [report.sheet.assignment]
    lines += [f"  note: {note}" for note in report.sheet.notes]
    for mark, title, points, result in rows:
        said = (
            ""
            if result.status in ("right", "wrong")
            else f"  {_in_words(result.status)}"
        )
        lines.append(f"  {mark} {title:{width}}  {points:>{right}}{said}")
        lines += [f"      {line}" for line in result.wrong]
    if report.trouble:
        lines.append(f"  stopped: {report.trouble}")
    lines.append(f"  {report.earned:g} of {report.possible:g} points")
    if not any("BEGIN HIDDEN TESTS" in c["source"] for c in report.sheet.cells):
        lines.append("  More is tested when it is handed in.")
    return "\n".join([*lines, ""])


def _in_words(status):
    return "not written yet" if status == "not written" else status


def _plain(report):
    """The report as a dictionary for JSON."""
    sheet = report.sheet
    return {
        "path": sheets.shown(sheet.path),
        "assignment": sheet.assignment,
        "notes": sheet.notes,
        "trouble": report.trouble,
        "earned": report.earned,
        "possible": report.possible,
        "exercises": [vars(result) for result in report.results],
    }


def _refuse(error):
    print(f"dot2gpt: {error}", file=sys.stderr)
    return 2


def _seconds(text):
    try:
        seconds = int(text)
    except ValueError:
        seconds = 0
    if seconds < 1:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a whole number of seconds above 0"
        )
    return seconds


def _quoted(path):
    return f'"{path}"' if " " in path else path


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
