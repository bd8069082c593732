"""Limits for a whole sandbox: a cgroup (v1 or v2) where one can be made.

Where none can, `grading.sandbox.watch` looks at memory and processes instead.
"""

import os
from contextlib import suppress
from pathlib import Path

from grading.sandbox import confine

ROOT = Path("/sys/fs/cgroup")
_V1 = {  # controller: files to write, the first of them a must
    "memory": ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"),
    "pids": ("pids.max",),
}


class Cgroup:
    """A cgroup that holds one sandbox.

    folders: its folders, one a controller (v1) or one in all (v2); [] if none can be
        made.
    """

    def __init__(self, name, bounds):
        """name: the folder's name; bounds: a `grading.sandbox.spec.Bounds`."""
        self.folders = []
        try:
            if (ROOT / "cgroup.controllers").exists():
                self._make_v2(name, bounds)
            else:
                self._make_v1(name, bounds)
        except OSError:
            self.remove()
            self.folders = []

    def _make_v1(self, name, bounds):
        for controller, value in (
            ("memory", bounds.memory),
            ("pids", bounds.processes),
        ):
            folder = _own_group(controller) / name
            folder.mkdir()
            self.folders.append(str(folder))
            must, *others = _V1[controller]
            (folder / must).write_text(str(value))
            for file in others:  # no swap, where the kernel counts it
                with suppress(OSError):
                    (folder / file).write_text(str(value))

    def _make_v2(self, name, bounds):
        folder = _delegated() / name
        folder.mkdir()
        self.folders.append(str(folder))
        (folder / "memory.max").write_text(str(bounds.memory))
        (folder / "pids.max").write_text(str(bounds.processes))
        with suppress(OSError):
            (folder / "memory.swap.max").write_text("0")

    def out_of_memory(self):
        """Whether the kernel has killed a process in it for want of memory."""
        for folder in self.folders:
            for file in ("memory.events", "memory.oom_control"):
                with suppress(OSError):
                    lines = Path(folder, file).read_text().splitlines()
                    if any(
                        line.startswith("oom_kill ") and line[9:] != "0"
                        for line in lines
                    ):
                        return True
        return False

    def remove(self):
        """Kill what is left in it, and remove it."""
        for folder in self.folders:
            confine.remove_cgroup(folder)


def _own_group(controller):
    """This process's group of a v1 controller; the top one if it is out of sight."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            own = ROOT / controller / path.lstrip("/")
            return own if own.is_dir() else ROOT / controller
    raise FileNotFoundError(f"there is no v1 cgroup controller {controller!r}")


def _delegated():
    """The nearest v2 group above this process that can hold groups with limits."""
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    own = ROOT / next(line[3:] for line in lines if line.startswith("0::")).lstrip("/")
    for group in (own, *own.parents):
        if not group.is_relative_to(ROOT):
            break
        with suppress(OSError):
            given = (group / "cgroup.subtree_control").read_text().split()
            can_move = os.access(group / "cgroup.procs", os.W_OK)
            if (
                {"memory", "pids"} <= set(given)
                and can_move
                and os.access(group, os.W_OK)
            ):
                return group
    raise PermissionError("no v2 cgroup is delegated to this user")
