"""Right answers that change what is not theirs, or leave something behind."""

import json

from tests.hostile import sheet
from tests.hostile.case import collector

CASES, _add = collector("tampering")


def change(name, code, wins="it changes the course", **others):
    _add(name, wins, first=code, **others)


change(
    "points in the gradebook",
    """
    import sqlite3
    book = sqlite3.connect(ROOT + "/gradebook.db")
    book.execute("update grade set points = 100")
    book.commit()
    """,
)
change("the gradebook is emptied", "open(ROOT + '/gradebook.db', 'w').close()")
change(
    "a neighbour's notebook",
    f"open(ROOT + '/submitted/bob/hostile/{sheet.NAME}', 'a').write('x')",
)
change(
    "its own notebook, afterwards",
    f"open(OWN + '/{sheet.NAME}', 'a').write(' ')\nopen('{sheet.NAME}', 'a').close()",
)
change(
    "the time of its own notebook",
    f"import os\nos.utime(OWN, (0, 0))\nos.utime(OWN + '/{sheet.NAME}', (0, 0))",
)
change("the course is deleted", "import shutil\nshutil.rmtree(ROOT)")
change(
    "what the next kernel starts with",
    """
    import os
    place = HOME + "/.ipython/profile_default/startup"
    os.makedirs(place)
    open(place + "/first.py", "w").write("import os")
    """,
)
change("what the grader's shell starts with", "!echo true >> $HOME/.bashrc")
change("who may read the gradebook", "!chmod 0777 $ROOT/gradebook.db")
change(
    "in a function that a test calls",
    "",
    answers={
        "double": """
            import os
            def double(x):
                try:
                    os.remove(ROOT + "/gradebook.db")
                except OSError:
                    pass
                return 2 * x
        """
    },
)
change("another process is killed", "import os\nos.kill(PID, 9)")
change("another process is stopped", "import os\nos.kill(PID, 19)")
change(
    "another process's limits",
    "import resource\nresource.prlimit(PID, resource.RLIMIT_NOFILE, (9, 9))",
)
change(
    "a process that stays",
    """
    import os, subprocess, sys
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        null = os.open("/dev/null", os.O_RDWR)
        for number in range(64):
            os.dup2(null, number)
        os.execv(sys.executable, [sys.executable, "-IS", "-c",
                                  "import time; time.sleep(60)", MARK])
    import time
    time.sleep(0.3)
    """,
    wins="a process stays",
)
for folder in ("/tmp", "/dev/shm"):
    change(
        f"a file for the next one in {folder}",
        f"open('{folder}/' + MARK, 'w').write('7')",
        wins="a file stays",
    )

# What opens in the instructor's browser

ALERT = "alert(1)"


def shown(name, code):
    change(name, code, wins="a page runs it", secrets=("<script", "onerror"))


shown(
    "a script in an output",
    "from IPython.display import HTML, display\n"
    "display(HTML('<scr' + 'ipt>alert(1)</scr' + 'ipt>'))",
)
shown(
    "JavaScript as an output",
    "from IPython.display import Javascript, display\n"
    "display({'text/html': '<img src=x one' + 'rror=alert(1)>'}, raw=True)\n"
    "display(Javascript('alert(1)'))",
)
shown(
    "a picture with a script",
    "from IPython.display import SVG, display\n"
    "display({'image/svg+xml': '<svg><scr' + 'ipt>alert(1)</scr' + 'ipt></svg>'},"
    " raw=True)",
)


def essay(folder, world, made):
    made["cells"][-1]["source"] = (
        "<script>alert(1)</script><img src=x onerror=alert(1)>"
    )
    (folder / sheet.NAME).write_text(json.dumps(made))


_add(
    "a script in the essay",
    "a page runs it",
    write=essay,
    secrets=("<script", "onerror"),
)
shown(
    "Markdown with a script as an output",
    "from IPython.display import Markdown, display\n"
    "display({'text/markdown': '<img src=x one' + 'rror=alert(1)>'}, raw=True)",
)
shown(
    "a picture that is none",
    "from IPython.display import display\n"
    "display({'image/png': '\"><img src=x one' + 'rror=alert(1)>'}, raw=True)",
)


def essay_of(name, text, *secrets):
    def write(folder, world, made):
        made["cells"][-1]["source"] = text
        (folder / sheet.NAME).write_text(json.dumps(made))

    _add(name, "a page runs it", write=write, secrets=secrets)


essay_of("a link of the essay's runs", "[x](javascript:alert(1))", 'href="javascript')
essay_of("a drawing in the essay", "<svg onload=alert(1)></svg>", "onload", "<svg")
essay_of(
    "a frame in the essay",
    "<iframe srcdoc='<b onclick=alert(1)>'></iframe>",
    "<iframe",
)
