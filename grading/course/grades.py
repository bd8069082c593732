"""`python -m grading grades`: the points in the gradebook, as an LMS imports them.

The points are nbgrader's: those of the tests, or what a person gave instead in
Formgrader, less the penalties that nbgrader was told to take.
"""

import csv
import io
from dataclasses import dataclass
from datetime import UTC, datetime

from grading.course import clean, collect
from grading.course.gradebook import course_directory, opened

CHANGED = "Last modified (grade)"
FORMATS = ("plain", "canvas", "moodle")


class GradesError(Exception):
    """The grades cannot be written like that; the text says why."""


@dataclass(frozen=True)
class Grade:
    """What one student got for one assignment."""

    student: str
    assignment: str
    points: float
    possible: float
    for_a_person: bool  # something in it still has to be graded or looked at
    received: object  # collect.Received, None if it was not collected


def read(root, names=()):
    """[Grade] of all that was graded, of the named assignments or of all."""
    from nbgrader.api import MissingEntry

    found, course = [], course_directory(root)
    with opened(course) as gradebook:
        known = [assignment.name for assignment in gradebook.assignments]
        for name in names or sorted(known):
            try:
                assignment = gradebook.find_assignment(name)
            except MissingEntry:
                raise GradesError(f"{name!r} was never graded") from None
            received = collect.received(root, name)
            for one in assignment.submissions:
                student = one.student.id
                points = max(0.0, one.score - (one.late_submission_penalty or 0.0))
                found.append(
                    Grade(
                        student,
                        name,
                        points,
                        assignment.max_score,
                        bool(one.needs_manual_grade),
                        received.get(student),
                    )
                )
    return sorted(found, key=lambda grade: (grade.assignment, grade.student))


def as_csv(grades, format, column=""):
    """(text of the CSV file, names of students that it has to leave out).

    format: "plain", "canvas" or "moodle".
    column: the LMS's name of the assignment; "" for ours.

    Raises GradesError if the format cannot hold these grades.
    """
    if not grades:
        raise GradesError("nothing is graded yet: python -m grading run")
    rows, left_out = {"plain": _plain, "canvas": _canvas, "moodle": _moodle}[format](
        grades, column
    )
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue(), left_out


def _plain(grades, column):
    head = ["student", "name", "assignment", "points", "possible"]
    rows = [[*head, "handed_in", "late", "submissions", "needs_a_person"]]
    for grade in grades:
        got = grade.received or collect.Received(grade.student)
        rows.append(
            [
                clean.cell(grade.student),
                clean.cell(got.shown_name()),
                grade.assignment,
                f"{grade.points:g}",
                f"{grade.possible:g}",
                got.time,
                "yes" if got.late else "",
                got.count,
                "yes" if grade.for_a_person else "",
            ]
        )
    return rows, []


def _canvas(grades, column):
    """Canvas, Grades, Import: it finds students by ID and assignments by name."""
    names = sorted({grade.assignment for grade in grades})
    if column and len(names) > 1:
        raise GradesError("--column names one assignment: name it, too")
    titles = [column] if column else names
    possible = {grade.assignment: grade.possible for grade in grades}
    ours, left_out = _by_lms(grades, "canvas")
    fixed = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
    blank = ["", "", "", ""]
    rows = [[*fixed, *titles]]
    rows.append(["    Points Possible", *blank, *(f"{possible[n]:g}" for n in names)])
    for lms_id, own in sorted(ours.items()):
        points = {grade.assignment: f"{grade.points:g}" for grade in own}
        name = clean.cell(own[0].received.shown_name())
        rows.append([name, lms_id, "", "", "", *(points.get(n, "") for n in names)])
    return rows, left_out


def _moodle(grades, column):
    """Moodle, Assignment, Upload grading worksheet: numbers are per assignment.

    Its importer wants these titles, in English. Grades that Moodle holds from before
    the time of change are replaced, later ones stay.
    """
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    if len({grade.assignment for grade in grades}) > 1:
        raise GradesError(
            "Moodle's grading worksheet holds one assignment: name it, as in "
            f"python -m grading grades {grades[0].assignment} --csv FILE --for moodle"
        )
    ours, left_out = _by_lms(grades, "moodle")
    rows = [["Identifier", "Full name", "Grade", "Maximum grade", CHANGED]]
    for lms_id, (grade, *_) in sorted(ours.items()):
        points = [f"{grade.points:g}", f"{grade.possible:g}"]
        name = clean.cell(grade.received.shown_name())
        rows.append([f"Participant {lms_id}", name, *points, now])
    return rows, left_out


def _by_lms(grades, lms):
    """({id in the LMS: grades}, students who did not come from that LMS)."""
    ours, others = {}, set()
    for grade in grades:
        got = grade.received  # without a number: a code, or no group
        if got and got.lms == lms and got.lms_id.isdecimal():
            ours.setdefault(grade.received.lms_id, []).append(grade)
        else:
            others.add(grade.student)
    if not ours:
        raise GradesError(
            f"none of these students came from an export of {lms.capitalize()}: "
            "`python -m grading collect` notes their numbers there; or --for plain"
        )
    return ours, sorted(others)
