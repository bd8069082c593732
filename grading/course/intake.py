"""Which file of a student's is read, and the answers that are in it.

`read` runs nothing; `dot2gpt.handed_in` reads a file, here and for learners.
"""

import os
import re
from dataclasses import dataclass, replace

from dot2gpt import handed_in
from dot2gpt.handed_in import MAX_FILE, NOTEBOOK, SCRIPT, Rejected, Step, shown

OTHER = (".txt", ".json", ".jupyter", ".md")  # a notebook or a script by another name
_COPY = re.compile(r"\.ipynb_checkpoints|^__MACOSX$|^\.")


@dataclass(frozen=True)
class Intake:
    """What was found in a submission."""

    name: str  # of the file that was read
    steps: tuple[Step, ...]
    notes: tuple[str, ...]  # sentences: what was odd, and what was done about it

    @property
    def answers(self):
        """{grade_id: source} of the answers, the parts of one below each other."""
        found = {}
        for step in self.steps:
            if step.grade_id:
                found.setdefault(step.grade_id, []).append(step.source)
        return {key: "\n\n".join(parts) for key, parts in found.items()}


def read(folder, bundle, max_file=MAX_FILE):
    """The submission in `folder`, lined up with the cells of `bundle`.

    The expected notebook is read; another one stands in for it if it is missing, cannot
    be read or holds no answer while another does.

    Raises Rejected, a sentence for the student, if nothing there can be graded.
    """
    expected = f"{bundle.notebook}.ipynb"
    found, refused = [], []
    for names in _candidates(folder, expected):
        for name in names:
            path = os.path.join(folder, name)
            try:
                found.append(_read_file(path, name, bundle, max_file))
            except Rejected as why:
                refused.append((name, str(why)))
        if found:
            break
    else:
        raise Rejected(_all_refused(refused, expected, bundle))
    best = max(found, key=lambda one: _rank(one, expected, bundle))
    notes = _notes_on_names(best, found, refused, expected)
    if not _rank(best, expected, bundle)[0]:
        notes.append("no answer is written: the sheet is as it was handed out")
    return replace(best, notes=(*notes, *best.notes))


def _all_refused(refused, expected, bundle):
    if not refused:
        return (
            f"no notebook was handed in for {bundle.assignment}: hand in {expected}, "
            "the file that you worked in"
        )
    return "; ".join(f"{shown(name)}: {why}" for name, why in refused[:3])


def _rank(intake, expected, bundle):
    """Best first: something is written, it is the expected file, more is written."""
    released, own = bundle.course.released, intake.answers.items()
    written = sum(text.strip() not in ("", released[key].strip()) for key, text in own)
    return written > 0, intake.name == expected, written


def _notes_on_names(best, found, refused, expected):
    notes = []
    if best.name != expected:
        notes.append(
            f"the notebook should be called {expected}; {shown(best.name)} was read"
        )
    for name, why in refused:
        notes.append(f"{shown(name)} was left out: {why}")
    others = [shown(one.name) for one in found if one is not best]
    if others:
        notes.append(f"only {shown(best.name)} is graded, not {', '.join(others)}")
    return notes


def _candidates(folder, expected):
    """Lists of files below `folder` that may hold the answers, the likeliest first."""
    if os.path.islink(folder):
        raise Rejected("the folder is a symbolic link: hand in the files themselves")
    try:
        names = _listed(folder)
    except OSError as error:
        raise Rejected(f"the folder cannot be read: {error.strerror}") from None
    names.sort(key=lambda name: (name != expected, name))
    lists = [
        [name for name in names if name.lower().endswith(endings)][:20]
        for endings in (NOTEBOOK, SCRIPT, OTHER)
    ]
    if names and not any(lists):
        raise Rejected(
            f"none of the files handed in is a notebook: {_several(names)}. "
            f"Hand in {expected}, the file that you worked in"
        )
    return lists


def _several(names):
    return ", ".join(map(shown, names[:5])) + (" …" if len(names) > 5 else "")


def _listed(folder):
    """Files in `folder` and in its subfolders, as paths below it; links not followed.

    Two levels are looked at: people hand in an unpacked folder within the folder.
    """
    found = []
    for top, folders, files in os.walk(folder):
        depth = os.path.relpath(top, folder).count(os.sep) + (top != str(folder))
        folders[:] = [f for f in folders if depth < 2 and not _COPY.search(f)]
        for file in files:
            if not _COPY.search(file) and file != "timestamp.txt":
                found.append(os.path.relpath(os.path.join(top, file), folder))
        if len(found) > 2000:
            raise Rejected("there are over 2000 files in the folder")
    return found


def _read_file(path, name, bundle, max_file):
    """The Intake of one file."""
    cells, notes = handed_in.cells(path, name, max_file)
    steps, said = handed_in.line_up(cells, bundle.course)
    return Intake(name, tuple(steps), (*notes, *said))
