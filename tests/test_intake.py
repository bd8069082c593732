"""Broken files: each gets a sentence for the student and keeps what can be found."""

import json
import os
import time

import nbformat
import pytest

from dot2gpt import handed_in
from grading.course import intake
from grading.judge.bundle import bundle
from tests import small_course

NAME = "small_exercises.ipynb"
RIGHT = small_course.RIGHT


@pytest.fixture(scope="module")
def sheet(tmp_path_factory):
    """The bundle of the small course."""
    return bundle(
        "01_small", small_course.make(tmp_path_factory.mktemp("c") / "course")
    )


@pytest.fixture
def read(tmp_path, sheet):
    """Puts files into a folder and reads it: read({name: text or bytes})."""

    def run(files, **options):
        for name, data in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data.encode() if isinstance(data, str) else data)
        return intake.read(tmp_path, sheet, **options)

    return run


def refused(read, files, **options):
    """The sentence with which a submission is refused."""
    with pytest.raises(handed_in.Rejected) as why:
        read(files, **options)
    return str(why.value)


def text(answers=RIGHT, *, marks=True, cells=None):
    """A sheet as a file: with `answers`, without nbgrader's marks if not `marks`."""
    notebook = small_course.sheet(answers)
    if cells is not None:
        notebook.cells = cells
    for cell in notebook.cells if not marks else []:
        cell.metadata.pop("nbgrader", None)
    return nbformat.writes(notebook)


def test_a_whole_sheet_needs_no_note(read):
    got = read({NAME: text()})
    assert got.answers == RIGHT
    assert got.notes == ()
    code = [step.grade_id for step in got.steps if step.cell_type == "code"]
    assert code == list(RIGHT)


def test_the_students_copies_of_the_courses_cells_are_dropped(read):
    notebook = small_course.sheet(RIGHT)
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("locked"):
            cell.source = "forged = True"
    got = read({NAME: nbformat.writes(notebook)})
    assert got.answers == RIGHT
    assert not any("forged" in step.source for step in got.steps)


def test_cells_of_the_students_own_stay_in_their_place(read):
    notebook = small_course.sheet(RIGHT)
    notebook.cells.insert(2, nbformat.v4.new_code_cell("helper = 1"))
    got = read({NAME: nbformat.writes(notebook)})
    code = [step.source for step in got.steps if step.cell_type == "code"]
    assert code[:2] == ["helper = 1", RIGHT["double"]]


REPAIRED = {
    "byte order mark": (lambda: b"\xef\xbb\xbf" + text().encode(), ""),
    "UTF-16": (lambda: text().encode("utf-16"), "UTF-16"),
    "Windows letters": (
        lambda: (
            text({**RIGHT, "axis": "axis = -1  # gr\u00f6\u00dfer"})
            .encode()
            .replace("\u00f6\u00df".encode(), "\u00f6\u00df".encode("cp1252"))
        ),
        "not UTF-8",
    ),
    "carriage returns": (lambda: text().replace("\n", "\r\n"), ""),
    "carriage returns in cells": (lambda: text().replace("\\n", "\\r\\n"), ""),
    "a merge conflict": (
        lambda: text().replace(
            ' "metadata": {\n  "kern', '<<<< HEAD\n "metadata": {\n "k'
        ),
        "damaged at line",
    ),
    "no metadata at all": (
        lambda: json.dumps({"cells": json.loads(text())["cells"]}),
        "",
    ),
}


@pytest.mark.parametrize("kind", REPAIRED)
def test_repaired_files_keep_every_answer(read, kind):
    make, note = REPAIRED[kind]
    got = read({NAME: make()})
    assert {**got.answers, "axis": got.answers["axis"].split("  #")[0]} == RIGHT
    assert note in " ".join(got.notes) and bool(note) == bool(got.notes)


def test_format_3(read):
    notebook = nbformat.convert(small_course.sheet(RIGHT), 3)
    got = read({NAME: json.dumps(notebook)})
    assert got.answers == RIGHT


def test_a_truncated_file_keeps_the_cells_that_are_whole(read):
    whole = text()
    got = read({NAME: whole[: whole.index('"grade_id": "total"')]})
    assert got.answers == {key: RIGHT[key] for key in ("double", "axis")}
    notes = " ".join(got.notes)
    assert "damaged at line" in notes and "not found in the notebook: total" in notes


NOTHING = {
    "empty": ("", "the file is empty"),
    "only spaces": ("  \n", "the file is empty"),
    "cut at once": ('{"cells": [{"cell_ty', "no cell in it is whole"),
    "a list": ("[1, 2]", "it has no cells"),
    "prose": ("Dear teacher, here it is.", "neither a notebook nor Python"),
    "JSON": ('{"a": 1}', "it has no cells"),
    "cells is a number": ('{"cells": 5}', "it has no cells"),
    "no cells": ('{"cells": []}', "has no cells"),
    "deep": ('{"cells": ' + "[" * 500 + "]" * 500 + "}", "nested too deep"),
    "deeper than Python": ('{"cells": ' + "[" * 200_000, "nested too deep"),
    "zip": (b"PK\x03\x04 and so on", "a zip archive"),
    "PDF": ("%PDF-1.7 and so on", "a PDF"),
    "web page": ("<!DOCTYPE html>", "a web page"),
    "an endless number": ('{"cells": [' + "9" * 100_000 + "]}", "damaged"),
    "another sheet": (
        nbformat.writes(
            nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 1")])
        ),
        "none of the answers of 01_small",
    ),
}


@pytest.mark.parametrize("kind", NOTHING)
def test_what_cannot_be_read_is_said(read, kind):
    data, words = NOTHING[kind]
    said = refused(read, {NAME: data})
    assert words in said and NAME in said and "\n" not in said


def test_too_big_and_too_many(read, monkeypatch):
    assert "MiB: clear its outputs" in refused(
        read, {NAME: " " * (1 << 21)}, max_file=1 << 20
    )
    monkeypatch.setattr(handed_in, "MAX_CELLS", 5)
    assert "cells, and 5 are allowed" in refused(read, {NAME: text()})
    monkeypatch.setattr(handed_in, "MAX_ITEMS", 20)
    assert "values: clear its outputs" in refused(read, {NAME: text()})


def test_a_giant_cell_is_left_out_alone(read):
    got = read({NAME: text({**RIGHT, "total": "#" * ((1 << 20) + 1)})})
    assert got.answers == {key: RIGHT[key] for key in ("double", "axis")}
    assert "longer than 1 MiB" in " ".join(got.notes)


@pytest.mark.parametrize(
    "data",
    [
        '{"cells": [' + '{"metadata": ' * 30 + "0" * 300_000,
        '{"cells": [' + '{"source": "\\"' * 30_000,
        '{"cells": [{"cell_type": "code", "source": "' + '\\"' * 500_000,
        '{"a":' + " " * 1_000_000,
    ],
)
def test_hostile_json_takes_no_time(read, data):
    began = time.process_time()
    refused(read, {NAME: data})
    assert time.process_time() - began < 2


@pytest.mark.parametrize("code", ["(" * 5000, "-" * 100_000, "a." * 50_000, "x = 1\0"])
def test_hostile_python_is_only_text(read, code):
    got = read({NAME: text({**RIGHT, "total": code}, marks=False)})
    assert got.answers["double"] == RIGHT["double"]


# ---- links and pipes ----------------------------------------------------------------


def test_a_link_is_not_followed(read, tmp_path):
    secret = tmp_path.parent / f"{tmp_path.name}-secret.ipynb"
    secret.write_text(text())
    (tmp_path / NAME).symlink_to(secret)
    assert "symbolic link" in refused(read, {})


def test_a_folder_that_is_a_link_is_not_followed(tmp_path, sheet):
    (tmp_path / "bob").mkdir()
    (tmp_path / "bob" / NAME).write_text(text())
    (tmp_path / "eve").symlink_to(tmp_path / "bob")
    with pytest.raises(handed_in.Rejected, match="symbolic link"):
        intake.read(tmp_path / "eve", sheet)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes on Windows")
def test_a_pipe_does_not_stall(read, tmp_path):
    os.mkfifo(tmp_path / NAME)
    assert "not an ordinary file" in refused(read, {})


def test_a_folder_with_the_notebooks_name(read, tmp_path):
    (tmp_path / NAME).mkdir()
    assert "no notebook was handed in" in refused(read, {})


# ---- names --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["answers.ipynb", "small_exercises (1).ipynb", "A.IPYNB"]
)
def test_a_renamed_notebook_is_read(read, name):
    got = read({name: text()})
    assert got.answers == RIGHT
    assert f"should be called {NAME}" in got.notes[0] and name in got.notes[0]


@pytest.mark.parametrize("name", [f"{NAME}.txt", f"{NAME}.json", "notebook.json"])
def test_a_notebook_with_another_ending_is_read(read, name):
    assert read({name: text()}).answers == RIGHT


def test_a_notebook_in_a_folder_is_read(read):
    assert read({f"hand in/{NAME}": text()}).answers == RIGHT


def test_the_expected_notebook_is_graded_and_others_are_named(read):
    got = read({NAME: text(), "draft.ipynb": text({})})
    assert got.answers == RIGHT
    assert "not 'draft.ipynb'" in " ".join(got.notes)


def test_another_notebook_stands_in_for_one_that_is_blank_or_broken(read, tmp_path):
    assert read({NAME: text({}), "mine.ipynb": text()}).answers == RIGHT
    got = read({NAME: "{", "mine.ipynb": text()})
    assert got.answers == RIGHT and "was left out: the file is damaged" in got.notes[1]


def test_a_blank_sheet_is_said(read):
    assert read({NAME: text({})}).notes == (
        "no answer is written: the sheet is as it was handed out",
    )


def test_checkpoints_and_hidden_files_are_no_notebooks(read):
    files = {f".ipynb_checkpoints/{NAME}": text(), f"__MACOSX/._{NAME}": "x"}
    assert "no notebook was handed in" in refused(read, files)


def test_other_files_are_named(read):
    said = refused(read, {"answers.docx": "x"})
    assert "'answers.docx'" in said and f"Hand in {NAME}" in said


def test_a_hostile_name_stays_text(read):
    got = read({"`<img src=x>`\n.ipynb": text()})
    assert not set("<>`\n") & set(got.notes[0])


# ---- lost marks ---------------------------------------------------------------------


def test_answers_without_marks_are_found_by_what_they_define(read):
    got = read({NAME: text(marks=False)})
    assert got.answers == RIGHT
    assert "found by what they define: double, axis, total" in got.notes[0]
    assert not any("Checks" in step.source for step in got.steps)  # tests are dropped


def test_an_unwritten_answer_without_marks_is_found_by_its_text(read):
    answers = {"double": RIGHT["double"]}
    got = read({NAME: text(answers, marks=False)})
    assert got.answers["double"] == RIGHT["double"]
    assert "raise NotImplementedError" in got.answers["axis"]


def test_a_new_cell_stands_in_for_a_deleted_one(read):
    notebook = small_course.sheet(RIGHT)
    notebook.cells = [
        cell
        for cell in notebook.cells
        if cell.metadata.get("nbgrader", {}).get("grade_id") != "total"
    ]
    notebook.cells.append(nbformat.v4.new_code_cell(RIGHT["total"]))
    assert read({NAME: nbformat.writes(notebook)}).answers == RIGHT


def test_a_deleted_answer_is_named(read):
    notebook = small_course.sheet(RIGHT)
    del notebook.cells[3]
    got = read({NAME: nbformat.writes(notebook)})
    assert set(got.answers) == {"axis", "total"}
    assert got.notes == ("not found in the notebook: double",)


def test_a_duplicate_id_runs_both_halves(read):
    notebook = small_course.sheet(RIGHT)
    half = nbformat.from_dict(dict(notebook.cells[3], id="half"))
    half.source = "def half(x):\n    return x / 2"
    notebook.cells.insert(4, half)
    got = read({NAME: nbformat.writes(notebook)})
    assert got.answers["double"] == f"{RIGHT['double']}\n\n{half.source}"
    assert [s.grade_id for s in got.steps].count("double") == 2
    assert "the answer double is there 2 times" in got.notes[0]


def test_an_answer_that_became_text_is_run(read):
    notebook = small_course.sheet(RIGHT)
    notebook.cells[3].cell_type = "markdown"
    got = read({NAME: json.dumps(notebook)})
    assert got.answers == RIGHT
    assert [s.cell_type for s in got.steps if s.grade_id == "double"] == ["code"]


SCRIPTS = {
    "jupytext": "# %%\nimport math\n\n# %% one\n{double}\n# %%\n{axis}\n# %%\n{total}",
    "nbconvert": "# coding: utf-8\n# In[1]:\n\n{double}\n# In[ ]:\n{axis}\n\n\n{total}",
    "plain": "import math\n{double}\n\n{axis}\n\n# the last\n{total}\n",
}


@pytest.mark.parametrize("kind", SCRIPTS)
@pytest.mark.parametrize("name", ["small_exercises.py", "small.txt"])
def test_a_script_is_read(read, kind, name):
    got = read({name: SCRIPTS[kind].format(**RIGHT)})
    for key, answer in RIGHT.items():
        assert got.answers[key].endswith(answer), key
    assert "read as a Python script" in " ".join(got.notes)


def test_a_syntax_error_in_a_script_costs_one_answer(read):
    broken = {**RIGHT, "double": "def double(x):\n    return 2 *"}
    got = read({"small.py": SCRIPTS["plain"].format(**broken)})
    assert got.answers["axis"].startswith(RIGHT["axis"])
    assert got.answers["total"].endswith(RIGHT["total"])
