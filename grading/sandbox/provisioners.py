"""Kernel provisioners: the point at which Jupyter's own tools get a sandbox.

jupyter_client finds them by their entry points, so nbclient, nbgrader and Jupyter
Server use them unchanged, through the kernel specs in `grading/sandbox/kernels/`:

    sandbox       WarmProvisioner: forked from a process that has imported torch
    sandbox-none  LocalPrivateProvisioner: no sandbox

`kernel_manager(kind)` gives a manager for one of them.
"""

import asyncio
import os
import signal
import sys
import threading
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from socket import SHUT_WR, socket

from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.provisioning import LocalProvisioner
from traitlets import Int

from grading.sandbox import spec, warm
from grading.sandbox.cgroup import Cgroup
from grading.sandbox.spec import Bounds, Box
from grading.sandbox.warm import Parent
from grading.sandbox.watch import Watch

KERNELS = Path(__file__).resolve().parent / "kernels"
NEEDED = ("SYSTEMROOT", "TEMP")  # without which no program runs on Windows
SPECS = {"warm": "sandbox", "none": "sandbox-none"}


def kernel_manager(kind="warm", bounds=None):
    """A manager of a kernel that has not started yet.

    kind: "warm" for a sandbox, "none" for an ordinary local kernel.
    bounds: a `grading.sandbox.spec.Bounds`; None for the defaults.

    `await manager.start_kernel(cwd=folder)` shows the files of `folder`, without its
    notebooks; without `cwd` the kernel sees no file. `manager.provisioner.why_ended()`
    says which limit ended a kernel.

    Raises ValueError for another kind.
    """
    if kind not in SPECS:
        raise ValueError(f"kind={kind!r} is not one of {', '.join(SPECS)}")
    specs = KernelSpecManager(kernel_dirs=[str(KERNELS)], ensure_native_kernel=False)
    manager = AsyncKernelManager(kernel_name=SPECS[kind], kernel_spec_manager=specs)
    if bounds is not None:
        stanza = manager.kernel_spec.metadata["kernel_provisioner"]
        stanza["config"] = asdict(bounds)
    return manager


class LocalPrivateProvisioner(LocalProvisioner):
    """An ordinary local kernel with no sandbox: ipc sockets in a private folder."""

    memory = Int(Bounds.memory, help="bytes, all processes together").tag(config=True)
    processes = Int(Bounds.processes, help="at one time").tag(config=True)
    file_size = Int(Bounds.file_size, help="bytes of one file").tag(config=True)
    open_files = Int(Bounds.open_files, help="of one process").tag(config=True)
    cpu_seconds = Int(Bounds.cpu_seconds, help="of one process").tag(config=True)
    scratch = Int(Bounds.scratch, help="bytes in temporary files").tag(config=True)
    box = None

    @property
    def bounds(self):
        return Bounds(**{name: getattr(self, name) for name in asdict(Bounds())})

    async def pre_launch(self, **kwargs):
        """Make the private folder; returns what `launch_kernel` gets."""
        if self.box is None:
            _sweep_once()
            self.box = Box()
        self.box.empty()
        manager = self.parent
        if sys.platform != "win32":
            manager.transport, manager.ip = "ipc", str(self.box.sockets / "k")
        manager.connection_file = str(self.box.sockets / "kernel.json")
        folder = kwargs.pop("cwd", None)
        # Not from os.environ, which another thread may be changing.
        kwargs["env"] = spec.environment()
        kwargs = await super().pre_launch(**kwargs)
        self.files = self.box.take_files(folder) if folder else []
        kwargs["env"] = spec.environment() | self.kernel_spec.env
        # nbgrader's settings may repeat an argument, which ipykernel does not take.
        kwargs["cmd"] = list(dict.fromkeys(kwargs["cmd"]))
        return kwargs

    async def launch_kernel(self, cmd, **kwargs):
        """Start the kernel; returns the connection."""
        home = kwargs["cwd"] = str(self.box.files)
        kwargs["env"] = {
            name: value.replace(spec.HOME, home)
            for name, value in kwargs["env"].items()
        } | {name: os.environ[name] for name in NEEDED if name in os.environ}
        return await super().launch_kernel(cmd, **kwargs)

    async def cleanup(self, restart=False):
        """Remove all that the kernel leaves: processes, cgroups, its folder."""
        await super().cleanup(restart)
        await asyncio.to_thread(self._clean)
        if not restart and self.box:
            self.box.remove()
            self.box = None

    def _clean(self):
        """Remove what belongs to one kernel and not to the next after a restart."""

    def why_ended(self):
        """Which limit ended the kernel, as a sentence; "" if none did."""
        return ""


class WarmProvisioner(LocalPrivateProvisioner):
    """A kernel in a sandbox, forked from the warm parent: limits, and no remains."""

    cgroup = watch = _kernel = None

    async def pre_launch(self, **kwargs):
        """Raises RuntimeError where the sandbox would show the course."""
        if path := spec.exposed():
            raise RuntimeError(
                f"the course lies in {path}, which the sandbox shows: keep Python's "
                "environment in a folder of its own, such as .venv"
            )
        return await super().pre_launch(**kwargs)

    async def launch_kernel(self, cmd, **kwargs):
        """Start the kernel in its sandbox; returns the connection.

        Raises RuntimeError if the sandbox can't be made.
        """
        self.cgroup = Cgroup(self.box.path.name, self.bounds)
        self.box.note(self.cgroup.folders)
        self.box.give_to_sandbox()
        arguments = cmd[cmd.index("ipykernel_launcher") + 1 :]
        made = self.box, self.files, self.bounds, self.cgroup.folders
        request = spec.request(*made, arguments, kwargs["env"])
        self.process = self._kernel = await asyncio.to_thread(forked, request)
        self.pid, self.pgid = self.process.pid, None
        self.watch = Watch(self.process, self.box, self.bounds, self.cgroup)
        return self.connection_info

    async def send_signal(self, signum):
        """End the kernel; interrupts go by message, which needs no signal."""
        if self.process and signum in (signal.SIGKILL, signal.SIGTERM):
            await asyncio.to_thread(self.process.kill)

    def _clean(self):
        if self.watch:
            self.watch.stop()
        if self._kernel:
            self._kernel.kill()
        if self.cgroup:
            self.cgroup.remove()

    def why_ended(self):
        """Which limit ended the kernel, as a sentence; "" if none did."""
        if not self.watch:
            return ""
        if self._kernel.poll() is not None:
            self.watch.stop()  # after a last look
        return self.watch.verdict


def forked(request):
    """A Forked of the warm parent; of another one if that died under the request.

    Raises RuntimeError if the sandbox can't be made.
    """
    with suppress(EOFError, OSError):
        return Forked(request, Parent.of_this_process())
    try:
        return Forked(request, Parent.of_this_process())
    except (EOFError, OSError):
        command = " ".join(warm.command())
        raise RuntimeError(f"no kernel was forked; to see why: {command}") from None


class Forked:
    """A sandbox with its kernel, with the methods of Popen that jupyter_client needs.

    pid: of its supervisor.
    """

    stdin = stdout = stderr = None

    def __init__(self, request, parent):
        """Raises EOFError or OSError if the parent is dead, RuntimeError if it says no.

        request: of `grading.sandbox.spec.request`.
        """
        self._connection, self._lock = parent.fork(warm.KERNEL), threading.Lock()
        self._connection.send(request)
        said = self._connection.recv()
        if "error" in said:
            raise RuntimeError(f"no sandbox can be made: {said['error']}")
        self.pid, self.returncode = said["pid"], None

    def poll(self):
        return self.wait(0)

    def kill(self):
        """End it with all its processes; returns when they are gone."""
        with self._lock:
            if self.returncode is None:
                with socket(fileno=os.dup(self._connection.fileno())) as connection:
                    with suppress(OSError):  # it has ended just now
                        connection.shutdown(SHUT_WR)
        self.wait()

    terminate = kill

    def wait(self, timeout=None):
        """The exit status; None if it still runs after so many seconds."""
        with self._lock:
            if self.returncode is None and self._connection.poll(timeout):
                try:
                    self.returncode = self._connection.recv()["status"]
                except (EOFError, OSError):  # its supervisor has died, and it as well
                    self.returncode = -signal.SIGKILL
                self._connection.close()
        return self.returncode


_swept = threading.Lock()


def _sweep_once():
    """Clean up after runs that were killed, when the first kernel is wanted."""
    if _swept.acquire(blocking=False):
        spec.sweep()
