"""`python -m grading doctor`: what this machine can do to keep strangers' code in.

It installs nothing, and changes nothing.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

from grading.sandbox import confine, spec
from grading.sandbox.cgroup import Cgroup
from grading.sandbox.provisioners import Zygote
from grading.sandbox.warm import Parent, bare_environment

OLDEST = (0, 8)  # bubblewrap: the first that can forbid further user namespaces
_INSTALL = {  # by the names that /etc/os-release gives a system and its relatives
    "debian": "sudo apt install bubblewrap",
    "ubuntu": "sudo apt install bubblewrap",
    "fedora": "sudo dnf install bubblewrap",
    "rhel": "sudo dnf install bubblewrap",
    "suse": "sudo zypper install bubblewrap",
    "arch": "sudo pacman -S bubblewrap",
    "alpine": "sudo apk add bubblewrap",
    "nixos": "nix-env -iA nixos.bubblewrap",
}
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


def add_doctor(commands):
    """Register the subcommand with what `ArgumentParser.add_subparsers` returned.

    It sets the default `main`, a function from the arguments to an exit status.
    """
    parser = commands.add_parser(
        "doctor",
        help="say what this machine can do to keep strangers' code in",
        description="Says whether a sandbox can be made on this machine, and how to "
        "get what is missing. It installs nothing. The exit status is 0 if a sandbox "
        "can be made, else 1.",
    )
    parser.set_defaults(main=lambda arguments: report())


def report():
    """Print what there is and what is missing; returns the exit status."""
    if moved := elsewhere():
        _print("moved", moved)
        return 1
    found = problems()
    if not found:
        _print("bubblewrap", f"{shutil.which('bwrap')}, {_dotted(_version())}")
        _print("sandbox", "works, plain and warm")
        _print("cgroups", _cgroups())
    for problem in found:
        _print("missing", problem)
    if found:
        _print("so", "grading refuses to run strangers' code, unless --no-sandbox")
    return 1 if found else 0


def problems():
    """What keeps this machine from making a sandbox, each with its remedy.

    [] if a sandbox can be made: both kinds are tried, which takes about a second.
    """
    if sys.platform != "linux":
        system = {"darwin": "macOS", "win32": "Windows"}.get(sys.platform, sys.platform)
        instead = "WSL 2" if sys.platform == "win32" else "a Linux container"
        return [_NO_LINUX.format(system=system, instead=instead)]
    if not shutil.which("bwrap"):
        return [f"The program bwrap is not installed: {_how_to_install()}"]
    if _version() < OLDEST:
        wanted, got = _dotted(OLDEST), _dotted(_version())
        return [f"bubblewrap is {got}, and {wanted} or newer is needed"]
    if platform.machine() not in confine.SYSCALLS:
        known = " and ".join(confine.SYSCALLS)
        return [f"The processor is {platform.machine()}; {known} are supported."]
    if path := spec.exposed():
        return [f"The course lies in {path}, which the sandbox shows: make a .venv."]
    return _tried("plain", _try_plain) or _tried("warm", _try_warm)


def elsewhere():
    """Why what a sandbox imports is not this course's own; "" if it is.

    So it is once a course's folder was moved, or copied with its environment.
    """
    here = Path(__file__).resolve().parents[1]
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


def _tried(kind, attempt):
    error = attempt()
    if not error:
        return []
    return [f"A {kind} sandbox can't be made ({error}). {_remedy()}"]


def _try_plain():
    """Run nothing in bubblewrap; returns the error, "" if it went well."""
    box = spec.Box()
    try:
        box.empty()
        box.give_to_sandbox()
        command = spec.bwrap_command(
            [sys.executable, "-I", "-S", "-c", "pass"],
            str(box.sockets),
            [],
            spec.Bounds(),
            spec.environment(),
        )
        done = subprocess.run(
            spec.supervised(command, box, []),
            capture_output=True,
            text=True,
            timeout=60,
            env=bare_environment(),
        )
    finally:
        box.remove()
    lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
    return lines[-1] if done.returncode else ""


def _try_warm():
    """Have a zygote run nothing; returns the error, "" if it went well."""
    box, parent, zygote = spec.Box(), Parent(modules=()), None
    try:
        box.empty()
        box.give_to_sandbox()
        request = spec.zygote_request(
            ["--version"], box, [], spec.Bounds(), spec.environment(), []
        )
        zygote = Zygote(parent)
        pid = zygote.ask("spawn", **request)["pid"]
        status = zygote.ask("wait", pid=pid)["status"]
        return f"exit status {status}" if status else ""
    except (RuntimeError, ConnectionError) as error:
        return str(error)
    finally:
        if zygote:
            zygote.close()
        parent.close()
        box.remove()


def _version():
    """The version of bubblewrap, as numbers; (0,) if it does not say."""
    said = subprocess.run(["bwrap", "--version"], capture_output=True, text=True).stdout
    return tuple(int(number) for number in re.findall(r"\d+", said)) or (0,)


def _dotted(version):
    return ".".join(map(str, version))


def _how_to_install():
    """The command that installs bubblewrap on this system."""
    try:
        system = platform.freedesktop_os_release()
    except OSError:
        system = {}
    for name in [system.get("ID", ""), *system.get("ID_LIKE", "").split()]:
        if name in _INSTALL:
            return _INSTALL[name]
    return "install the package bubblewrap of your system"


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


def _cgroups():
    """How memory and processes are limited here."""
    group = Cgroup(f"{spec.PREFIX}doctor-{os.getpid()}", spec.Bounds())
    group.remove()
    if group.folders:
        version = "v1" if len(group.folders) > 1 else "v2"
        return f"{version}: the system limits the memory of each sandbox as a whole"
    return (
        "none can be made here: the memory that processes map is looked at four times "
        "a second, and what none of them maps (a memfd) is not counted. With systemd, "
        "this gives one: systemd-run --user --scope make grade"
    )


def _print(what, text):
    indent = " " * 12
    print(textwrap.fill(f"{what:12}{text}", 76, subsequent_indent=indent))
