"""Attacks on a sandbox, each a piece of code that sets `won` if it gets what it wants.

They are harmless: bounded sizes, and what they find is looked at, not changed. Each of
them wins in a kernel with no sandbox (`tests/test_sandbox.py` shows it).
"""

import asyncio
import json
import os
import sys

from grading.sandbox.provisioners import kernel_manager
from grading.sandbox.spec import Bounds

BOUNDS = Bounds(
    memory=512 << 20,
    processes=40,
    file_size=4 << 20,
    open_files=128,
    cpu_seconds=50,
    scratch=8 << 20,
)
SMALL = Bounds(memory=300 << 20)
GREED = """
import os, time
for _ in range(3):
    if os.fork() == 0:
        break
taken = b"x" * (120 << 20)
time.sleep(30)
"""  # four processes, each of them within SMALL
# Names that the code may use: PID, PORT, SOCKET, SECRET, FOLDERS, PREFIX; see `facts`.
ATTACKS = {
    "connect to a port": """
import socket
socket.create_connection(("127.0.0.1", PORT), 2).close()
won = True
""",
    "connect to an abstract socket": """
import socket
with socket.socket(socket.AF_UNIX) as s:
    s.connect(SOCKET)
won = True
""",
    "see a process of the machine": """
won = b"sleeping" in open(f"/proc/{PID}/cmdline", "rb").read()
""",
    "read a process's environment": """
won = b"SECRET" in open(f"/proc/{PID}/environ", "rb").read()
""",
    "signal a process": """
import os
os.kill(PID, 0)
won = b"sleeping" in open(f"/proc/{PID}/cmdline", "rb").read()
""",
    "read a file of another student": "won = 'SECRET' in open(SECRET).read()",
    "list the course": """
import os
for folder in FOLDERS:
    os.listdir(folder)
won = True
""",
    "list the sockets of other kernels": """
import os
won = any(os.path.exists(path) for path in OTHERS)
""",
    "see the devices of the machine": """
import os
won = os.path.exists("/sys/kernel")
""",
    "change Python": """
import os
os.close(os.open(f"{PREFIX}/pyvenv.cfg", os.O_WRONLY))
won = True
""",
    "change torch": """
import os, torch
os.close(os.open(torch.__file__, os.O_WRONLY))
won = True
""",
    "change the course's library": """
import os, dot2gpt.checks
os.close(os.open(dot2gpt.checks.__file__, os.O_WRONLY))
won = True
""",
    "change the system's settings": """
import os
os.close(os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY))
won = True
""",
    "make a user namespace": """
import ctypes, os
pid = os.fork()
if pid == 0:
    os._exit(ctypes.CDLL(None).unshare(0x10000000) & 0xFF)
won = os.waitpid(pid, 0)[1] == 0
""",
    "gain privileges": """
won = "NoNewPrivs:\\t0" in open("/proc/self/status").read()
""",
    "keep capabilities": """
status = open("/proc/self/status").read().split()
won = any(int(status[status.index(name) + 1], 16) for name in ("CapEff:", "CapBnd:"))
""",
    "fill the home folder": """
import os
written = 0
try:
    for number in range(3):
        path = os.path.expanduser(f"~/filled{number}")
        with open(path, "wb") as file:
            written += file.write(bytes(3 << 20))
finally:
    for number in range(3):
        path = os.path.expanduser(f"~/filled{number}")
        if os.path.exists(path):
            os.remove(path)
won = written > BOUNDS["scratch"]
""",
    "write a big file": """
import os
path = os.path.expanduser("~/big")
try:
    with open(path, "wb") as file:
        won = file.write(bytes(5 << 20)) > BOUNDS["file_size"]
finally:
    os.remove(path)
""",
    "open many files": """
files = []
try:
    files += [open("/dev/null") for _ in range(200)]
    won = True
finally:
    for file in files:
        file.close()
""",
    "take much address space": """
import mmap
NORESERVE = 0x4000
mmap.mmap(-1, 100 << 30, flags=mmap.MAP_PRIVATE | NORESERVE).close()
won = True
""",
    "start many processes": """
import os, signal, time
pids = []
try:
    for _ in range(60):
        pid = os.fork()
        if pid == 0:
            time.sleep(20)
            os._exit(0)
        pids.append(pid)
    won = True
finally:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
""",
    "compute for ever": """
import resource
limit = max(resource.getrlimit(resource.RLIMIT_CPU))
won = limit == resource.RLIM_INFINITY or limit > BOUNDS["cpu_seconds"]
""",
    "make a ring of io_uring": """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
won = libc.syscall(425, 4, ctypes.create_string_buffer(120)) >= 0
""",
    "keep something in the system's keyring": """
import ctypes, platform
number = {"x86_64": 248, "aarch64": 217}[platform.machine()]
libc = ctypes.CDLL(None, use_errno=True)
won = libc.syscall(number, b"user", b"loot", b"data", 4, -2) > 0
""",
    "count what the processor does": """
import ctypes, platform
number = {"x86_64": 298, "aarch64": 241}[platform.machine()]
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall(number, None, 0, -1, -1, 0)
won = ctypes.get_errno() == 14  # it looks at what was asked
""",
    "memory that no process maps": """
import os
os.close(os.memfd_create("hoard"))
won = True
""",
    "shared memory of System V": """
import ctypes
won = ctypes.CDLL(None).shmget(0, 1 << 20, 0o600) >= 0
""",
    "a queue of messages of System V": """
import ctypes
won = ctypes.CDLL(None).msgget(0, 0o600) >= 0
""",
    "a socket to the host of a virtual machine": """
import socket
socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close()
won = True
""",
    "read another process's memory by a call": """
import ctypes, os
word = ctypes.create_string_buffer(b"SECRET")
into = ctypes.create_string_buffer(7)
class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]
here, there = Vector(ctypes.addressof(into), 7), Vector(ctypes.addressof(word), 7)
libc = ctypes.CDLL(None, use_errno=True)
pid = os.fork()
if pid == 0:
    import time
    time.sleep(5)
    os._exit(0)
libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
os.kill(pid, 9)
os.waitpid(pid, 0)
won = into.value == b"SECRET"
""",
    "fill temporary files that have no name": """
import os
written, files = 0, []
try:
    for folder in ("/tmp", "/dev/shm", os.path.expanduser("~")):
        for number in range(3):
            files.append(os.open(folder, os.O_TMPFILE | os.O_RDWR))
            written += os.write(files[-1], bytes(2 << 20))
finally:
    for number in files:
        os.close(number)
won = written > BOUNDS["scratch"]
""",
}
# They win without a sandbox only if this process itself has the right.
NEEDS_ROOT = {"change the system's settings", "keep capabilities"}
# They win without a sandbox only if the system's kernel was built with that.
NEEDS_KERNEL = {
    "make a ring of io_uring",
    "keep something in the system's keyring",
    "count what the processor does",
    "a socket to the host of a virtual machine",
}
# Who could write there might keep the sandbox alive when its supervisor is killed.
REACH = """
try:
    print(open("/proc/1/mem", "rb"))
except PermissionError:
    print("no")
"""


class Kernel:
    """A kernel of some kind, for code that waits: start, run, stop."""

    def __init__(self, kind, bounds=None, cwd=None):
        self.runner = asyncio.Runner()
        self.manager = kernel_manager(kind, bounds)
        arguments = {"cwd": str(cwd)} if cwd else {}
        self.wait(self.manager.start_kernel(**arguments))
        self.client = self.manager.client()
        self.client.start_channels()
        self.wait(self.client.wait_for_ready(timeout=60))

    def wait(self, awaitable):
        """The result of a coroutine."""
        return self.runner.run(awaitable)

    def run(self, code, timeout=120):
        """What a cell prints. Raises RuntimeError with what the cell raises.

        timeout: seconds; a cell may import torch on a machine that does much else.
        """
        said, errors = [], []

        def hear(message):
            content = message["content"]
            if message["msg_type"] == "stream":
                said.append(content["text"])
            if message["msg_type"] == "error":
                errors.append(f"{content['ename']}: {content['evalue']}")

        self.wait(
            self.client.execute_interactive(code, timeout=timeout, output_hook=hear)
        )
        if errors:
            raise RuntimeError(errors[0])
        return "".join(said)

    def ends(self, code, timeout=30):
        """Run a cell that ends the kernel; returns why it ended."""
        self.client.execute(code)

        async def wait():
            while await self.manager.is_alive():
                await asyncio.sleep(0.05)

        self.wait(asyncio.wait_for(wait(), timeout))
        return self.manager.provisioner.why_ended()

    def stop(self):
        """Kill it and clean up."""
        self.client.stop_channels()
        self.wait(self.manager.shutdown_kernel(now=True))
        self.runner.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def won(kernel, facts):
    """Names of the attacks that get what they want in a kernel."""
    facts = {**facts, "BOUNDS": vars(BOUNDS), "won": False}
    names = []
    for name, code in ATTACKS.items():
        given = f"globals().update({facts!r})\n"
        cell = f"{given}try:\n{_indented(code)}\nexcept Exception: pass\nprint(won)"
        said = kernel.run(cell).split()
        if said != ["False"]:
            names.append(name)
    return names


def _indented(code):
    return "\n".join("    " + line for line in code.strip().splitlines())


if __name__ == "__main__":  # what wins in a sandbox, for a test that is another user
    found = {"user": os.getuid()}
    with Kernel("warm", BOUNDS) as kernel:
        found["won"] = won(kernel, json.loads(sys.argv[1]))
        found["reach"] = kernel.run(REACH).strip()
    with Kernel("warm", SMALL) as kernel:
        found["greedy"] = kernel.ends(GREED)
    print(json.dumps(found))
