"""Right answers that try doors into the system's kernel which no learner needs.

Behind them is memory that no process maps, so that nobody counts it, other processes,
and code of the kernel's that is attacked most.
"""

import textwrap

from tests.hostile.case import collector

CASES, _add = collector("doors")
THROUGH = "got through"  # is nowhere in the text of a cell
_KNOWN = """
import ctypes, os, platform, time
libc = ctypes.CDLL(None, use_errno=True)
here = platform.machine() == "x86_64"
def call(other, arm, *arguments):
    return libc.syscall(other if here else arm, *arguments)
def told(ok):
    print(ok and " ".join(["got", "through"]))
"""


def door(name, code, **others):
    source = _KNOWN + textwrap.dedent(code)
    _add(name, "it gets through", first=source, secrets=(THROUGH,), **others)


# Memory that no process maps

door("a file in memory", "told(os.memfd_create('hoard') > 0)")
door("shared memory of System V", "told(libc.shmget(0, 1 << 20, 0o600) >= 0)")
door("messages of System V", "told(libc.msgget(0, 0o600) >= 0)")
door("semaphores of System V", "told(libc.semget(0, 9, 0o600) >= 0)")
door(
    "files without a name",
    """
    files, folders = [], ("/tmp", "/dev/shm", "/tmp")
    for folder in folders:
        files.append(os.open(folder, os.O_TMPFILE | os.O_RDWR))
        os.posix_fallocate(files[-1], 0, 100 << 20)
    told(sum(os.fstat(file).st_blocks * 512 for file in files) > 256 << 20)
    """,
)
door(
    "more sockets than anybody needs",
    """
    import socket
    pairs = [socket.socketpair() for _ in range(170)]
    time.sleep(2)
    told(len(pairs) == 170)
    """,
    says="sockets",
)
door(
    "sockets that nobody holds",
    """
    import array, socket
    def send(pair, sockets):
        handles = array.array("i", [one.fileno() for one in sockets])
        pair[0].sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, handles)])
    keeper, sent = socket.socketpair(), 0
    for _ in range(20):
        pairs = [socket.socketpair() for _ in range(10)]
        send(keeper, [one for pair in pairs for one in pair])
        sent += 20
        del pairs
    time.sleep(2)
    told(sent == 400)
    """,
    says="sockets",
)

# Code of the kernel's that is attacked most

door(
    "a ring of io_uring",
    "told(call(425, 425, 4, ctypes.create_string_buffer(120)) >= 0)",
)
door("the keyring", "told(call(248, 217, b'user', b'loot', b'data', 4, -2) > 0)")
door(
    "the keyring's other end",
    "call(250, 219, 99, 0, 0, 0, 0)\ntold(ctypes.get_errno() == 95)  # no such request",
)
door(
    "what the processor counts",
    "call(298, 241, None, 0, -1, -1, 0)\ntold(ctypes.get_errno() == 14)  # it looked",
)

# Other processes

OTHER = """
word, into = ctypes.create_string_buffer(b"LOOT"), ctypes.create_string_buffer(5)
pid = os.fork()
if pid == 0:
    time.sleep(3)
    os._exit(0)
"""
door(
    "another process's memory",
    OTHER
    + """
class Part(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]
there, own = Part(ctypes.addressof(word), 5), Part(ctypes.addressof(into), 5)
libc.process_vm_readv(pid, ctypes.byref(own), 1, ctypes.byref(there), 1, 0)
told(into.value == b"LOOT")
""",
)
door(
    "another process is written to",
    OTHER
    + """
class Part(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]
part = Part(ctypes.addressof(word), 5)
told(libc.process_vm_writev(pid, ctypes.byref(part), 1, ctypes.byref(part), 1, 0) == 5)
""",
)
door("another process is traced", OTHER + "told(libc.ptrace(0x4206, pid, 0, 0) == 0)")
door(
    "whether two processes are alike",
    OTHER + "told(call(312, 272, os.getpid(), pid, 1, 0, 0) >= 0)",
)
door(
    "another process's open file",
    OTHER + "told(call(438, 438, os.pidfd_open(pid), 1, 0) >= 0)",
)
