"""A plug-in for nbval: kernels are forked from a process that has imported torch.

    python -m pytest -p tests.warm_kernels --nbval chapters

Each notebook still has a kernel of its own, with nothing in its namespace; it starts in
a tenth of the time. Where nothing can be forked (Windows), kernels start as usual.
"""

import os
from multiprocessing import active_children

from tests import forked


def pytest_configure(config):
    # Read when matplotlib is imported, long before a kernel could set it.
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    forked.context.set_forkserver_preload(forked.KERNELS)
    forked.kernels()


def pytest_unconfigure(config):
    """End what a run that was stopped leaves behind: it would be waited for."""
    for process in active_children():
        process.kill()
