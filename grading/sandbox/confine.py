"""What confines a process on Linux: namespaces, limits, no privileges, fewer calls."""

import ctypes
import errno
import os
import platform
import shutil
import signal
import socket
import time
from contextlib import suppress
from functools import cache, partial

NOBODY = 65534  # user and group that the sandbox runs as
CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP = 1, 4, 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_CAPABILITY_VERSION_3 = 0x20080522
_KEYCTL_JOIN_SESSION_KEYRING = 1
# Calls that the C library does not wrap, by machine.
SYSCALLS = {
    "x86_64": {
        "pivot_root": 155,
        "keyctl": 250,
        "perf_event_open": 298,
        "bpf": 321,
        "userfaultfd": 323,
        "io_uring_setup": 425,
    },
    "aarch64": {
        "pivot_root": 41,
        "keyctl": 219,
        "perf_event_open": 241,
        "bpf": 280,
        "userfaultfd": 282,
        "io_uring_setup": 425,
    },
}
# What no learner's code needs: doors into the system's kernel, other processes, and
# memory that belongs to no process, so that nobody could count it.
REFUSED = "io_uring_setup io_uring_enter io_uring_register bpf perf_event_open"
REFUSED += " keyctl add_key request_key userfaultfd ptrace process_vm_readv"
REFUSED += " process_vm_writev pidfd_getfd kcmp unshare setns mount umount2 move_mount"
REFUSED += " open_tree fsopen fsmount fspick open_by_handle_at memfd_create"
REFUSED += " memfd_secret shmget msgget semget"


def call(name, *arguments):
    """Call a function of the C library.

    Raises OSError, with the name of the call, if it fails.
    """
    library = ctypes.CDLL(None, use_errno=True)
    converted = [
        ctypes.c_ulong(value) if isinstance(value, int) else value
        for value in arguments
    ]
    if getattr(library, name)(*converted) == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


def syscall(name, *arguments):
    """Make a system call that the C library does not wrap; raises OSError."""
    call("syscall", SYSCALLS[platform.machine()][name], *arguments)


def new_keyring():
    """Leave the session's keyring, which may hold tickets of the person who grades."""
    try:
        syscall("keyctl", _KEYCTL_JOIN_SESSION_KEYRING, None)
    except OSError:
        pass  # a kernel without keyrings has nothing to leave


def join_cgroups(folders):
    """Put this process, and all that it will start, into the cgroups."""
    for folder in folders:
        with open(os.path.join(folder, "cgroup.procs"), "w") as file:
            file.write("0")


def enter_user_namespace():
    """Move into a user namespace of our own that can make no further one.

    An ordinary user is NOBODY in it, with all capabilities there. Root keeps the number
    0, and NOBODY is there to become: limits on processes do not hold for root, and some
    files of the kernel's ask for the number alone.
    """
    if os.getuid():
        inside, outside = {"uid": NOBODY, "gid": NOBODY}, (os.getuid(), os.getgid())
        call("unshare", CLONE_NEWUSER)
        _write("/proc/self/setgroups", "deny")
        for kind, number in zip(("uid", "gid"), outside):
            _write(f"/proc/self/{kind}_map", f"{inside[kind]} {number} 1")
    else:
        _with_maps_from_outside(f"0 0 1\n{NOBODY} {NOBODY} 1")
    _write("/proc/sys/user/max_user_namespaces", "0")


def _with_maps_from_outside(lines):
    """Unshare the user namespace; a child that stays outside writes its maps."""
    ready, unshared = os.pipe()
    me, helper = os.getpid(), os.fork()
    if helper == 0:
        status = 1
        try:
            os.close(unshared)
            if os.read(ready, 1):
                for kind in ("uid", "gid"):
                    _write(f"/proc/{me}/{kind}_map", lines)
                status = 0
        finally:
            os._exit(status)
    try:
        call("unshare", CLONE_NEWUSER)
        os.write(unshared, b".")
    finally:
        os.close(unshared)
        os.close(ready)
        _, status = os.waitpid(helper, 0)
    if status:
        raise OSError(f"user {NOBODY} can't be mapped into a user namespace")


def die_with_parent():
    """Have the kernel kill this process when the thread that started it ends."""
    call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL)


def hide_memory():
    """Keep other processes of the same user from looking into this one."""
    call("prctl", _PR_SET_DUMPABLE, 0)


def limit(bounds, room):
    """Set the limits that hold for each process.

    One that asks for too much memory is refused it, and goes on; what all of them take
    together is counted elsewhere.

    bounds: fields of `grading.sandbox.spec.Bounds` as a dict.
    room: bytes of address space for libraries that are not loaded yet.
    """
    import resource  # not on Windows, where this file is only read

    with open("/proc/self/statm") as file:
        pages = list(map(int, file.read().split()))
    mapped, own = (pages[n] * resource.getpagesize() for n in (0, 5))
    limits = {
        resource.RLIMIT_AS: mapped + room + bounds["memory"],
        resource.RLIMIT_DATA: own + bounds["memory"],
        resource.RLIMIT_FSIZE: bounds["file_size"],
        resource.RLIMIT_NOFILE: bounds["open_files"],
        resource.RLIMIT_CPU: bounds["cpu_seconds"],
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 1 << 20,
        resource.RLIMIT_MSGQUEUE: 0,
    }
    if _kernel_release() >= (5, 14):  # before, all the user's processes were counted
        limits[resource.RLIMIT_NPROC] = bounds["processes"]
    for kind, value in limits.items():
        hard = resource.getrlimit(kind)[1]
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        resource.setrlimit(kind, (value, value))


def _kernel_release():
    major, minor = platform.release().split(".")[:2]
    return int(major), int("".join(c for c in minor if c.isdigit()))


def give_up_privileges():
    """Become NOBODY if this is root, drop every capability, and never gain any."""
    if os.getuid() == 0:
        os.setgroups([])
    for number in range(64):
        try:
            call("prctl", _PR_CAPBSET_DROP, number, 0, 0, 0)
        except OSError:
            break  # past the last capability, or without the right to drop one
    if os.getuid() == 0:
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    call("prctl", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    call("capset", header, (ctypes.c_uint32 * 6)())


def remove(folder, cgroups):
    """Remove what a sandbox leaves: its cgroups, when they are empty, its folder."""
    for cgroup in cgroups:
        remove_cgroup(cgroup)
    shutil.rmtree(folder, ignore_errors=True)


def remove_cgroup(folder, patience=2.0):
    """Kill what is left in a cgroup and remove it; returns whether it is gone.

    patience: seconds to wait for its processes to end.
    """
    end = time.monotonic() + patience
    while os.path.isdir(folder):
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            break
        except OSError:
            if time.monotonic() > end:
                return False
            _kill_members(folder)
            time.sleep(0.005)
    return True


def _kill_members(folder):
    try:
        with open(os.path.join(folder, "cgroup.procs")) as file:
            members = [int(line) for line in file]
    except OSError:
        return
    for pid in members:
        kill(pid)


def kill(pid):
    """Kill a process, if it has not ended by itself."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _write(path, text):
    with open(path, "w") as file:
        file.write(text)


def exit_status(status):
    """What a shell would call the status of a process that was waited for."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


# ---- calls that are refused ---------------------------------------------------------


@cache
def seccomp():
    """The module that talks to libseccomp; None where that library is missing."""
    try:
        import pyseccomp
    except (ImportError, OSError, RuntimeError):
        return None
    return pyseccomp


def refuse_calls():
    """Have the system refuse REFUSED to this process and all that it starts, for good.

    Of sockets, those stay that this machine and the sandbox's own network answer.
    """
    if (library := seccomp()) is None:
        return
    calls = library.SyscallFilter(library.ALLOW)
    for name in REFUSED.split():
        with suppress(OSError):  # it is newer than libseccomp
            calls.add_rule(library.ERRNO(errno.ENOSYS), name)
    for name in ("socket", "socketpair"):
        for compare, family in ((library.GT, socket.AF_NETLINK), (library.EQ, 15)):
            found = library.Arg(0, compare, family)
            calls.add_rule(library.ERRNO(errno.EAFNOSUPPORT), name, found)
    calls.load()


# {what a sandbox should refuse: an attempt}, at most eight.
PROBES = {
    name: partial(syscall, name, 0, None, 0, 0, 0)
    for name in ("io_uring_setup", "bpf", "perf_event_open", "keyctl", "userfaultfd")
} | {
    "memfd_create": lambda: os.close(os.memfd_create("probe")),
    "shmget": lambda: call("shmget", 0, 1 << 12, 0),
    "vsock": lambda: socket.socket(socket.AF_VSOCK).close(),
}
_NO = (errno.ENOSYS, errno.EPERM, errno.EACCES, errno.EAFNOSUPPORT)


def got_through():
    """A number whose bit n is set if this process is allowed the n-th of PROBES."""
    bits = 0
    for number, attempt in enumerate(PROBES.values()):
        try:
            attempt()
        except OSError as error:
            if error.errno in _NO:
                continue
        bits |= 1 << number
    return bits
