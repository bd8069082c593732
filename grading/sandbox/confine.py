"""What confines a process on Linux: namespaces, limits, no privileges.

Only the standard library is used, so that the file also runs as a script where the
package is not installed, on both sides of bubblewrap:

    confine.py outside PLAN COMMAND ...   joins cgroups, runs and outlives bubblewrap
    confine.py inside PLAN COMMAND ...    sets the limits, then becomes the kernel

PLAN is a line of JSON. The zygote calls the same functions.
"""

import ctypes
import json
import os
import platform
import select
import shutil
import signal
import sys
import time

NOBODY = 65534  # user and group that the sandbox runs as
CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP = 1, 4, 24
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 36, 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_CAPABILITY_VERSION_3 = 0x20080522
_KEYCTL_JOIN_SESSION_KEYRING = 1
# Calls that the C library does not wrap, by machine.
SYSCALLS = {
    "x86_64": {"pivot_root": 155, "keyctl": 250},
    "aarch64": {"pivot_root": 41, "keyctl": 219},
}


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


def limit(bounds, room, data=0):
    """Set the limits that hold for each process.

    One that asks for too much memory is refused it, and goes on; what all of them take
    together is counted elsewhere.

    bounds: fields of `grading.sandbox.spec.Bounds` as a dict.
    room: bytes of address space for libraries that are not loaded yet.
    data: bytes of memory that these will take for themselves.
    """
    import resource  # not on Windows, where this file is only read

    with open("/proc/self/statm") as file:
        pages = list(map(int, file.read().split()))
    mapped, own = (pages[n] * resource.getpagesize() for n in (0, 5))
    limits = {
        resource.RLIMIT_AS: mapped + room + bounds["memory"],
        resource.RLIMIT_DATA: own + data + bounds["memory"],
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


def _outside(plan, command):
    """Run bubblewrap until it ends, this process is told to, or its asker dies.

    It ends when nothing of the sandbox is left, and cleans up if the asker can't.
    """
    parent = os.pidfd_open(plan["parent"])
    call("prctl", _PR_SET_CHILD_SUBREAPER, 1)
    child = os.fork()
    if child == 0:
        die_with_parent()
        new_keyring()
        join_cgroups(plan["cgroups"])
        if os.getuid() == 0:
            enter_user_namespace()
        os.execvp(command[0], command)
    signal.signal(signal.SIGTERM, lambda *_: kill(child))
    ended = os.pidfd_open(child)
    ready, _, _ = select.select([parent, ended], [], [])
    if ended not in ready:
        kill(child)
    _, status = os.waitpid(child, 0)
    _end_children()
    if parent in ready:
        remove(plan["folder"], plan["cgroups"])
    return exit_status(status)


def _end_children():
    """Kill what has become a child of this subreaper, and wait for all of it.

    The first process of the sandbox is there if code inside kept it from dying with
    bubblewrap.
    """
    me = os.getpid()
    while True:
        with open(f"/proc/{me}/task/{me}/children") as file:
            children = [int(number) for number in file.read().split()]
        for pid in children:
            kill(pid)
        try:
            os.wait()
        except ChildProcessError:
            return


def exit_status(status):
    """What a shell would call the status of a process that was waited for."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _inside(plan, command):
    """Set the limits and become the kernel."""
    limit(plan["bounds"], plan["room"], plan["data"])
    give_up_privileges()
    os.execv(command[0], command)


if __name__ == "__main__":
    role = {"outside": _outside, "inside": _inside}[sys.argv[1]]
    sys.exit(role(json.loads(sys.argv[2]), sys.argv[3:]))
