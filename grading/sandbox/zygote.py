"""Forks kernels into sandboxes, from a process that has imported torch and ipykernel.

A worker has the warm parent fork one for it. It has one thread, and never runs a
student's code. It reads requests from its standard input, a line of JSON each, and
answers each with a line of JSON. A kernel is three processes: the supervisor, outside,
which waits; the first process of the sandbox, which builds it and reaps; and the
kernel. When the worker dies, the zygote ends its kernels, cleans up and ends.
"""

import ctypes
import json
import os
import select
import signal
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
INODES = 20_000  # files in each temporary file system


def main(connection, worker):
    """Serve until the worker is gone. worker: a pidfd of it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # here, children are waited for
    for number in (0, 1):
        os.dup2(connection.fileno(), number)
    connection.close()
    confine.new_keyring()
    _say({"pid": os.getpid()})
    kernels = {}
    while (line := _next_line(worker)).endswith("\n"):
        request = json.loads(line)
        try:
            answer = _ANSWERS[request["op"]](request, kernels)
        except OSError as error:
            answer = {"error": str(error)}
        _say(answer)
    for pid in list(kernels):
        _kill({"pid": pid}, kernels)
        confine.remove(*kernels[pid][1:])


def _next_line(worker):
    """A request; "" when the worker has closed the socket or is dead."""
    ready, _, _ = select.select([sys.stdin, worker], [], [])
    return sys.stdin.readline() if sys.stdin in ready else ""


def _say(answer):
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _spawn(request, kernels):
    """Fork a kernel and wait until its sandbox stands."""
    me = os.getpid()
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(told)
        try:
            _supervise(request, me, tell)
        except BaseException as error:
            os.write(tell, f"{type(error).__name__}: {error}".encode()[:4096])
        finally:
            os._exit(1)
    os.close(tell)
    with open(told) as file:
        error = file.read()
    if error:
        os.waitpid(pid, 0)
        return {"error": error}
    kernels[pid] = [None, request["folder"], request["cgroups"]]
    return {"pid": pid}


def _poll(request, kernels):
    """The exit status of a kernel; None while it runs."""
    kernel = kernels[request["pid"]]
    if kernel[0] is None:
        pid, status = os.waitpid(request["pid"], os.WNOHANG)
        if pid:
            kernel[0] = os.waitstatus_to_exitcode(status)
    return {"status": kernel[0]}


def _kill(request, kernels):
    """End a kernel with all its processes; answers when they are gone."""
    if kernels[request["pid"]][0] is None:
        os.kill(request["pid"], signal.SIGTERM)
    return _wait(request, kernels)


def _wait(request, kernels):
    """Wait for a kernel that ends by itself; answers with its exit status."""
    kernel = kernels[request["pid"]]
    if kernel[0] is None:
        _, status = os.waitpid(request["pid"], 0)
        kernel[0] = os.waitstatus_to_exitcode(status)
    return {"status": kernel[0]}


def _forget(request, kernels):
    """Let go of a kernel that has ended, once its folder is removed."""
    del kernels[request["pid"]]
    return {}


_ANSWERS = {
    "spawn": _spawn,
    "poll": _poll,
    "kill": _kill,
    "wait": _wait,
    "forget": _forget,
}


def _supervise(request, zygote, tell):
    """Outside the sandbox: start its first process and wait for it."""
    confine.die_with_parent()
    if os.getppid() != zygote:
        os._exit(1)  # it died before the line above could notice
    null = os.open("/dev/null", os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    confine.join_cgroups(request["cgroups"])
    confine.enter_user_namespace()
    confine.call("unshare", NEWNS | NEWPID | NEWNET | NEWIPC | NEWUTS | NEWCGROUP)
    alive, supervisor = os.pipe()
    first = os.fork()
    if first == 0:
        try:
            os.close(supervisor)
            _first_process(request, alive, tell)
        except BaseException as error:
            os.write(tell, f"{type(error).__name__}: {error}".encode()[:4096])
        finally:
            os._exit(1)
    os.close(tell)
    signal.signal(signal.SIGTERM, lambda *_: confine.kill(first))
    # A request to end that came before the handler was there has ended this process,
    # and with it the sandbox.
    _, status = os.waitpid(first, 0)
    os._exit(confine.exit_status(status))


def _has_died(end):
    """Whether the process that holds the other end of a pipe is gone."""
    return bool(select.select([end], [], [], 0)[0])


def _first_process(request, supervisor, tell):
    """Inside: build the sandbox, fork the kernel, reap what becomes an orphan.

    supervisor: a pipe whose other end only the supervisor holds.
    """
    confine.die_with_parent()
    if _has_died(supervisor):
        os._exit(1)
    _build(request)
    kernel = os.fork()
    if kernel == 0:
        _become_kernel(request, tell)
    confine.give_up_privileges()
    confine.die_with_parent()  # for root, the line above took it back
    if _has_died(supervisor):
        os._exit(1)
    confine.hide_memory()
    os.closerange(3, 1 << 16)
    while True:
        pid, status = os.wait()
        if pid == kernel:
            os._exit(confine.exit_status(status))


def _become_kernel(request, tell):
    """Give up every privilege and run ipykernel; never returns."""
    try:
        os.setsid()
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["work"])
        confine.limit(request["bounds"], ROOM)
        confine.give_up_privileges()
        for name in [n for n in sys.modules if n.split(".")[0] == "grading"]:
            del sys.modules[name]
        sys.path.insert(0, "")  # what lies beside the notebook can be imported
        sys.argv = ["ipykernel_launcher", *request["arguments"]]
        from ipykernel import kernelapp
    except BaseException as error:
        os.write(tell, f"{type(error).__name__}: {error}".encode()[:4096])
        os._exit(1)
    os.closerange(3, 1 << 16)  # the pipes of the zygote: the last is the good news
    status = 1
    try:
        kernelapp.launch_new_instance()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else bool(end.code)
    finally:
        os._exit(status)


def _build(request):
    """Make a file system of what the request names alone, and move into it."""
    root = request["root"]
    _mount(None, "/", None, PRIVATE | REC)
    _mount("tmpfs", root, "tmpfs", NOSUID | NODEV, "size=1m,mode=755")
    for path in request["scratch"]:
        os.makedirs(root + path)
        size = request["bounds"]["scratch"]
        options = f"size={size},nr_inodes={INODES},mode=1777"
        _mount("tmpfs", root + path, "tmpfs", NOSUID | NODEV, options)
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
