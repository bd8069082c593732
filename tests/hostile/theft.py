"""Right answers that look for what is not theirs: tests, solutions, others' work."""

import json

from tests.hostile import sheet
from tests.hostile.case import collector

CASES, _add = collector("theft")
LETTERS = "".join(chr(97 + int(n)) for n in "791925")  # 7919.25 in letters
TO_LETTERS = '"".join(chr(97 + int(n)) for n in str(x) if n.isdigit())'


def look(name, code, **others):
    _add(name, "it leaks", first=code, **others)


look("the solutions", f"print(open(ROOT + '/solutions/hostile/{sheet.NAME}').read())")
look(
    "every file of the course",
    """
    import os
    for where, _, names in os.walk(ROOT):
        for name in names:
            print(open(os.path.join(where, name), errors="replace").read())
    """,
)
look(
    "a neighbour's notebook, by its relative path",
    """
    import glob
    for path in glob.glob("../../*/hostile/*.ipynb"):
        print(open(path).read())
    """,
)
look(
    "the gradebook",
    """
    import sqlite3
    book = sqlite3.connect(ROOT + "/gradebook.db")
    print(book.execute("select * from grade").fetchall())
    """,
)
look("the environment", "import os\nprint(os.environ)")
look("a key in the grader's home", "print(open(HOME + '/.ssh/id').read())")
look("another process's environment", "print(open(f'/proc/{PID}/environ').read())")
look(
    "the names of all processes",
    """
    import glob
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            print(open(path).read())
        except OSError:
            pass
    """,
)
look(
    "the course through another process",
    f"print(open(f'/proc/{{PID}}/root{{ROOT}}/solutions/hostile/{sheet.NAME}').read())",
)
look(
    "the folder in which another process is",
    "print(open(f'/proc/{PID}/cwd/submitted/bob/hostile/" + sheet.NAME + "').read())",
)
look("by another program", "!cat $ROOT/gradebook.db")
look(
    "all that is in memory",
    """
    import gc
    for thing in gc.get_objects():
        if "source" in getattr(type(thing), "__dataclass_fields__", ()):
            print(thing.source)
    """,
)


def linked_file(folder, world, made):
    (folder / "data.txt").symlink_to(world.root / "gradebook.db")
    (folder / sheet.NAME).write_text(json.dumps(made))


def linked_folder(folder, world, made):
    (folder / "data").symlink_to(world.root)
    (folder / sheet.NAME).write_text(json.dumps(made))


look(
    "by a link beside the notebook",
    "print(open('data.txt', errors='replace').read())",
    write=linked_file,
)
look(
    "by a link to a folder",
    "print(open('data/gradebook.db', errors='replace').read())",
    write=linked_folder,
)

# Hidden tests, while they ask


def double(name, code, compose=sheet.RIGHT["compose"], **others):
    answers = {"double": code, "compose": compose}
    _add(name, "it leaks", answers=answers, **others)


double(
    "what hidden tests ask is printed",
    "def double(x):\n    print(x, flush=True)\n    return 2 * x",
)
double(
    "what hidden tests ask is displayed",
    """
    from IPython.display import display
    def double(x):
        display(str(x))
        return 2 * x
    """,
)
double(
    "what hidden tests ask is kept for a later cell",
    "seen = []\ndef double(x):\n    seen.append(x)\n    return 2 * x",
    last="print(seen)",
)
double(
    "what hidden tests ask is written for a later cell",
    """
    def double(x):
        with open("/tmp/" + MARK, "a") as file:
            print(x, file=file)
        return 2 * x
    """,
    last="print(open('/tmp/' + MARK).read())",
)
double(
    "what hidden tests ask is in an error's text",
    """
    def double(x):
        if x > 9:
            raise ValueError(f"it is {x}")
        return 2 * x
    """,
    lost=("double",),
)
double(
    "what hidden tests ask is the name of an error",
    f"""
    def double(x):
        if x > 9:
            raise type({TO_LETTERS}, (ValueError,), {{}})()
        return 2 * x
    """,
    lost=("double",),
    secrets=(LETTERS,),
)
double(
    "what hidden tests ask is the name of a result's class",
    f"""
    def double(x):
        return 2 * x if x < 9 else type({TO_LETTERS}, (), {{}})()
    """,
    lost=("double",),
    secrets=(LETTERS,),
)
double(
    "what hidden tests ask is in a wrong answer",
    """
    def double(x):
        return 2 * x if x < 9 else x
    """,
    lost=("double",),
)
double(
    "what hidden tests ask is told to a visible check",
    """
    seen = []
    def double(x):
        seen.append(x)
        if x == 1:
            raise ValueError(seen)
        return 2 * x
    """,
    lost=("double",),
)
double(
    "what hidden tests ask is told to another test",
    """
    def double(x):
        with open("/tmp/" + MARK, "a") as file:
            print(x, file=file)
        return 2 * x
    """,
    compose="""
    def compose(f, n):
        raise ValueError(open("/tmp/" + MARK).read())
    """,
    lost=("compose",),
)
double(
    "the tests' own text",
    """
    import linecache, sys
    def double(x):
        frame = sys._getframe(1)
        while frame:
            print("".join(linecache.getlines(frame.f_code.co_filename)))
            frame = frame.f_back
        return 2 * x
    """,
)
look(
    "what the last one left",
    """
    import glob
    for folder in ("/tmp", "/dev/shm"):
        for path in glob.glob(folder + "/hostile-left-*"):
            print(open(path).read())
    """,
)

# How an answer fails may depend on what it was asked, and is not told.

CHOOSE = """
def double(x):
    if x not in (1, 3):
        {way}
    return 2 * x
"""
for what, way, words in (
    (
        "the class of one of Python's errors",
        "raise getattr(__import__('builtins'), 'Buffer' + 'Error')",
        "BufferError",
    ),
    (
        "a request for what is forbidden",
        "raise checks.Forbidden('-'.join(['told', 'so']))",
        "told-so",
    ),
    (
        "words of the author's that it raises",
        "raise checks.Wrong(' '.join(['Exercise', '3']) + ' told')",
        "Exercise 3 told",
    ),
):
    _add(
        f"what hidden tests ask is {what}",
        "it leaks",
        answers={"double": CHOOSE.format(way=way)},
        lost=("double",),
        secrets=(words,),
    )

# Other ways to tell what a hidden test asks

CHANNELS = {
    "written to the descriptor": "import os; os.write(1, f'{x}\\n'.encode())",
    "a line of a log": (
        "import logging; logging.basicConfig(force=True); logging.error('it is %s', x)"
    ),
    "what a child prints": "import subprocess; subprocess.run(['echo', str(x)])",
    "what C code prints": (
        "import ctypes; libc = ctypes.CDLL(None); "
        "libc.printf(b'%s\\n', str(x).encode()); libc.fflush(None)"
    ),
    "what a thread prints": (
        "import threading; threading.Thread(target=print, args=[x]).start()"
    ),
    "shown as Markdown": (
        "from IPython.display import Markdown, display; display(Markdown(str(x)))"
    ),
    "a display that is updated": (
        "from IPython.display import display; "
        "display(str(x), display_id='d', update=True)"
    ),
}
for what, way in CHANNELS.items():
    double(
        f"what hidden tests ask is {what}",
        f"def double(x):\n    {way}\n    return 2 * x",
    )
double(
    "what hidden tests ask is a variable of the environment",
    """
    import os
    def double(x):
        os.environ["ASKED"] = os.environ.get("ASKED", "") + f" {x}"
        return 2 * x
    """,
    last="print(os.environ['ASKED'])",
)
double(
    "what hidden tests ask is a file's name",
    """
    import os
    def double(x):
        os.makedirs(f"/tmp/{MARK}-{x}", exist_ok=True)
        os.rmdir(f"/tmp/{MARK}-{x}")
        double.__doc__ = f"{double.__doc__} {x}"
        return 2 * x
    """,
    last="print(double.__doc__)",
)
for what, way in {
    "an error's note": "error = ValueError('no'); error.add_note(f'{x}'); raise error",
    "an error's cause": "raise ValueError('no') from KeyError(f'{x}')",
}.items():
    code = f"def softmax(x):\n    if x.max() > 9:\n        {way}\n"
    code += "    return (x - x.logsumexp(-1, keepdim=True)).exp()"
    _add(
        f"what hidden tests ask is {what}",
        "it leaks",
        answers={"softmax": code},
        lost=("softmax",),
    )
double(
    "frames seen from another thread",
    """
    import sys, threading
    def look():
        for frame in sys._current_frames().values():
            while frame:
                for value in list(frame.f_locals.values()):
                    print(getattr(value, "source", ""))
                frame = frame.f_back
    def double(x):
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        return 2 * x
    """,
)
look(
    "every module's texts",
    """
    import sys
    for module in list(sys.modules.values()):
        for value in list(getattr(module, "__dict__", {}).values()):
            if type(value) is str and "her" + "on-" in value:
                print(value)
    """,
)
