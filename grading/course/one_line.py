"""Makes each test cell of a released sheet one line: nbgrader's own steps, and this."""

from nbgrader.converters import GenerateAssignment
from nbgrader.preprocessors import ClearMarkScheme, NbGraderPreprocessor
from nbgrader.utils import is_grade, is_solution
from traitlets import Dict

from dot2gpt import sheet_tests


class OneLineTests(NbGraderPreprocessor):
    """Puts a call of `checks.check` in place of tests that the package has.

    Tests that it does not have, or has otherwise, stay as they are: such a sheet is
    longer, and as right.
    """

    texts = Dict(help="{chapter: {name: Test}} in place of the package's").tag(
        config=True
    )

    def preprocess(self, nb, resources):
        chapter = resources["nbgrader"]["assignment"]
        known = self.texts.get(chapter) or sheet_tests.tests(chapter)
        for cell in nb.cells:
            if is_solution(cell) or is_grade(cell):
                tags = cell.metadata.setdefault("tags", [])
                # Run All goes on past it in JupyterLab; nbgrader sees the error.
                if "raises-exception" not in tags:
                    tags.append("raises-exception")
            name = cell.metadata.get("nbgrader", {}).get("grade_id", "")
            test = known.get(name.removeprefix("test_"))
            if is_grade(cell) and test and cell.source.strip() == test.source.strip():
                cell.source = sheet_tests.line(name.removeprefix("test_"), chapter)
                cell.metadata["tags"].remove("hide-input")
        return nb, resources


def preprocessors():
    """The steps of `nbgrader generate_assignment`, with this one among them."""
    steps = list(GenerateAssignment().preprocessors)
    steps.insert(steps.index(ClearMarkScheme) + 1, OneLineTests)
    return steps
