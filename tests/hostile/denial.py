"""What stalls, crashes or fills a machine. All of it is bounded, wherever it runs."""

from tests.hostile.case import collector

CASES, _add = collector("denial")


def cell(name, wins, code, **others):
    _add(name, wins, first=code, **others)


def call(name, wins, code, **others):
    _add(name, wins, answers={"double": code}, lost=("double",), **others)


# Memory, disk, processes, output

# Shared memory is nobody's in particular: only the sum over all processes has it.
SHARED = """
    import mmap, time
    much = mmap.mmap(-1, 600 << 20)
    for _ in range(600):
        much.write(bytes(1 << 20))
    time.sleep(3)
"""
cell(
    "memory in a cell",
    "it takes memory",
    "much = b'x' * (600 << 20)",
    shows="MemoryError",
)
call(
    "memory in a call",
    "it takes memory",
    "def double(x):\n    return len(b'x' * (600 << 20))",
    says="MemoryError",
)
cell("shared memory in a cell", "it takes memory", SHARED, says="GiB of memory")
call(
    "shared memory in a call",
    "it takes memory",
    f"def double(x):{SHARED}",
    says="memory was full",
)
call(
    "a result that is too large",
    "it takes memory",
    "def double(x):\n    return torch.ones(150, 1000, 1000)",
)
cell(
    "a large file",
    "it fills the disk",
    """
    import os
    number = os.open("/tmp/" + MARK, os.O_CREAT | os.O_RDWR)
    os.posix_fallocate(number, 0, 400 << 20)
    os.posix_fallocate(number, 0, 500 << 20)
    """,
    shows="OSError",
)
cell(
    "150 processes",
    "it is many",
    """
    from subprocess import PIPE, Popen
    # Each waits for the end of whoever started it, and then stays to be counted.
    wait = ["/bin/sh", "-c", "read line; sleep 3; true", MARK]
    waiting = [Popen(wait, stdin=PIPE) for _ in range(150)]
    """,
    lost=("double", "softmax", "compose"),
    says="no longer answered",
)
cell(
    "12 MiB of output",
    "it floods",
    "for _ in range(12):\n    print('x' * (1 << 20))",
    shows="too much output",
)
cell("an error of 8 MiB", "it floods", "raise ValueError('x' * (8 << 20))")

# Time

cell(
    "a cell without an end",
    "it stalls",
    "import time\nwhile True:\n    time.sleep(0.01)",
)
cell(
    "a cell that can't be interrupted",
    "it stalls",
    """
    import time
    while True:
        try:
            time.sleep(9)
        except BaseException:
            pass
    """,
    says="did not stop",
)
cell(
    "a cell that ignores signals",
    "it stalls",
    """
    import signal, time
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)
    while True:
        time.sleep(9)
    """,
)
cell(
    "a lock that nobody opens",
    "it stalls",
    "import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()",
)
cell(
    "C code that lets nobody else run",
    "it stalls",
    "import ctypes\nctypes.PyDLL(None).sleep(60)",
)
call(
    "a call without an end",
    "it stalls",
    "import time\ndef double(x):\n    while True:\n        time.sleep(0.01)",
    says="no result after",
)
call(
    "a call that forgives every interruption",
    "it stalls",
    """
    import time
    def double(x):
        while True:
            try:
                time.sleep(9)
            except BaseException:
                pass
    """,
    says="no result after",
)
call(
    "a result that never ends",
    "it stalls",
    """
    import time
    class Long:
        def __len__(self):
            return 10**6
        def __getitem__(self, place):
            time.sleep(0.01)
            return 1.0
    def double(x):
        return Long()
    """,
)

_add(
    "6,000 cells",
    "it stalls",
    last=("import time\ntime.sleep(0.01)",) * 6000,
    lost=("double", "softmax", "compose"),
    says="5000 are allowed",
)

# The process

cell("it leaves", "it ends the grader", "import os\nos._exit(0)", says="ended its own")
cell("it kills itself", "it ends the grader", "import os\nos.kill(os.getpid(), 9)")
cell(
    "it kills its parent",
    "it ends the grader",
    "import os, time\nos.kill(os.getppid(), 9)\ntime.sleep(0.2)\nos._exit(0)",
)
cell("it reads address 0", "it ends the grader", "import ctypes\nctypes.string_at(0)")
cell(
    "the stack overflows",
    "it ends the grader",
    """
    import sys
    sys.setrecursionlimit(10**8)
    class Deep:
        def __repr__(self):
            return repr(self)
    repr(Deep())
    """,
)
cell(
    "every descriptor is closed",
    "it ends the grader",
    "import os\nos.closerange(3, 4096)",
)
NONSENSE = """
    import os
    for number in range(3, 64):
        try:
            os.set_blocking(number, False)
            os.write(number, b"nonsense\\n" * 100)
        except OSError:
            pass
"""
cell("nonsense into every socket", "it ends the grader", NONSENSE, says="ended its own")
call(
    "nonsense into every socket when it is called",
    "it ends the grader",
    "def double(x):" + NONSENSE,
)
_add(
    "every second cell leaves",
    "it ends the grader",
    last=("import os; os._exit(0)",) * 6,
)
call(
    "it leaves when it is called",
    "it ends the grader",
    "import os\ndef double(x):\n    os._exit(0)",
    says="ended its own process",
)
call(
    "it crashes when it is called",
    "it ends the grader",
    "import ctypes\ndef double(x):\n    ctypes.string_at(0)",
)
cell(
    "it becomes another program",
    "it ends the grader",
    "import os\nos.execv('/bin/sh', ['sh', '-c', 'exit 0'])",
    says="ended its own",
)
cell(
    "it forbids itself every call of the system",
    "it ends the grader",
    "import ctypes\nctypes.CDLL(None).prctl(22, 1, 0, 0, 0)\nopen('/dev/null')",
)
cell("it aborts", "it ends the grader", "import os\nos.abort()", says="ended its own")
call(
    "a range that is longer than memory",
    "it stalls",
    "def double(x):\n    return range(10**8)",
    says="can't be read",
)
