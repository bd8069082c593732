"""Processes of tests that are forked from one which has imported what they need.

    forked.run([sys.executable, "-m", "dot2gpt", "check"], cwd=course)

Each has a namespace, an environment and a folder of its own, and starts in a tenth of
the time. Where nothing can be forked (Windows), they start as usual.
"""

import atexit
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.connection import Connection
from threading import Thread

KERNELS = ["dot2gpt.quick_start", "ipykernel.kernelapp", "numpy", "tqdm", "nbformat"]
# Not matplotlib.pyplot: its backend wants a kernel, and none is there yet.
KERNELS += ["matplotlib.figure", "matplotlib.font_manager", "torch._dynamo", "torch.nn"]
KERNELS += ["matplotlib.backends.backend_agg", "IPython.core.completerlib"]
COMMANDS = ["nbgrader.apps", "nbgrader.api", "nbclient", "pebble", "psutil", "tiktoken"]
COMMANDS += ["matplotlib.pyplot", "matplotlib_inline.backend_inline", "torch.testing"]
COMMANDS += ["grading.judge.judge", "grading.sandbox.supervisor", "ipykernel.debugger"]

CAN_FORK = "forkserver" in get_all_start_methods()
context = get_context("forkserver" if CAN_FORK else None)
context.set_forkserver_preload(KERNELS + COMMANDS)


class Forked:
    """A little of `Popen`: what is said comes when it has ended."""

    stdin = stdout = stderr = None

    def __init__(self, process, alive=None, said=()):
        self.process, self.pid, self.alive = process, process.pid, alive
        self.said = said

    @property
    def returncode(self):
        return self.process.exitcode

    poll = returncode.fget

    def wait(self, timeout=None):
        self.process.join(timeout)
        if self.process.exitcode is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
        return self.process.exitcode

    def communicate(self, timeout=None):
        """What it said on stdout and stderr, once it has ended."""
        self.wait(timeout)
        texts = []
        for file in self.said:
            file.seek(0)
            texts.append(file.read())
        return texts

    def send_signal(self, number):
        os.kill(self.pid, number)

    def terminate(self):
        self.process.terminate()

    def kill(self):
        self.process.kill()


def start(command, cwd=None, env=None, input="", first=None):
    """Start `[python, "-m", module, ...]` or `[python, "-c", code, ...]`.

    first: what the process calls before.
    """
    files = [tempfile.TemporaryFile("w+", encoding="utf-8") for _ in range(3)]
    files[0].write(input)
    files[0].seek(0)
    ends = [Connection(os.dup(file.fileno())) for file in files]
    environment = dict(os.environ if env is None else env)
    arguments = [str(word) for word in command[1:]]
    folder = os.fspath(cwd or os.getcwd())
    process = context.Process(
        target=_be_command, args=(arguments, environment, folder, ends, first)
    )
    process.start()
    return Forked(process, said=files[1:])


def run(command, timeout=None, **options):
    """As `subprocess.run` with text that is captured; options: those of `start`."""
    process = start(command, **options)
    try:
        said = process.communicate(timeout)
    finally:
        process.kill()
    return subprocess.CompletedProcess(command, process.returncode, *said)


def _be_command(arguments, environment, folder, ends, first):
    _enter(environment, folder)
    for number, end in enumerate(ends):
        os.dup2(end.fileno(), number)
    try:
        if first:
            first()
        _python(arguments)
    finally:
        atexit._run_exitfuncs()


def _python(arguments):
    """What the interpreter does with such arguments."""
    kind, name, *others = arguments
    path = os.environ.get("PYTHONPATH", "")
    sys.path[:0] = [os.getcwd(), *filter(None, path.split(os.pathsep))]
    sys.argv = [kind, *others]
    if kind == "-m":
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    else:
        exec(compile(name, "<string>", "exec"), {"__name__": "__main__"})


def _enter(environment, folder):
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)


# ---- kernels ------------------------------------------------------------------------


def kernels():
    """Have jupyter_client fork the kernels that this process starts."""
    if not CAN_FORK:
        return
    from jupyter_client.provisioning import local_provisioner

    local_provisioner.launch_kernel = _launch


def _launch(command, env, cwd, **_):
    arguments = command[command.index("-m") + 2 :]
    parent, alive = context.Pipe(duplex=False)
    process = context.Process(target=_be_kernel, args=(arguments, env, cwd, parent))
    process.start()
    parent.close()
    while process.is_alive() and os.getpgid(process.pid) != process.pid:
        time.sleep(0.005)  # until then a signal to its group would reach us
    return Forked(process, alive)


def _be_kernel(arguments, environment, folder, parent):
    """Run ipykernel until it is shut down, or the process that wanted it has ended."""
    os.setsid()
    Thread(target=_end_with, args=(parent,), daemon=True).start()
    _enter(environment, folder)
    quiet = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(quiet, number)
    from ipykernel import kernelapp

    kernelapp.launch_new_instance(argv=arguments)


def _end_with(parent):
    with suppress(EOFError):
        parent.recv()
    os._exit(1)


# ---- the grader's warm parent -------------------------------------------------------


def warm_parents():
    """Have this process fork the warm parents that it starts."""
    if not CAN_FORK:
        return
    from types import SimpleNamespace

    from grading.sandbox import warm

    warm.subprocess = SimpleNamespace(**{**vars(subprocess), "Popen": _fork_parent})


def _fork_parent(command, stdin, env, **_):
    arguments = command[2:]  # without -P
    process = get_context("fork").Process(
        target=_be_parent, args=(arguments, env, stdin), daemon=True
    )
    process.start()
    return Forked(process)


def _be_parent(arguments, environment, requests):
    os.setsid()
    _enter(environment, "/")
    quiet = os.open(os.devnull, os.O_RDWR)
    for number, source in enumerate((requests.fileno(), quiet, quiet)):
        os.dup2(source, number)
    os.closerange(3, 1024)  # or it would hold the other end of its requests
    try:
        _python(arguments)
    finally:
        os._exit(0)
