"""Begin a chapter: a lesson, a sheet with its solutions and answers, and their entries.

    python -m tools.new_chapter 27_name

What is written keeps the rules of CONTRIBUTING.md; what is left is the content. Nothing
is overwritten.
"""

import argparse
import re
import sys

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell

from tools.tree import ROOT, Chapter, chapters

LESSON = [
    """\
# {title}

*25 minutes · needs [dots](../01_dot_product/dot_product.ipynb) · gives `{topic}`*

The idea in one sentence.

<details lang="zh-Hans"><summary>中文摘要</summary>

一句话概括本章。

</details>

## What it is for

Look at the diagonal.""",
    ("setup", "from dot2gpt import pictures\n\npictures.style()"),
    'pictures.matrix([[1, 0], [0, 1]], ["first", "second"], caption="What it shows.")',
    "The code, a few lines at a time, with shapes.",
    ("export", '"""{title}. Built in chapter {number}."""\n\nimport torch'),
    (
        "export",
        "def {topic}(x):\n"
        '    """What it returns of x, (batch, time)."""\n'
        "    return torch.as_tensor(x)",
    ),
    "## What proves it\n\nThe experiment.",
    "print({topic}([[1, 2]]).shape)",
    (
        "hide-input",
        "pictures.quiz(\n"
        '    "What is asked?",\n'
        '    [("This.", True, "Because."), ("That.", False, "It is not.")],\n'
        ")",
    ),
    "## What comes next\n\nThe next step.",
]
SHEET = """\
# Exercises: {title}

*30 minutes · 3 exercises · 3 points*

Write your answer in place of `raise NotImplementedError()`, run the cell, then run the
test cell below it. When the sheet is handed in, more is tested."""
EXERCISE = """\
## Exercise {n} · Add {n} (1 point, 10 minutes, easy)

Write `add_{n}(x)`.

<details><summary>Hint 1</summary>

It is a sum.

</details>"""
ANSWER = """\
def add_{n}(x):
    ### BEGIN SOLUTION
    return x + {n}
    ### END SOLUTION"""
TEST = """\
c = checks.Checks("Exercise {n} · Add {n}")
c.close("of 2", lambda: add_{n}(2), 2 + {n}, mistakes={{"it is taken off": 2 - {n}}})
### BEGIN HIDDEN TESTS
c.close("of -5", lambda: add_{n}(-5), {n} - 5)
### END HIDDEN TESTS
c.report()"""
ANSWERS = '''\
"""Answers to the sheet of chapter {number}."""

from tests.answers import right, wrong

ANSWERS = {{
    f"add_{{n}}": [
        wrong("taken off", "taken off", f"def add_{{n}}(x):\\n    return x - {{n}}"),
        right("the other way round", f"def add_{{n}}(x):\\n    return {{n}} + x"),
    ]
    for n in (1, 2, 3)
}}
'''


def make(name, root=ROOT):
    """Write the files of a new chapter and its entries; returns the paths.

    Raises ValueError for a name that is no chapter's, or that is taken.
    """
    if not re.fullmatch(r"\d\d_[a-z][a-z0-9_]*", name):
        raise ValueError(f"{name!r} is not a chapter's name: 27_name is expected")
    chapter = Chapter(name, root)
    topics = {known.topic: known.name for known in chapters(root)}
    if chapter.topic in topics:
        raise ValueError(f"the topic of {name} is taken by {topics[chapter.topic]}")
    if chapter.module.exists():
        raise ValueError(f"dot2gpt/{chapter.module.name} is there already")
    words = {
        "topic": chapter.topic,
        "title": chapter.topic.replace("_", " ").capitalize(),
        "number": name[:2],
    }
    files = {
        chapter.lesson: _text(_lesson(words)),
        chapter.solutions: _text(_solutions(words)),
        chapter.answers: ANSWERS.format(**words),
        root / "_toc.yml": _contents(root, name, chapter.topic),
        root / "index.md": _front_page(root, name, words),
    }
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(files)


def _text(cells):
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python"}
    metadata = {"kernelspec": {**kernel, "name": "python3"}}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=metadata)
    return nbformat.writes(notebook) + "\n"


def _lesson(words):
    """The lesson: prose, and code with its tag, if it has one."""
    cells = []
    for part in LESSON:
        tag, text = part if isinstance(part, tuple) else (None, part)
        text = text.format(**words)
        if tag is None and not text.startswith(("pictures.", "print(")):
            cells.append(new_markdown_cell(text))
            continue
        metadata = {"tags": [tag]} if tag else {}
        if tag == "hide-input":
            metadata["jupyter"] = {"source_hidden": True}  # as `make sync` has it
        cells.append(new_code_cell(text, metadata=metadata))
    return cells


def _solutions(words):
    setup = _graded("setup", "from dot2gpt import checks", locked=True)
    cells = [new_markdown_cell(SHEET.format(**words)), setup]
    for n in (1, 2, 3):
        test = {"grade": True, "locked": True, "points": 1}
        cells += [
            new_markdown_cell(EXERCISE.format(n=n)),
            _graded(f"add_{n}", ANSWER.format(n=n), solution=True),
            _graded(f"test_add_{n}", TEST.format(n=n), ["hide-input"], **test),
        ]
    return cells


def _graded(grade_id, source, tags=(), **marks):
    empty = {"grade": False, "locked": False, "solution": False, "task": False}
    marks = {**empty, "schema_version": 3, "grade_id": grade_id, **marks}
    metadata = {"nbgrader": marks} | ({"tags": [*tags]} if tags else {})
    return new_code_cell(source, metadata=metadata)


def _contents(root, name, topic):
    """_toc.yml with the chapter at the end of the part before the appendix."""
    text = (root / "_toc.yml").read_text(encoding="utf-8")
    page = f"chapters/{name}/{topic}"
    entry = f"  - file: {page}\n    sections:\n    - file: {page}_exercises\n"
    return text.replace("- caption: Appendix\n", f"{entry}- caption: Appendix\n")


def _front_page(root, name, words):
    """index.md with a row for the chapter after the last one."""
    text = (root / "index.md").read_text(encoding="utf-8")
    last = text.rindex("\n", 0, text.index("\n\n### Appendix")) + 1
    last = text.index("\n", last) + 1
    link = (
        f"[{int(name[:2])} · {words['title']}](chapters/{name}/{words['topic']}.ipynb)"
    )
    row = f"| {link} | What the reader will be able to say. | 25 |\n"
    return text[:last] + row + text[last:]


def main():
    parser = argparse.ArgumentParser(
        prog="python -m tools.new_chapter",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", help="the folder of the chapter, such as 27_name")
    name = parser.parse_args().name
    try:
        paths = make(name)
    except ValueError as error:
        sys.exit(str(error))
    for path in paths:
        print(f"wrote: {path.relative_to(ROOT)}")
    print(f"Then: make execute NAMES={name}")


if __name__ == "__main__":
    main()
