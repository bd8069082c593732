"""A plug-in for nbval: kernels are forked from a process that has imported torch.

    python -m pytest -p tests.warm_kernels --nbval chapters

Each notebook still has a kernel of its own, with nothing in its namespace; it starts in
a tenth of the time. Where nothing can be forked (Windows), kernels start as usual.
"""

import os
import signal
import time
from contextlib import suppress
from multiprocessing import active_children, get_all_start_methods, get_context
from threading import Thread

# Not matplotlib.pyplot: its backend wants a kernel, and none is there yet.
PRELOAD = ["ipykernel.kernelapp", "matplotlib.figure", "matplotlib.font_manager"]
PRELOAD += ["matplotlib.backends.backend_agg", "IPython.core.completerlib"]
PRELOAD += ["torch._dynamo", "torch.nn", "numpy", "tqdm", "nbformat"]


class Forked:
    """What jupyter_client wants of a kernel's process: a little of `Popen`."""

    stdin = stdout = stderr = None

    def __init__(self, process, alive):
        self.process, self.pid, self.alive = process, process.pid, alive

    def poll(self):
        return self.process.exitcode

    def wait(self, timeout=None):
        self.process.join(timeout)
        return self.process.exitcode

    def send_signal(self, number):
        os.kill(self.pid, number)

    def terminate(self):
        self.process.terminate()

    def kill(self):
        self.process.kill()


def _be_kernel(arguments, environment, folder, parent):
    """Run ipykernel until it is shut down, or the process that wanted it has ended."""
    os.setsid()
    Thread(target=_end_with, args=(parent,), daemon=True).start()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    quiet = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(quiet, number)
    from ipykernel import kernelapp

    kernelapp.launch_new_instance(argv=arguments)


def _end_with(parent):
    with suppress(EOFError):
        parent.recv()
    os._exit(1)


def pytest_configure(config):
    if "forkserver" not in get_all_start_methods():
        return
    from jupyter_client.provisioning import local_provisioner

    # Read when matplotlib is imported, long before a kernel could set it.
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    context = get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)

    def launch(command, env, cwd, **_):
        arguments = command[command.index("-m") + 2 :]
        parent, alive = context.Pipe(duplex=False)
        process = context.Process(target=_be_kernel, args=(arguments, env, cwd, parent))
        process.start()
        parent.close()
        while process.is_alive() and os.getpgid(process.pid) != process.pid:
            time.sleep(0.005)  # until then a signal to its group would reach us
        return Forked(process, alive)

    local_provisioner.launch_kernel = launch


def pytest_unconfigure(config):
    """End what a run that was stopped leaves behind: it would be waited for."""
    for process in active_children():
        process.kill()
