"""Wrong answers that try to be counted as right."""

import json

from tests.hostile import sheet
from tests.hostile.case import collector

CASES, _add = collector("forgery")
NOTHING = "def double(x):\n    return 0\n"
UNIFORM = "def softmax(x):\n    return torch.ones_like(x) / x.shape[-1]\n"
UNCHANGED = "def compose(f, n):\n    return f\n"


def double(name, attack, **others):
    answers = {"double": NOTHING + attack}
    _add(name, "it is forged", answers=answers, lost=("double",), **others)


def softmax(name, attack, **others):
    answers = {"softmax": UNIFORM + attack}
    _add(name, "it is forged", answers=answers, lost=("softmax",), **others)


def compose(name, attack, **others):
    answers = {"compose": UNCHANGED + attack}
    _add(name, "it is forged", answers=answers, lost=("compose",), **others)


# The checks, and what they are made of

double("report says nothing", "checks.Checks.report = lambda self: None")
double("every row passes", "checks.Checks._row = lambda self, what, run: True")
double("close does not look", "checks.Checks.close = lambda *_, **__: True")
double("no difference is found", "checks._difference = lambda *_: None")
double(
    "numpy finds no gap",
    "import numpy\nnumpy.abs = lambda x: numpy.zeros(())",
)
double(
    "checks of its own",
    """
class Silent:
    def __init__(self, title):
        pass
    def __getattr__(self, name):
        return lambda *_, **__: True
class checks:
    Checks = Silent
    from dot2gpt.checks import forbid
""",
)
compose("everything is true", "import builtins\nbuiltins.bool = lambda x=0: True")
softmax("allclose says yes", "torch.allclose = lambda *_, **__: True")
softmax(
    "the library is changed",
    "torch.softmax = lambda x, dim=-1: softmax(x)",
)
softmax("the reference is changed", "reference = softmax")
softmax("random numbers are zero", "torch.randn = lambda *n: torch.zeros(*n)")
_add(
    "what is forbidden is allowed again",
    "it is forged",
    answers={
        "softmax": """
            from contextlib import nullcontext
            checks.forbid = lambda *names: nullcontext()
            def softmax(x):
                return torch.softmax(x, -1)
        """
    },
    lost=("softmax",),
)

# The shell that runs the cells

softmax(
    "assertions are taken out",
    """
import ast
class Out(ast.NodeTransformer):
    def visit_Assert(self, node):
        return ast.copy_location(ast.Pass(), node)
get_ipython().ast_transformers.append(Out())
""",
)
compose(
    "the next cells are empty",
    "get_ipython().input_transformers_post.append(lambda lines: ['pass'])",
)
compose(
    "cells are not run",
    """
from IPython.core.interactiveshell import ExecutionResult
type(get_ipython()).run_cell = lambda self, *_, **__: ExecutionResult(None)
""",
)
compose(
    "errors are not shown",
    "get_ipython().showtraceback = lambda *_, **__: None",
)
compose(
    "errors have a handler",
    "get_ipython().set_custom_exc((Exception,), lambda *_, **__: None)",
)
compose(
    "the run is over",
    """
async def run_code(self, *_, **__):
    return False
type(get_ipython()).run_code = run_code
""",
)

# Objects that answer for themselves

_add(
    "a number that equals every number",
    "it is forged",
    answers={
        "compose": """
            class Any:
                def __eq__(self, other):
                    return True
            def compose(f, n):
                return lambda x: Any()
        """
    },
    lost=("compose",),
)
_add(
    "a tensor that agrees",
    "it is forged",
    answers={
        "softmax": """
            class Yes(torch.Tensor):
                @classmethod
                def __torch_function__(cls, func, types, args=(), kwargs=None):
                    return True
            def softmax(x):
                return torch.zeros(1).as_subclass(Yes)
        """
    },
    lost=("softmax",),
)
_add(
    "the expected value in the caller's frame",
    "it is forged",
    answers={
        "double": """
            import sys
            def double(x):
                frame = sys._getframe()
                while frame:
                    if "want" in frame.f_locals:
                        return frame.f_locals["want"]
                    frame = frame.f_back
        """
    },
    lost=("double",),
)
_add(
    "the expected value among all objects",
    "it is forged",
    answers={
        "softmax": """
            import gc
            def softmax(x):
                for thing in gc.get_objects():
                    if type(thing) is dict and torch.is_tensor(thing.get("want")):
                        return thing["want"] if len(x) > 1 else x * 0 + 0.5
        """
    },
    lost=("softmax",),
)

# Whoever counts the points

_add(
    "the list of scores in the same process",
    "it is forged",
    answers={"double": NOTHING},
    last="vars(get_ipython()).get('scores', {})['test_double'] = 100.0",
    lost=("double",),
)
_add(
    "a verdict of its own into every descriptor",
    "it is forged",
    answers={
        "compose": """
            import json, os
            def compose(f, n):
                scores = {f"test_{n}": 50.0 for n in ("double", "softmax", "compose")}
                for number in range(3, 64):
                    try:
                        os.write(number, json.dumps(scores).encode() + b"\\n")
                    except OSError:
                        pass
                os._exit(0)
        """
    },
    lost=("compose",),
)

# The file itself


def own_test(folder, world, made):
    _cell(made, "test_double")["source"] = "assert True"
    _save(folder, made)


def own_points(folder, world, made):
    _cell(made, "test_double")["metadata"]["nbgrader"]["points"] = 100
    _save(folder, made)


def graded_answer(folder, world, made):
    _cell(made, "double")["metadata"]["nbgrader"].update(grade=True, points=50.0)
    _save(folder, made)


def second_test(folder, world, made):
    copy = dict(_cell(made, "test_double"), source="assert True")
    made["cells"].append(copy)
    _save(folder, made)


def new_test(folder, world, made):
    marks = {"nbgrader": {"grade_id": "bonus", "grade": True, "points": 50.0}}
    made["cells"].append(sheet.code("pass", marks))
    _save(folder, made)


def solutions_link(folder, world, made):
    (folder / sheet.NAME).symlink_to(world.root / "solutions" / "hostile" / sheet.NAME)


def _cell(made, grade_id):
    for cell in made["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == grade_id:
            return cell


def _save(folder, made):
    (folder / sheet.NAME).write_text(json.dumps(made))


def in_the_file(name, write, *lost, **others):
    answers = {"double": NOTHING} if lost else {}
    _add(name, "it is forged", answers=answers, write=write, lost=lost, **others)


in_the_file("test cells of its own", own_test, "double", as_it_is=True)
in_the_file("more points for a test", own_points, as_it_is=True)
in_the_file("an answer that has points", graded_answer)
in_the_file("the same test twice", second_test, "double", as_it_is=True)
in_the_file("a test that nobody asked for", new_test)
in_the_file(
    "a link to the solutions",
    solutions_link,
    *sheet.POINTS,
    says="symbolic link",
)

# At a moment of its own choosing

SILENT = "checks.Checks.report = lambda self: None"

double(
    "a thread changes the checks later",
    f"""
import threading, time
def later():
    for _ in range(200):
        {SILENT}
        time.sleep(0.005)
threading.Thread(target=later, daemon=True).start()
""",
)
double(
    "a timer's signal changes the checks",
    f"""
import signal
def change(*_):
    {SILENT}
signal.signal(signal.SIGVTALRM, change)
def double(x):
    signal.raise_signal(signal.SIGVTALRM)
    return 0
""",
)
double(
    "the garbage collector changes the checks",
    f"""
import gc
def change(*_):
    {SILENT}
gc.callbacks.append(change)
def double(x):
    gc.collect()
    return 0
""",
)
double(
    "the end of an object changes the checks",
    f"""
class Last:
    def __del__(self):
        {SILENT}
def double(x):
    return [Last()] and 0
""",
)
double(
    "a profiler changes the checks",
    f"""
import sys
def change(frame, event, value):
    {SILENT}
def double(x):
    sys.setprofile(change)
    return 0
""",
)
double(
    "an audit changes the checks",
    f"""
import sys
def change(event, values):
    if event == "object.__getattr__":
        {SILENT}
sys.addaudithook(change)
def double(x):
    double.__code__
    return 0
""",
)

# What the tests stand on

compose(
    "an event after each cell",
    """
def forget(*_):
    get_ipython().failed = False
get_ipython().events.register("post_run_cell", forget)
""",
)
compose(
    "a function that it got leads to the checks",
    """
def compose(f, n):
    f.__globals__["checks"].Checks.report = lambda self: None
    return f
""",
)
compose(
    "what compiles cells compiles nothing",
    """
import ast
get_ipython().compile.ast_parse = lambda *_, **__: ast.parse("pass")
""",
)
softmax(
    "a mode of torch's functions",
    """
from torch.overrides import TorchFunctionMode
class Yes(TorchFunctionMode):
    def __torch_function__(self, function, types, arguments=(), named=None):
        if function is torch.allclose:
            return True
        return function(*arguments, **(named or {}))
Yes().__enter__()
""",
)
softmax(
    "another operator in torch's C code",
    """
library = torch.library.Library("aten", "IMPL")
library.impl("allclose", lambda *_, **__: True, "CPU")
""",
)
_add(
    "another module by the library's name",
    "it is forged",
    first="""
        import sys, types, dot2gpt
        from dot2gpt import checks as real
        class Silent:
            def __init__(self, title):
                pass
            def __getattr__(self, name):
                return lambda *_, **__: True
        other = types.ModuleType("dot2gpt.checks")
        other.Checks, other.forbid = Silent, real.forbid
        sys.modules["dot2gpt.checks"] = dot2gpt.checks = other
    """,
    answers={"double": NOTHING},
    lost=("double",),
)
_add(
    "a whole number of a class that equals every number",
    "it is forged",
    answers={
        "compose": """
            class Any(int):
                def __eq__(self, other):
                    return True
            def compose(f, n):
                return lambda x: Any(77)
        """
    },
    lost=("compose",),
)
_add(
    "an array that equals every number",
    "it is forged",
    answers={
        "compose": """
            import numpy
            class Any(numpy.ndarray):
                def __eq__(self, other):
                    return True
            def compose(f, n):
                return lambda x: numpy.zeros(1).view(Any)
        """
    },
    lost=("compose",),
)
_add(
    "whoever packs results packs a lie",
    "it is forged",
    answers={
        "compose": """
            import gc
            class Any:
                def __eq__(self, other):
                    return True
            for kind in gc.get_objects():
                if isinstance(kind, type) and kind.__name__ == "Packer":
                    kind.value = lambda *_: {"thing": {"label": "Any", "number": 1}}
            def compose(f, n):
                return lambda x: Any()
        """
    },
    lost=("compose",),
)
