"""`python -m grading release`: the students' bundle, checked by opening it again."""

import io
import json
import re
import tomllib
import zipfile
from pathlib import Path

import nbformat

from grading.course import store

TOP = "x-to-gpt"
TARGET = Path("_build") / f"{TOP}.zip"
NOT_FOR_LEARNERS = ("the book", "grading")  # sections of requirements.txt
NOT_NEEDED = ("nbval", "pytest", "nh3")
RUN = 3  # lines in a row of a solution or hidden test that no other file may hold
SHORT = 40  # characters; shorter code is written by many
_DATE = (2000, 1, 1, 0, 0, 0)  # the same files make the same zip
README = """\
# From X·Xᵀ to GPT

Lessons, exercise sheets and the small library `dot2gpt`. Python 3.11 or newer is
needed; a GPU is not, and after the set-up no network.

## Set up

```sh
python3 -m venv .venv                               # Windows: py -m venv .venv
.venv/bin/python -m pip install -r requirements.txt   # Windows: .venv\\Scripts\\python
```

## Work

```sh
.venv/bin/jupyter lab                               # read a lesson in chapters/
.venv/bin/python -m dot2gpt list                    # the sheets, and which you started
.venv/bin/python -m dot2gpt start {example}     # your own copy, in submitted/me/
.venv/bin/python -m dot2gpt check {example}     # points, and what is wrong
```

Work in your copy. The checks that you see are not all: when your work is graded, others
are made with other numbers. Whatever you write may be tried as often as you like.

## Hand in

Save the notebook and hand in the file that `start` named,
`submitted/me/{example}/{sheet}`, under that name. Write your answers into the cells
that are there for them: a cell that is new or copied runs, but is not graded.
"""
CONFIG = '''\
"""nbgrader, for Validate in JupyterLab; this file also marks the course's folder."""

c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "x-to-gpt"
c.CourseDirectory.source_directory = "chapters"
'''


class ReleaseError(Exception):
    """The bundle cannot be made, or would give something away; the text says what."""


def release(root, names=(), target=None):
    """Write the students' zip; returns its path and the names of the files in it.

    names: chapters whose lessons and sheets go into it; all if there are none.

    Raises ReleaseError, and writes nothing, if a solution or a hidden test is in it.
    """
    root = Path(root)
    chapters = _chapters(root, names)
    files = _files(root, chapters)
    data = _zip(files)
    problems = problems_of(root, data)
    if problems:
        raise ReleaseError("nothing was written:\n  " + "\n  ".join(problems))
    target = Path(target) if target else root / TARGET
    store.write(target, data)
    return target, sorted(files)


def _chapters(root, names):
    known = sorted(path.name for path in (root / "chapters").glob("[0-9][0-9]_*"))
    for name in names:
        if name not in known:
            raise ReleaseError(
                f"there is no chapter {name!r}. There are: {', '.join(known)}"
            )
    return [name for name in known if not names or name in names]


def _files(root, chapters):
    """{name in the bundle: bytes}."""
    files = {}
    for chapter in chapters:
        for path in sorted((root / "chapters" / chapter).glob("*.ipynb")):
            files[f"chapters/{chapter}/{path.name}"] = path.read_bytes()
    library = root / "dot2gpt"
    for path in sorted(library.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            files[path.relative_to(root).as_posix()] = path.read_bytes()
    sheets = [name for name in files if name.endswith("_exercises.ipynb")]
    if not sheets:
        raise ReleaseError("chapters/ holds no exercise sheets: make sync")
    _, example, sheet = sheets[-1].split("/")
    own = {
        "README.md": README.format(example=example, sheet=sheet),
        "nbgrader_config.py": CONFIG,
        "pyproject.toml": _project(root),
        "requirements.txt": _requirements(root),
    }
    return {**files, **{name: text.encode("utf-8") for name, text in own.items()}}


def _requirements(root):
    """requirements.txt less the sections and packages that learners do not need."""
    text = (root / "requirements.txt").read_text(encoding="utf-8")
    kept = []
    for block in text.split("\n\n"):
        title = block.partition("\n")[0].lstrip("# ")
        if title.startswith(NOT_FOR_LEARNERS):
            continue
        lines = [
            line
            for line in block.splitlines()
            if re.split(r"[=<>\[ ]", line)[0] not in NOT_NEEDED
        ]
        kept.append("\n".join(lines))
    return "\n\n".join(kept).strip() + "\n"


def _project(root):
    """pyproject.toml for the library alone."""
    ours = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    project, tools = ours["project"], ours["tool"]["setuptools"]
    data = tools.get("package-data", {}).get("dot2gpt", [])
    wanted = [one for one in project["dependencies"] if one not in NOT_NEEDED]
    project = {**project, "dependencies": wanted}
    keys = ("name", "version", "description", "requires-python", "dependencies")
    lines = ["[build-system]"]
    lines += [f"{k} = {_toml(v)}" for k, v in ours["build-system"].items()]
    lines += ["", "[project]"]
    lines += [f"{key} = {_toml(project[key])}" for key in keys]
    lines += [
        "",
        "[tool.setuptools]",
        'packages = ["dot2gpt", "dot2gpt.sheet_tests"]',
        "",
    ]
    lines += ["[tool.setuptools.package-data]", f"dot2gpt = {_toml(data)}"]
    return "\n".join(lines) + "\n"


def _toml(value):
    return json.dumps(value, ensure_ascii=False)  # the same for strings and lists


def _zip(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sorted(files.items()):
            info = zipfile.ZipInfo(f"{TOP}/{name}", _DATE)
            info.external_attr = 0o644 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return buffer.getvalue()


# ---- the check ----------------------------------------------------------------------


def problems_of(root, data):
    """What a bundle (the bytes of a zip) gives away that learners may not see."""
    problems, sources = [], _sources(Path(root))
    secrets = [secret for source in sources.values() for secret in source.secrets]
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in archive.namelist():
            plain = name.removeprefix(f"{TOP}/")
            if not _may_be_there(plain):
                problems.append(f"{plain} does not belong into it")
            text = _text(plain, archive.read(name))
            if plain in sources:
                said = sources[plain].differences(text)
            else:
                said = _secrets_in(text, secrets)
            problems += [f"{plain}: {why}" for why in said + _marks_in(text)]
    return problems


def _may_be_there(name):
    if name in (
        "README.md",
        "nbgrader_config.py",
        "pyproject.toml",
        "requirements.txt",
    ):
        return True
    lesson_or_sheet = re.fullmatch(r"chapters/[0-9]{2}_\w+/\w+\.ipynb", name)
    library = re.fullmatch(r"dot2gpt/[\w./-]+\.(py|js|css|woff2?|ttf|otf|txt|md)", name)
    return bool(lesson_or_sheet or library) and ".." not in name


class _Source:
    """What the solutions of one sheet hold that the sheet may not."""

    def __init__(self, path):
        from nbgrader import preprocessors

        from grading.course.one_line import OneLineTests

        notebook = nbformat.read(path, as_version=4)
        before = [cell.source for cell in notebook.cells]
        for name in ("LockCells", "ClearSolutions", "ClearOutput", "ClearHiddenTests"):
            make = getattr(preprocessors, name)
            notebook, _ = make().preprocess(notebook, {})
        self.secrets = []
        for own, left in zip(before, notebook.cells):
            shown = set(_lines(left.source))
            hidden = [line for line in _lines(own) if line not in shown]
            if hidden:
                self.secrets.append(hidden)
        where = {"nbgrader": {"assignment": path.parent.name}}
        notebook, _ = OneLineTests().preprocess(notebook, where)
        self.released = [cell.source for cell in notebook.cells]

    def differences(self, sheet):
        """Whether a sheet is what nbgrader makes of these solutions."""
        if _cells_text(self.released) != sheet.partition(_OUTPUTS)[0]:
            return ["is not what its solutions make: make sync"]
        return []


def _sources(root):
    """{name of a sheet in the bundle: _Source}."""
    found = {}
    for path in sorted(root.glob("solutions/*/*_exercises.ipynb")):
        found[f"chapters/{path.parent.name}/{path.name}"] = _Source(path)
    return found


_OUTPUTS = "\n\f outputs \f\n"


def _cells_text(sources):
    return "\n\f\n".join(sources)


def _text(name, data):
    """What can be read in a file: of a notebook, its cells and then its outputs."""
    if not name.endswith(".ipynb"):
        return data.decode("utf-8", "ignore")
    notebook = nbformat.reads(data.decode("utf-8"), as_version=4)
    sources = _cells_text([cell.source for cell in notebook.cells])
    outputs = [json.dumps(c.outputs) for c in notebook.cells if c.get("outputs")]
    return sources + _OUTPUTS + "\n".join(outputs).replace("\\n", "\n")


def _lines(text):
    """The lines that say something, less spaces, comments and nbgrader's marks."""
    lines = (" ".join(line.split()) for line in text.splitlines())
    return [line for line in lines if len(line) > 3 and not line.startswith("#")]


def _marks_in(text):
    marks = ("BEGIN SOLUTION", "BEGIN HIDDEN TESTS", "BEGIN MARK SCHEME")
    return [f"holds ### {mark}" for mark in marks if f"### {mark}" in text]


def _secrets_in(text, secrets):
    """Sentences on solutions and hidden tests, `RUN` lines in a row, that are in it."""
    found, lines = [], _lines(text)
    there, joined = set(lines), "\n" + "\n".join(lines) + "\n"
    for secret in secrets:
        runs = [secret[i : i + RUN] for i in range(len(secret) - RUN + 1)] or [secret]
        for run in runs:
            block = "\n".join(run)
            if run[0] in there and len(block) > SHORT and f"\n{block}\n" in joined:
                found.append(f"holds lines of the solutions: {run[0]!r} …")
                break
    return found
