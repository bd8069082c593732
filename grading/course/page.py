"""The graded notebook: the course's cells, the learner's answers, safe outputs.

It goes into Formgrader and into feedback. Their pages clean what learners wrote
(grading.course.clean); of outputs, only text and pictures get that far.
"""

import base64
import binascii

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

IMAGES = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}
MOST_TEXT = 200_000  # characters of one output
MOST_IMAGE = 4 << 20  # characters of its base64


def page(bundle, steps, ran, verdicts):
    """The notebook as JSON text.

    steps: of the Intake. ran: {place of a step: kernel.Ran}.
    verdicts: {grade_id: what Judge.test returns} of the tests that were judged.
    """
    own = {step.grade_id for step in steps if step.grade_id}
    waiting = list(bundle.cells)
    answers = ("solution", "manual", "task")

    def place(stop):
        # The course's cells up to where `stop` says so; a missing answer stays empty.
        while waiting and not stop(waiting[0]):
            cell = waiting.pop(0)
            if cell.grade_id not in own:
                cells.append(_course_cell(cell, verdicts))

    cells = []
    for number, step in enumerate(steps):
        mark = next((c for c in waiting if c.grade_id == step.grade_id), None)
        if mark:
            place(lambda cell, mark=mark: cell == mark)
            waiting.pop(0)
        cells.append(_learners_cell(step, mark, ran.get(number)))
        if mark:  # its tests
            place(lambda cell: cell.role in answers)
    place(lambda cell: False)
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = new_notebook(cells=cells, metadata={"kernelspec": kernel})
    return nbformat.writes(notebook)


def _course_cell(cell, verdicts):
    missing = cell.role in ("solution", "manual")
    source = "" if missing else cell.released
    if cell.cell_type != "code":
        return new_markdown_cell(source, metadata=_marks(cell))
    made = new_code_cell(source, metadata=_marks(cell))
    outputs = verdicts.get(cell.grade_id, {}).get("outputs", [])
    made.outputs = [nbformat.from_dict(output) for output in outputs]
    return made


def _learners_cell(step, cell, ran):
    metadata = _marks(cell) if cell else {}
    kind = cell.cell_type if cell else step.cell_type
    if kind != "code":
        return new_markdown_cell(step.source, metadata=metadata)
    made = new_code_cell(step.source, metadata=metadata)
    if ran:
        made.outputs = [harmless(output) for output in ran.outputs]
        made.execution_count = ran.count
    return made


def _marks(cell):
    marks = {
        "grade": cell.role in ("test", "manual"),
        "grade_id": cell.grade_id,
        "locked": cell.role not in ("solution", "manual"),
        "schema_version": 3,
        "solution": cell.role in ("solution", "manual"),
        "task": cell.role == "task",
        "cell_type": cell.cell_type,
    }
    if cell.points is not None:
        marks["points"] = cell.points
    return {"nbgrader": marks}


def harmless(output):
    """An output with text and pictures only: no HTML, no script, no widget."""
    kind = output.get("output_type")
    if kind == "stream":
        name = "stderr" if output.get("name") == "stderr" else "stdout"
        text = _text(output.get("text"))
        return nbformat.from_dict({"output_type": kind, "name": name, "text": text})
    if kind == "error":
        lines = output.get("traceback")
        lines = lines if isinstance(lines, list) else []
        return nbformat.from_dict(
            {
                "output_type": kind,
                "ename": _text(output.get("ename"), 200),
                "evalue": _text(output.get("evalue"), 2000),
                "traceback": [_text(line, 4000) for line in lines[-40:]],
            }
        )
    data = output.get("data")
    data = data if isinstance(data, dict) else {}
    kept = {kind: data[kind] for kind in IMAGES if _is_image(kind, data.get(kind))}
    if "text/plain" in data:
        kept["text/plain"] = _text(data["text/plain"])
    return nbformat.from_dict(
        {
            "output_type": "display_data",
            "data": kept or {"text/plain": "[an output that is not shown here]"},
            "metadata": {},
        }
    )


def _text(value, most=MOST_TEXT):
    if isinstance(value, list):
        value = "".join(part for part in value if isinstance(part, str))
    value = value if isinstance(value, str) else ""
    value = value.encode("utf-8", "replace").decode("utf-8")
    return value if len(value) <= most else value[:most] + "\n[cut]"


def _is_image(kind, data):
    if not isinstance(data, str) or len(data) > MOST_IMAGE:
        return False
    try:
        found = base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError):
        return False
    return found.startswith(IMAGES[kind])
