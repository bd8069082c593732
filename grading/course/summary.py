"""What a run says at its end: a table of scores, and what was reported and why."""

from statistics import mean, median

from grading.course import store

SHOWN = 40  # students in the table on the terminal; the file has all


def write(root, outcome):
    """Save the whole summary; returns its path."""
    path = root / store.FOLDER / f"{outcome.bundle.assignment}.txt"
    store.write(path, f"{text(outcome)}\n".encode("utf-8", "replace"))
    return path


def text(outcome, shown=None):
    """The summary of one assignment; of the table, the first `shown` students only."""
    results = outcome.results
    possible = points(outcome.bundle)
    head = (
        f"{outcome.bundle.assignment}: {len(results)} submissions, {possible:g} points "
        f"({outcome.graded} graded now, {outcome.kept} unchanged)"
    )
    lines = [head, ""]
    students = sorted(results)
    lines += _table(results, students[:shown], possible)
    if shown is not None and len(students) > shown:
        lines.append(f"  … and {len(students) - shown} more")
    if students:
        lines += ["", *_statistics(outcome, possible)]
    lines += _section("Reported: a person has to look at", _reported(outcome))
    lines += _section("Notes", _notes(outcome))
    lines += _section("Left out", outcome.trouble)
    return "\n".join(lines)


def points(bundle):
    """The points that a sheet gives."""
    return sum(cell.points or 0 for cell in bundle.cells)


def earned(result):
    """The points that the tests gave."""
    return sum(result.scores.values())


def _table(results, students, possible):
    width = max(map(len, students), default=0)
    lines = []
    for student in students:
        result = results[student]
        said = []
        if result.status != "graded":
            said.append("reported")
        if result.manual:
            said.append(f"{len(result.manual)} answers for a person to grade")
        row = f"  {student:{width}}  {earned(result):>6g} of {possible:g}"
        lines.append(f"{row}  {', '.join(said)}".rstrip())
    return lines


def _statistics(outcome, possible):
    """Mean and median, and how many got each test cell right."""
    totals = [earned(result) for result in outcome.results.values()]
    full = sum(total >= possible for total in totals)
    lines = [
        f"Mean {mean(totals):.1f}, median {median(totals):g} of {possible:g}; "
        f"{full} with all points.",
        "",
    ]
    for cell in outcome.bundle.cells:
        if cell.points is None:
            continue
        scores = [r.scores.get(cell.grade_id) for r in outcome.results.values()]
        scores = [score for score in scores if score is not None]
        if scores:
            share = sum(score >= cell.points for score in scores) / len(scores)
            name = f"{cell.grade_id} ({cell.points:g} points)"
            lines.append(f"  {name:44} {share:>4.0%} right")
    return lines


def _reported(outcome):
    return [
        f"{student}: {'; '.join(result.notes) or 'no reason was given'}"
        for student, result in sorted(outcome.results.items())
        if result.status != "graded"
    ]


def _notes(outcome):
    lines = []
    for student, result in sorted(outcome.results.items()):
        received = outcome.received.get(student)
        notes = received.notes() if received else []
        notes = notes + (list(result.notes) if result.status == "graded" else [])
        lines += [f"{student}: {'; '.join(notes)}"] if notes else []
    return lines


def _section(title, lines):
    return (
        ["", f"{title} ({len(lines)}):", *[f"  {line}" for line in lines]]
        if lines
        else []
    )
