"""Kernel provisioners: the point at which Jupyter's own tools get a sandbox.

jupyter_client finds them by their entry points, so nbclient, nbgrader and Jupyter
Server use them unchanged, through the kernel specs in `grading/sandbox/kernels/`:

    sandbox        WarmProvisioner: forked from a zygote that has imported torch
    sandbox-plain  BwrapProvisioner: a new process in bubblewrap
    sandbox-none   LocalPrivateProvisioner: no sandbox

`kernel_manager(kind)` gives a manager for one of them.
"""

import asyncio
import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import psutil
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.provisioning import LocalProvisioner
from traitlets import Int

from grading.sandbox import spec, warm
from grading.sandbox.cgroup import Cgroup
from grading.sandbox.spec import Bounds, Box
from grading.sandbox.warm import Parent, bare_environment, has_ended
from grading.sandbox.watch import Watch

KERNELS = Path(__file__).resolve().parent / "kernels"
NEEDED = ("SYSTEMROOT", "TEMP")  # without which no program runs on Windows
SPECS = {"warm": "sandbox", "plain": "sandbox-plain", "none": "sandbox-none"}


def kernel_manager(kind="warm", bounds=None):
    """A manager of a kernel that has not started yet.

    kind: "warm" or "plain" for a sandbox, "none" for an ordinary local kernel.
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


class _Private(LocalProvisioner):
    """What all three share: a private folder with ipc sockets, and cleaning up."""

    memory = Int(Bounds.memory, help="bytes, all processes together").tag(config=True)
    processes = Int(Bounds.processes, help="at one time").tag(config=True)
    file_size = Int(Bounds.file_size, help="bytes of one file").tag(config=True)
    open_files = Int(Bounds.open_files, help="of one process").tag(config=True)
    cpu_seconds = Int(Bounds.cpu_seconds, help="of one process").tag(config=True)
    scratch = Int(Bounds.scratch, help="bytes in /tmp, and in home").tag(config=True)
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
        kwargs["env"] = sandbox.environment()
        kwargs = await super().pre_launch(**kwargs)
        self.box.give_to_sandbox()
        self.files = self.box.take_files(folder) if folder else []
        self.variables = spec.environment() | self.kernel_spec.env
        kwargs["env"] = self.variables
        # nbgrader's settings may repeat an argument, which ipykernel does not take.
        kwargs["cmd"] = list(dict.fromkeys(kwargs["cmd"]))
        return kwargs

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


class _Sandboxed(_Private):
    """What the two with a sandbox share: limits, and an end that leaves nothing."""

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
        self.process = self._kernel = await asyncio.to_thread(self._start, cmd)
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


class BwrapProvisioner(_Sandboxed):
    """A new kernel process inside bubblewrap: takes seconds, needs nothing warm."""

    def _start(self, cmd):
        sockets = str(self.box.sockets)
        line = spec.bwrap_command(cmd, sockets, self.files, self.bounds, self.variables)
        line = spec.supervised(line, self.box, self.cgroup.folders)
        quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        return _Supervised(
            line, cwd="/", env=bare_environment(), start_new_session=True, **quiet
        )


class WarmProvisioner(_Sandboxed):
    """A kernel forked from the zygote of this process: takes a fraction of a second."""

    def _start(self, cmd):
        arguments = cmd[cmd.index("ipykernel_launcher") + 1 :]
        request = spec.zygote_request(
            arguments,
            self.box,
            self.files,
            self.bounds,
            self.variables,
            self.cgroup.folders,
        )
        return _spawn(request)

    def _clean(self):
        super()._clean()
        if self._kernel:
            self._kernel.forget()


class LocalPrivateProvisioner(_Private):
    """An ordinary local kernel with no sandbox, in the private folder."""

    async def launch_kernel(self, cmd, **kwargs):
        """Start the kernel; returns the connection."""
        home = str(self.box.files)
        kwargs["cwd"] = home
        kwargs["env"] = {
            name: value.replace(spec.HOME, home)
            for name, value in self.variables.items()
        } | {name: os.environ[name] for name in NEEDED if name in os.environ}
        return await super().launch_kernel(cmd, **kwargs)


class Zygote:
    """What forks this process's kernels, made when the first is wanted."""

    _one, _making = None, threading.Lock()

    def __init__(self, parent=None):
        """parent: the warm parent to ask. Raises RuntimeError if there is no zygote."""
        self._lock, self._owner = threading.Lock(), os.getpid()
        me = os.pidfd_open(self._owner)
        try:
            parent = parent or Parent.of_this_process()
            self.socket = parent.fork(warm.ZYGOTE, me)
        finally:
            os.close(me)
        self._file = self.socket.makefile("rw")
        said = self._file.readline()
        if not said:
            command = " ".join(warm.command())
            raise RuntimeError(f"the zygote did not start; to see why: {command}")
        self.process = psutil.Process(json.loads(said)["pid"])
        atexit.register(self.close)

    @classmethod
    def of_this_process(cls):
        """The zygote that lives; a new one if there is none, or it has died."""
        with cls._making:
            if cls._one is None or not cls._one._is_ours():
                cls._one = cls()
            return cls._one

    def _is_ours(self):
        """Whether it lives, and was not inherited from the process that forked us."""
        return self._owner == os.getpid() and not has_ended(self.socket)

    def ask(self, op, **request):
        """Send a request and wait for the answer.

        Raises ConnectionError if the zygote is dead, RuntimeError if it says no.
        """
        with self._lock:
            try:
                self._file.write(json.dumps({"op": op, **request}) + "\n")
                self._file.flush()
                line = self._file.readline()
            except (OSError, ValueError):
                line = ""
        if not line:
            raise ConnectionError("the zygote has died")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"no sandbox can be made: {answer['error']}")
        return answer

    def close(self):
        """End it, and all its kernels."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)
        try:
            self.process.wait(5)
        except psutil.TimeoutExpired:
            self.process.kill()
        with suppress(OSError):  # a request that it did not take any more
            self._file.close()
        self.socket.close()


def _spawn(request):
    """A kernel from the zygote; once more if it died under the request."""
    for last in (False, True):
        try:
            zygote = Zygote.of_this_process()
            return _Forked(zygote, zygote.ask("spawn", **request)["pid"])
        except ConnectionError:
            if last:
                raise


class _Supervised(subprocess.Popen):
    """The supervisor of a bubblewrap sandbox; it ends after all that it looks after."""

    def kill(self):
        """End it and all that runs in the sandbox; returns when they are gone."""
        self.send_signal(signal.SIGTERM)
        try:
            self.wait(5)
        except subprocess.TimeoutExpired:
            super().kill()

    terminate = kill


class _Forked:
    """A kernel of the zygote's, with the methods of Popen that jupyter_client needs."""

    stdin = stdout = stderr = None

    def __init__(self, zygote, pid):
        self.zygote, self.pid, self.returncode = zygote, pid, None

    def poll(self):
        return self._ask("poll")

    def kill(self):
        self._ask("kill")

    terminate = kill

    def wait(self, timeout=None):
        while self.poll() is None:
            time.sleep(0.02)
        return self.returncode

    def forget(self):
        """Have the zygote forget it, once it has ended."""
        if self.zygote:
            with suppress(ConnectionError):
                self.zygote.ask("forget", pid=self.pid)
            self.zygote = None

    def _ask(self, op):
        if self.returncode is None:
            try:
                self.returncode = self.zygote.ask(op, pid=self.pid)["status"]
            except ConnectionError:  # its kernels have died with it
                self.returncode = -signal.SIGKILL
        return self.returncode


_swept = threading.Lock()


def _sweep_once():
    """Clean up after runs that were killed, when the first kernel is wanted."""
    if _swept.acquire(blocking=False):
        spec.sweep()
