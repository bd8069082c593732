"""Notebooks as they lie on the disk after a run, for tests of what reads them."""

import nbformat
from nbformat import v4


def says(text):
    """The outputs of a cell that prints one line."""
    return [v4.new_output("stream", name="stdout", text=f"{text}\n")]


def notebook(path, *cells):
    """Write a notebook of (source, outputs) cells; returns its path."""
    made = [
        v4.new_code_cell(source, execution_count=count, outputs=outputs)
        for count, (source, outputs) in enumerate(cells, 1)
    ]
    nbformat.write(v4.new_notebook(cells=made), path)
    return path
