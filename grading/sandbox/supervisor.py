"""Builds a sandbox, runs a kernel in it, and waits for its end: a fork a kernel.

The warm parent forks it for a worker. There are three processes: the supervisor,
outside, which waits; the first process of the sandbox, which builds it and reaps; and
the kernel. Only the last runs a learner's code. When the worker dies, the supervisor
ends the sandbox and cleans up.
"""

import ctypes
import os
import select
import sys

from grading.sandbox import confine

NEWNS, NEWCGROUP, NEWUTS, NEWIPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
NEWPID, NEWNET = 0x20000000, 0x40000000
RDONLY, NOSUID, NODEV, NOEXEC, REMOUNT = 1, 2, 4, 8, 32
BIND, REC, PRIVATE, RELATIME = 1 << 12, 1 << 14, 1 << 18, 1 << 21
DETACH = 2
# Flags that a mount came with and that a user namespace may not take off.
KEPT = {
    "ro": RDONLY,
    "nosuid": NOSUID,
    "nodev": NODEV,
    "noexec": NOEXEC,
    "noatime": 1 << 10,
    "nodiratime": 1 << 11,
    "relatime": RELATIME,
}
DEVICES = ("null", "zero", "full", "random", "urandom")
ROOM = 1 << 30  # bytes of address space for threads' stacks and what sheets import
INODES = 20_000  # temporary files


def main(connection):
    """Make the sandbox that a request asks for, and look after it until its end.

    Answers {"pid"} or {"error"}, and {"status"} when the kernel has ended. It is ended
    when whoever asked shuts the connection down, or is gone.
    """
    request = connection.recv()
    confine.new_keyring()
    told, tell = os.pipe()
    alive, here = os.pipe()
    try:
        confine.enter_user_namespace()
        confine.call("unshare", NEWPID)
        first = os.fork()
    except OSError as error:
        connection.send({"error": str(error)})
        return
    if first == 0:
        for descriptor in (connection.fileno(), told, here):
            os.close(descriptor)
        _or_tell(tell, _first_process, request, alive, tell)
    os.close(tell)
    with open(told) as file:
        error = file.read()
    connection.send({"error": error} if error else {"pid": os.getpid()})
    ended = os.pidfd_open(first)
    ready, _, _ = select.select([connection, ended], [], [])
    if ended not in ready:
        confine.kill(first)
    _, status = os.waitpid(first, 0)
    try:
        connection.send({"status": os.waitstatus_to_exitcode(status)})
    except OSError:  # nobody is there to do it
        confine.remove(request["folder"], request["cgroups"])


def _or_tell(tell, action, *arguments):
    """Run what is not to return, as the whole life of a process; tell what it raises.

    tell: a pipe to the supervisor, which waits until nobody holds it any more.
    """
    try:
        action(*arguments)
    except BaseException as error:
        os.write(tell, f"{type(error).__name__}: {error}".encode()[:4096])
    finally:
        os._exit(1)


def _has_died(end):
    """Whether the process that holds the other end of a pipe is gone."""
    return bool(select.select([end], [], [], 0)[0])


def _first_process(request, supervisor, tell):
    """Inside: build the sandbox, fork the kernel, reap what becomes an orphan.

    supervisor: a pipe whose other end only the supervisor holds.
    """
    confine.die_with_parent()
    if _has_died(supervisor):
        return
    confine.join_cgroups(request["cgroups"])
    confine.call("unshare", NEWNS | NEWNET | NEWIPC | NEWUTS | NEWCGROUP)
    _build(request)
    kernel = os.fork()
    if kernel == 0:
        _or_tell(tell, _become_kernel, request)
    confine.give_up_privileges()
    confine.die_with_parent()  # for root, the line above took it back
    if _has_died(supervisor):
        return
    confine.hide_memory()
    os.closerange(3, 1 << 16)
    while True:
        pid, status = os.wait()
        if pid == kernel:
            os._exit(confine.exit_status(status))


def _become_kernel(request):
    """Give up every privilege and run ipykernel, or what the request has instead."""
    os.setsid()
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["work"])
    confine.limit(request["bounds"], ROOM)
    confine.give_up_privileges()
    confine.refuse_calls()
    for name in [n for n in sys.modules if n.split(".")[0] == "grading"]:
        del sys.modules[name]
    sys.path.insert(0, "")  # what lies beside the notebook can be imported
    sys.argv = ["ipykernel_launcher", *request["arguments"]]
    if request["probe"]:
        os._exit(confine.got_through())
    from ipykernel import kernelapp

    _answer_what_is_nested_deep()
    os.closerange(3, 1 << 16)  # the pipes of the supervisor: the last is the good news
    status = 1
    try:
        kernelapp.launch_new_instance()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else bool(end.code)
    finally:
        os._exit(status)


def _answer_what_is_nested_deep():
    """Have a cell that is too deep for Python's compiler raise that, as others do.

    IPython asks first whether there is an await in it. What that raises nobody catches,
    and the kernel never replies.
    """
    from IPython.core import interactiveshell

    asked = interactiveshell._should_be_async

    def should_be_async(cell):
        try:
            return asked(cell)
        except (RecursionError, MemoryError):
            return False

    interactiveshell._should_be_async = should_be_async


def _build(request):
    """Make a file system of what the request names alone, and move into it."""
    root = request["root"]
    _mount(None, "/", None, PRIVATE | REC)
    _mount("tmpfs", root, "tmpfs", NOSUID | NODEV, "size=1m,mode=755")
    _make_scratch(root, request["scratch"], request["bounds"]["scratch"])
    os.mkdir(root + request["work"])
    os.chmod(root + request["work"], 0o777)
    _make_devices(root)
    os.makedirs(root + "/proc")
    _mount("proc", root + "/proc", "proc", NOSUID | NODEV | NOEXEC | RDONLY)
    for path, target in request["links"].items():
        os.symlink(target, root + path)
    for path in request["readable"]:
        _bind(path, root + path)
    for path in request["files"]:
        _bind(path, f"{root}{request['work']}/{os.path.basename(path)}")
    os.makedirs(root + request["sockets"])
    _mount(request["sockets"], root + request["sockets"], None, BIND)
    _enter(root)
    confine.call("sethostname", b"sandbox", 7)


def _make_scratch(root, paths, size):
    """One file system for all that can be written, so that its size is the limit."""
    whole = root + "/scratch"
    os.mkdir(whole)
    options = f"size={size},nr_inodes={INODES},mode=755"
    _mount("tmpfs", whole, "tmpfs", NOSUID | NODEV, options)
    for number, path in enumerate(paths):
        part = f"{whole}/{number}"
        os.mkdir(part)
        os.chmod(part, 0o1777)
        os.makedirs(root + path)
        _mount(part, root + path, None, BIND)
    confine.call("umount2", whole.encode(), DETACH)
    os.rmdir(whole)


def _make_devices(root):
    os.makedirs(root + "/dev/pts")
    for name in DEVICES:
        open(f"{root}/dev/{name}", "w").close()
        _mount(f"/dev/{name}", f"{root}/dev/{name}", None, BIND)
    options = "newinstance,ptmxmode=0666,mode=620"
    _mount("devpts", f"{root}/dev/pts", "devpts", NOSUID | NOEXEC, options)
    links = {
        "ptmx": "pts/ptmx",
        "fd": "/proc/self/fd",
        "stdin": "/proc/self/fd/0",
        "stdout": "/proc/self/fd/1",
        "stderr": "/proc/self/fd/2",
    }
    for name, target in links.items():
        os.symlink(target, f"{root}/dev/{name}")


def _bind(source, target):
    """Show a file or folder, with all that is mounted below it, read-only."""
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        open(target, "w").close()
    _mount(source, target, None, BIND | REC)
    for place, flags in _mounts_below(os.path.realpath(target)):
        _mount(None, place, None, REMOUNT | BIND | RDONLY | NOSUID | flags)


def _mounts_below(path):
    """(place, flags that must stay) of each mount at or below a path."""
    with open("/proc/self/mountinfo") as file:
        for line in file:
            fields = line.split()
            place = fields[4].encode().decode("unicode_escape")  # \040 is a space
            if place == path or place.startswith(path + "/"):
                names = fields[5].split(",")
                yield place, sum(KEPT.get(name, 0) for name in names)


def _enter(root):
    """Make the folder the root; nothing of the old one stays reachable."""
    os.chdir(root)
    os.mkdir("old")
    confine.syscall("pivot_root", b".", b"old")
    os.chdir("/")
    confine.call("umount2", b"/old", DETACH)
    os.rmdir("/old")
    _mount(None, "/", None, REMOUNT | BIND | RDONLY | NOSUID | NODEV)


def _mount(source, target, kind, flags, options=None):
    """The system call of that name; raises OSError that names the target."""
    texts = [text and text.encode() for text in (source, target, kind, options)]
    source, place, kind, options = texts
    try:
        confine.call("mount", source, place, kind, ctypes.c_ulong(flags), options)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror} {target}") from None
