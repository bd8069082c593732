"""One learner's kernel: it runs cells, and leaves copies of itself that tests ask."""

import asyncio
import json
import logging
import marshal
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from queue import Empty

import zmq
from jupyter_client.asynchronous import AsyncKernelClient
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat.v4 import new_code_cell, new_notebook, new_output

from grading.sandbox.provisioners import kernel_manager
from grading.sandbox.spec import Bounds, beside

BOUNDARY = Path(__file__).resolve().parents[1] / "boundary"
PARTS = ("codec", "shared", "calls", "peer", "inside")
START = 60  # seconds for the course's own cells, on a busy machine
PATIENCE = 10  # seconds for what takes a kernel milliseconds
SENDING = 3  # seconds for a message to be taken by the system
SHOWN = ("stream", "display_data", "execute_result", "error", "update_display_data")
# Makes them modules inside and leaves no name behind. They come through the socket, as
# IPython takes its time over the text of a cell.
_BOOT = """\
def _boot(place):
    import marshal, socket, sys, types
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(place)
        parts = marshal.load(connection.makefile("rb"))
    package = types.ModuleType("grading.boundary")
    sys.modules |= {"grading": types.ModuleType("grading"), package.__name__: package}
    for name, code in parts.items():
        module = types.ModuleType("grading.boundary." + name)
        sys.modules[module.__name__] = module
        setattr(package, name, module)
        exec(code, module.__dict__)
_boot(PLACE)
del _boot
"""


class KernelDied(Exception):
    """The kernel ended; the text says why, as far as it is known."""


@dataclass
class Ran:
    """What came of a cell."""

    outputs: list = field(default_factory=list)
    count: int | None = None
    late: bool = False


class Kernel:
    """A kernel that is started, used and ended by one run of one notebook."""

    def __init__(self, kind, limits):
        self.limits = limits
        self.manager = kernel_manager(kind, Bounds(memory=limits.memory))
        self.manager.context.sndtimeo = 1000 * SENDING
        self.manager.client_factory = _Prompt
        self.client = _Client(
            new_notebook(),
            km=self.manager,
            most=limits.output,
            allow_errors=True,
            interrupt_on_timeout=True,
            raise_on_iopub_timeout=False,
            iopub_timeout=3,
            error_on_timeout={
                "ename": "CellTimeoutError",
                "evalue": "",
                "traceback": [],
            },
            log=logging.Logger("grading", logging.CRITICAL + 1),
        )
        self.door, self._left = None, None

    async def start(self, setup, folder=None):
        """Start it, with the judge's half and the course's set-up cells.

        folder: what lies there, notebooks left out, lies beside the cells.

        Raises KernelDied if it does not come up, RuntimeError if the set-up fails.
        """
        where = {"cwd": str(folder)} if folder else {}
        try:
            await self.client.async_start_new_kernel(**where)
            self.door = Door(Path(self.manager.connection_file).with_name("judge"))
            await self.client.async_start_new_kernel_client()
            self._wait_for_no_one()
        except (DeadKernelError, RuntimeError) as error:
            raise KernelDied(f"it did not start: {error}") from None
        handing = asyncio.ensure_future(self.door.hand_over(_inside_half()))
        try:
            for source in (_BOOT.replace("PLACE", repr(self.door.path)), *setup):
                reply = await self.run(source, START)
                if reply is None or reply["status"] != "ok":
                    why = (
                        f"{reply['ename']}: {reply['evalue']}" if reply else "it hangs"
                    )
                    raise RuntimeError(f"the set-up fails in the sandbox: {why[:300]}")
        finally:
            handing.cancel()

    def _wait_for_no_one(self):
        """Let no message wait for ever.

        A kernel that writes nonsense to its sockets is cut off by ZeroMQ, and sending
        then waits until somebody connects again.
        """
        client = self.client.kc
        for channel in (client.shell_channel, client.control_channel):
            channel.socket.sndtimeo = 1000 * SENDING
        client.hb_channel.pause()  # it sends in a thread, which `close` waits for

    async def cell(self, source, seconds, copy=False):
        """Run a cell of the learner's; returns a Ran.

        copy: the next `checkpoint` follows at once. The request for the cell asks for
            it, too: one request takes half the time of two.

        Raises KernelDied if it takes the kernel with it or can't be stopped.
        """
        cell = new_code_cell(source)
        self.client.nb.cells.append(cell)
        self.client.begin(seconds, self._leave_copy() if copy else {})
        try:
            await self.client.async_execute_cell(cell, len(self.client.nb.cells) - 1)
        except (DeadKernelError, zmq.Again):
            raise KernelDied(self.why_ended()) from None
        except CellTimeoutError:
            raise KernelDied(f"a cell did not stop after {seconds:g} s") from None
        if self.client.late and await self.run("", PATIENCE) is None:
            raise KernelDied(f"a cell did not stop after {seconds:g} s")
        self._left = _copy_in(self.client.reply)
        return Ran(cell.outputs, cell.execution_count, self.client.late)

    def why_ended(self):
        """Why the kernel ended, as a sentence about a cell."""
        ask = getattr(self.manager.provisioner, "why_ended", lambda: "")
        return f"a cell ended its own process: {ask() or 'it crashed or left'}"

    async def checkpoint(self):
        """A copy of the kernel as it is now, waiting: (socket, process id inside).

        Returns None if the kernel does not leave one.
        """
        told, self._left = self._left, None
        if told is None:  # after a cell that failed, nothing else is worked out
            reply = await self.run("", PATIENCE, self._leave_copy())
            told = _copy_in(reply) or (False, None)
        left, pid = told
        # Nobody comes where no process could be made.
        connection = await self.door.accept(PATIENCE if left else 0)
        return None if connection is None else (connection, pid)

    def _leave_copy(self):
        """The expression that leaves one, with its name."""
        inside = "__import__('sys').modules['grading.boundary.inside']"
        return {"pid": f"{inside}.checkpoint({self.door.path!r}, globals())"}

    async def stop(self, pid):
        """End such a copy, if the kernel still listens."""
        if pid:
            await self.run(f"__import__('os').kill({pid}, 9)", 2)

    async def run(self, code, seconds, expressions=None):
        """Run code of the course's; returns the kernel's reply, None without one."""
        client = self.client.kc
        try:
            sent = client.execute(
                code,
                silent=True,
                store_history=False,
                allow_stdin=False,
                user_expressions=expressions or {},
                stop_on_error=False,
            )
        except zmq.Again:
            raise KernelDied(self.why_ended()) from None
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    reply = await self._message(client)
                    if reply["parent_header"].get("msg_id") == sent:
                        return reply["content"]
        return None

    async def _message(self, client):
        while True:
            try:
                return await client.get_shell_msg(timeout=0.5)
            except Empty:
                if not await self.manager.is_alive():
                    raise KernelDied(self.why_ended()) from None

    async def close(self):
        """End the kernel and all that belongs to it."""
        if self.door:
            self.door.close()
        if self.client.kc:
            self.client.kc.stop_channels()
        if self.manager.has_kernel:
            try:
                await self.manager.shutdown_kernel(now=True)
            except zmq.ZMQError:  # it could not be told that it is killed
                await self.manager.provisioner.kill()
                await self.manager.provisioner.wait()
        await self.manager.cleanup_resources()


class Ahead:
    """A kernel that gets ready for a submission before it is known whose.

    So it shows no files: a submission that comes with some gets another one.
    """

    def __init__(self):
        self._kernel = self._starting = self._kind = None

    def begin(self, bundle, limits, sandbox):
        """Have one get ready, if none does; from within the event loop."""
        if self._kernel is None:
            self._kernel = Kernel(sandbox, limits)
            self._kind = bundle, limits, sandbox
            self._starting = asyncio.create_task(self._kernel.start(bundle.setup))

    async def take(self, bundle, limits, sandbox, folder):
        """The kernel, if there is one that can be used for what lies in `folder`."""
        if self._kernel is None:
            return None
        if self._kind == (bundle, limits, sandbox) and not any(beside(folder)):
            await asyncio.wait([self._starting])
            failed = self._starting.exception()
            if not failed and await self._kernel.manager.is_alive():
                kernel, self._kernel = self._kernel, None
                return kernel
        await self.drop()
        return None

    async def drop(self):
        """End the kernel, if there is one."""
        if self._kernel:
            await asyncio.wait([self._starting])  # else it might come to life later
            self._starting.exception()  # whoever starts the next one will say it
            kernel, self._kernel = self._kernel, None
            await kernel.close()


def _copy_in(reply):
    """What a kernel's reply says of a copy: (whether there is one, its process id).

    None if it says nothing. A learner's kernel may say anything.
    """
    said = (reply or {}).get("user_expressions")
    said = said.get("pid") if isinstance(said, dict) else None
    if not isinstance(said, dict):
        return None
    data = said.get("data")
    pid = str(data.get("text/plain")) if isinstance(data, dict) else ""
    return said.get("status") == "ok", pid if pid.isdecimal() else None


class Door:
    """The socket through which the sandbox reaches the judge."""

    def __init__(self, path):
        self.path = str(path)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        path.chmod(0o777)  # the folder is the sandbox's user's alone
        self.listener.listen(64)
        self.listener.setblocking(False)

    async def hand_over(self, data):
        """Send bytes to whoever comes first."""
        loop = asyncio.get_running_loop()
        connection, _ = await loop.sock_accept(self.listener)
        with connection:
            await loop.sock_sendall(connection, data)

    async def accept(self, seconds):
        """A connection to whoever comes next; None if nobody does in time."""
        accepting = asyncio.get_running_loop().sock_accept(self.listener)
        try:
            connection, _ = await asyncio.wait_for(accepting, seconds)
        except TimeoutError:
            return None
        connection.setblocking(True)
        return connection

    def close(self):
        self.listener.close()


@cache
def _inside_half():
    """The code of the inside half of the judge, as its modules."""
    parts = {}
    for name in PARTS:
        text = (BOUNDARY / f"{name}.py").read_text(encoding="utf-8")
        parts[name] = compile(text, f"<judge {name}>", "exec", dont_inherit=True)
    return marshal.dumps(parts)  # the sandbox has the same Python


class _Prompt(AsyncKernelClient):
    """A client that is ready once the kernel is.

    jupyter_client's own then waits until the kernel has said nothing for 0.2 s. What it
    would throw away so belongs to no cell, and nbclient passes over it.

    expressions: to be worked out after the code of a request that names none.
    """

    expressions = {}

    def execute(self, code, **options):
        """As of AsyncKernelClient."""
        return super().execute(
            code, **{"user_expressions": self.expressions, **options}
        )

    async def wait_for_ready(self, timeout=None):
        """Wait for the kernel; raises RuntimeError if it dies or takes too long."""
        end = time.monotonic() + (timeout or START)
        while time.monotonic() < end:
            self.kernel_info()
            with suppress(Empty):
                reply = await self.get_shell_msg(timeout=1)
                if reply["msg_type"] == "kernel_info_reply":
                    await self.get_iopub_msg(timeout=0.2)  # so what it shows arrives
                    return
            if not await self.is_alive():
                raise RuntimeError("the kernel died before it was ready")
        raise RuntimeError(f"the kernel was not ready after {timeout:g} s")


class _Client(NotebookClient):
    """An nbclient that keeps a bounded amount of output, and no widgets."""

    def __init__(self, notebook, *, most, **options):
        super().__init__(notebook, **options)
        self.most, self.size, self.late = most, 0, False
        self.reply = {}  # of the kernel to the last cell
        self.on_cell_executed = self._note_reply

    def begin(self, seconds, expressions):
        self.timeout = max(1, round(seconds))
        self.size, self.late, self.reply = 0, False, {}
        self.kc.expressions = expressions

    def _note_reply(self, cell, cell_index, execute_reply):
        self.reply = execute_reply["content"]
        self.late = self.reply.get("ename") == "CellTimeoutError"

    def process_message(self, msg, cell, cell_index):
        """As of NotebookClient, for what is shown, as long as there is room."""
        if msg["msg_type"].startswith("comm"):
            return None
        if msg["msg_type"] in SHOWN:
            if self.size > self.most:
                return None
            self.size += len(json.dumps(msg["content"], default=str))
            if self.size > self.most:
                cut = "\n[what follows is left out: too much output]\n"
                cell.outputs.append(new_output("stream", name="stdout", text=cut))
                return None
        return super().process_message(msg, cell, cell_index)
