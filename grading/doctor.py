"""`python -m grading doctor`: what this machine can do to keep strangers' code in.

It installs nothing, and changes nothing.
"""

import os
import platform
import subprocess
import sys
import textwrap
from pathlib import Path

from grading.sandbox import confine, scope, spec
from grading.sandbox.cgroup import Cgroup
from grading.sandbox.provisioners import Forked
from grading.sandbox.warm import Parent

_SWITCHES = (  # (file, the value that forbids, what allows)
    ("kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),
    ("user/max_user_namespaces", "0", "user.max_user_namespaces=15000"),
    (
        "kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "kernel.apparmor_restrict_unprivileged_userns=0",
    ),
)
_NO_LINUX = (
    "This is {system}, and the sandbox needs Linux: grade in a virtual machine, in "
    "{instead}, or on a server."
)


def report():
    """Print what there is and what is missing; returns the exit status."""
    if moved := elsewhere():
        _print("moved", moved)
        return 1
    found = problems()
    if not found:
        _print("sandbox", "works")
        _print("calls", _calls())
        _print("memory", _cgroups())
    for problem in found:
        _print("missing", problem)
    if found:
        _print("so", "grading refuses to run strangers' code, unless --no-sandbox")
    return 1 if found else 0


def problems():
    """What keeps this machine from making a sandbox, each with its remedy.

    [] if a sandbox can be made: that is tried.
    """
    if sys.platform != "linux":
        system = {"darwin": "macOS", "win32": "Windows"}.get(sys.platform, sys.platform)
        instead = "WSL 2" if sys.platform == "win32" else "a Linux container"
        return [_NO_LINUX.format(system=system, instead=instead)]
    if platform.machine() not in confine.SYSCALLS:
        known = " and ".join(confine.SYSCALLS)
        return [f"The processor is {platform.machine()}; {known} are supported."]
    if path := spec.exposed():
        return [f"The course lies in {path}, which the sandbox shows: make a .venv."]
    try:
        got_through()
    except (EOFError, OSError, RuntimeError) as error:
        return [f"A sandbox can't be made ({error}). {_remedy()}"]
    return []


def elsewhere():
    """Why what a sandbox imports is not this course's own; "" if it is.

    So it is once a course's folder was moved, or copied with its environment.
    """
    here = spec.COURSE
    ask = "import dot2gpt; print(dot2gpt.__path__[0])"
    done = subprocess.run(
        [sys.executable, "-I", "-c", ask], cwd=os.sep, capture_output=True, text=True
    )
    there = Path(done.stdout.strip()).parent
    if done.returncode == 0 and there.resolve() == here:
        return ""
    holds = f"holds the dot2gpt of {there}, not of {here}"
    if done.returncode:
        holds = "has no dot2gpt: the course's folder was moved or renamed"
    return (
        f"The environment in {sys.prefix} {holds}. In {here}: python3 -m tools.mended, "
        "and use the .venv that lies there"
    )


def got_through():
    """Which of `confine.PROBES` a sandbox lets pass: one is made, and tries them.

    Raises EOFError, OSError or RuntimeError if none can be made.
    """
    box, parent = spec.Box(), Parent(modules=())
    try:
        box.empty()
        box.give_to_sandbox()
        request = spec.request(box, [], spec.Bounds(), [], probe=True)
        bits = Forked(request, parent).wait()
        if bits < 0:
            raise RuntimeError(f"it was ended by signal {-bits}")
        return [name for n, name in enumerate(confine.PROBES) if bits >> n & 1]
    finally:
        parent.close()
        box.remove()


def _remedy():
    """What would allow user namespaces here."""
    for file, forbids, allows in _SWITCHES:
        path = Path("/proc/sys", file)
        if path.exists() and path.read_text().strip() == forbids:
            return f"User namespaces are off; allow them: sudo sysctl -w {allows}"
    return (
        "If this is a container, start it so that it may make user namespaces and "
        "mount /proc: docker run --security-opt seccomp=unconfined "
        "--security-opt apparmor=unconfined --security-opt systempaths=unconfined"
    )


def _calls():
    """Which doors into the system are shut."""
    if found := got_through():
        install = "" if confine.seccomp() else ": install libseccomp (libseccomp2)"
        return f"open to code inside: {', '.join(found)}{install}"
    return f"refused: {', '.join(confine.PROBES)}"


def _cgroups():
    """How memory and processes are limited here."""
    group = Cgroup(f"{spec.PREFIX}doctor-{os.getpid()}", spec.Bounds())
    group.remove()
    if group.folders:
        version = "v1" if len(group.folders) > 1 else "v2"
        return f"cgroup {version}: the system limits each sandbox as a whole"
    said = (
        "no cgroup can be made: what processes map and what temporary files hold is "
        "added up four times a second, so a sandbox may be over its limit for so long"
    )
    return f"{said}; `run` asks systemd for a scope" if scope.offered() else said


def _print(what, text):
    indent = " " * 12
    print(textwrap.fill(f"{what:12}{text}", 76, subsequent_indent=indent))
