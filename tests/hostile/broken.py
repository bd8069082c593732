"""Files that are damaged, on purpose or not. What can be found is graded."""

import gzip
import io
import json
import os
import socket
import zipfile

from tests.hostile import sheet
from tests.hostile.case import collector

CASES, _add = collector("broken")
ALL = tuple(sheet.POINTS)


def place(name, write, lost=(), says="", wins="honest work loses points", **others):
    """A case whose files `write(folder, world, notebook)` makes."""
    _add(name, wins, write=write, lost=lost, says=says, **others)


def text(name, make, lost=(), says="", file=sheet.NAME):
    """A case whose notebook is what `make(JSON text)` gives: text or bytes."""

    def write(folder, world, made):
        data = make(json.dumps(made))
        data = data if isinstance(data, bytes) else data.encode()
        (folder / file).write_bytes(data)

    place(name, write, lost, says)


def cells(name, change, lost=(), says="", **others):
    """A case that changes the list of cells: change(cells)."""

    def write(folder, world, made):
        change(made["cells"])
        (folder / sheet.NAME).write_text(json.dumps(made))

    place(name, write, lost, says, **others)


# Bytes

text("empty", lambda made: "", ALL, "empty")
text("zeros", lambda made: bytes(4096), ALL)
text("no JSON", lambda made: "the dog ate it", ALL)
text("a web page", lambda made: "<!DOCTYPE html><p>Sign in", ALL, "web page")
text("cut off", lambda made: made[: made.index("def compose")], ["compose"], "damaged")
text("UTF-16", lambda made: made.encode("utf-16"), says="UTF-16")
text(
    "letters of another code",
    lambda made: made.replace("The largest", "gr\xf6\xdfte").encode("cp1252"),
    says="UTF-8",
)
text("nested 100,000 deep", lambda made: "[" * 100_000, ALL, "nested too deep")
text(
    "deep metadata",
    lambda made: made.replace("{}", '{"a":' * 50_000 + "1" + "}" * 50_000, 1),
    ALL,
    "nested too deep",
)
text("a long number", lambda made: made.replace("null", "9" * 100_000, 1))
text("JSON that is no notebook", lambda made: '{"cells": 3}', ALL, "no cells")
text("a list", lambda made: f"[{made}]", ALL, "no cells")
text("renamed", lambda made: made, says="should be called", file="mine (1).ipynb")
text(
    "a damaged neighbour cell",
    lambda made: made.replace('{"cells": [', '{"cells": [{"cell_type": }, '),
    says="damaged",
)


def zipped(made):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(sheet.NAME, made)
    return data.getvalue()


text("an archive", zipped, ALL, "zip archive")
text(
    "format 3",
    lambda made: json.dumps(
        {
            "worksheets": [
                {
                    "cells": [
                        {"input" if k == "source" else k: v for k, v in cell.items()}
                        for cell in json.loads(made)["cells"]
                    ]
                }
            ],
            "metadata": [],
            "nbformat": 3,
            "nbformat_minor": 0,
        }
    ),
)


# Cells


def lose_marks(found):
    for cell in found:
        cell["metadata"] = {}


def odd_marks(found):
    for cell, marks in zip(found, ([], "x", {"nbgrader": 7})):
        cell["metadata"] = marks
    found.append({**sheet.code("1"), "metadata": {"nbgrader": {"grade_id": [1]}}})


def odd_types(found):
    found[:0] = [7, None, {"cell_type": []}, {"source": {"a": 1}}, {}]


def odd_outputs(found):
    for cell in found:
        cell["outputs"] = "none"
        cell["execution_count"] = {"a": -1}


def change_answer(name, change):
    def apply(found):
        for cell in found:
            if cell["metadata"].get("nbgrader", {}).get("grade_id") == name:
                cell["source"] = change(cell["source"])

    return apply


def with_essay_lost(found):
    found[:] = [
        cell
        for cell in found
        if cell["metadata"].get("nbgrader", {}).get("grade_id") in (None, "double")
    ]


cells("marks that are lost", lose_marks, says="lost their marks")
cells("marks of no known kind", odd_marks)
cells("cells of no known kind", odd_types, says="damaged")
cells("outputs of no known kind", odd_outputs)
cells(
    "test cells that are missing",
    lambda found: found.__setitem__(
        slice(None),
        [
            cell
            for cell in found
            if not cell["metadata"].get("nbgrader", {}).get("locked")
        ],
    ),
)
cells("one answer alone", with_essay_lost, ["softmax", "compose"], "not found")
cells(
    "zeros within an answer",
    change_answer("double", lambda source: source.replace("return", "return\0")),
)
cells(
    "half a letter",
    change_answer("double", lambda source: source + "  # \ud800"),
)
cells(
    "lines in a list",
    change_answer("double", lambda source: [*source.splitlines(True), 5]),
)
cells(
    "an answer nested 90,000 deep",
    change_answer("double", lambda source: f"x = a{'.b' * 90_000}\n{source}"),
    ["double"],
    shows="RecursionError",
)

# Files


def nothing(folder, world, made):
    pass


def pipe(folder, world, made):
    os.mkfifo(folder / sheet.NAME)


def a_folder(folder, world, made):
    (folder / sheet.NAME).mkdir()


def link_to_itself(folder, world, made):
    (folder / sheet.NAME).symlink_to(sheet.NAME)


def within(folder, world, made):
    deeper = folder / "hostile" / "my work"
    deeper.mkdir(parents=True)
    (deeper / sheet.NAME).write_text(json.dumps(made))


def endless(folder, world, made):
    (folder / sheet.NAME).symlink_to("/dev/zero")


def a_socket(folder, world, made):
    number = os.open(folder, os.O_PATH)  # a socket's whole path has to be short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"/proc/self/fd/{number}/{sheet.NAME}")
    os.close(number)


def mostly_holes(folder, world, made):
    (folder / sheet.NAME).write_text(json.dumps(made))
    os.truncate(folder / sheet.NAME, 110 << 20)


def odd_name(folder, world, made):
    (folder / "<script>\n‮x.ipynb").write_text(json.dumps(made))


place("no file", nothing, ALL, "no notebook")
place("a pipe", pipe, ALL, wins="it stalls")
place("a folder by its name", a_folder, ALL)
place("a link to itself", link_to_itself, ALL)
place("a folder within the folder", within, says="should be called")
place("a name with a script", odd_name, says="should", secrets=("<script",))
place("a link to what never ends", endless, ALL, "symbolic link")
place("a socket by its name", a_socket, ALL)
place("a file of 110 MiB that are not there", mostly_holes, ALL, "110 MiB")

# As programs, clouds and people leave them

text("a second mark of UTF-8", lambda made: b"\xef\xbb\xbf" * 2 + made.encode())
text("packed by gzip", lambda made: gzip.compress(made.encode()), ALL)
text(
    "two versions that were not merged",
    lambda made: made.replace(
        '{"cells": [', '{"cells": [\n<<<<<<< HEAD\n=======\n>>>>>>> mine\n', 1
    ),
    says="damaged",
)
text("something behind the end", lambda made: made + "\n}", says="damaged")
text(
    "a comma too many",
    lambda made: made.replace('], "metadata"', '], , "metadata"'),
    says="damaged",
)
text("UTF-16 without its mark", lambda made: made.encode("utf-16-le"), ALL)
text(
    "cells in a drawer of a cloud's",
    lambda made: json.dumps({"content": json.loads(made)}),
    ALL,
    "no cells",
)


def in_one_cell(between):
    def change(found):
        answers = [sheet.RIGHT[name] for name in sheet.POINTS]
        essay = {**found[-1], "metadata": {}}
        found[:] = [sheet.code(between.join(answers)), essay]
        found[-1] = dict(essay, metadata=sheet.marks(sheet.BUNDLE.cells[-1]))

    return change


for kind, sign in {
    "pages": "\f",
    "lines of Unicode's": "# \u2028\u2029\n# \x85",
}.items():
    cells(
        f"three answers in one cell, with {kind} between them",
        in_one_cell(f"\n{sign}\n"),
        says="lost their marks",
    )
