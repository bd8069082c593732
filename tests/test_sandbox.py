"""The sandbox: what code in it can't do, and that nothing of it is left afterwards."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from unittest import mock

import nbclient
import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from nbgrader.utils import determine_grade

from grading import doctor
from grading.sandbox import cgroup, confine, provisioners, spec, warm
from grading.sandbox.provisioners import kernel_manager
from grading.sandbox.spec import Box
from grading.sandbox.warm import Parent, has_ended
from tests import small_course
from tests.sandbox_probes import (
    ATTACKS,
    BOUNDS,
    GREED,
    NEEDS_KERNEL,
    NEEDS_ROOT,
    SMALL,
    Kernel,
    won,
)

pytestmark = pytest.mark.xdist_group("sandbox")
REPOSITORY = Path(__file__).resolve().parents[1]
SLEEP = [sys.executable, "-c", "import time; print(flush=True); time.sleep(99)"]


@pytest.fixture(scope="session")
def machine():
    """A machine on which a sandbox can be made."""
    if found := doctor.problems():
        pytest.skip(f"no sandbox on this machine: {found[0]}")


@pytest.fixture(scope="module")
def facts(tmp_path_factory):
    """Things of this machine that attacks are after."""
    secret = tmp_path_factory.mktemp("ada") / "answers.ipynb"
    secret.write_text("SECRET")
    name = f"\0grading-test-{os.getpid()}"
    other = Box()
    other.empty()
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX) as abstract,
        subprocess.Popen(
            [*SLEEP, "sleeping"],
            env={**os.environ, "TOKEN": "SECRET"},
            stdout=subprocess.PIPE,
        ) as process,
    ):
        process.stdout.readline()
        abstract.bind(name)
        abstract.listen()
        yield {
            "PID": process.pid,
            "PORT": server.getsockname()[1],
            "SOCKET": name,
            "SECRET": str(secret),
            "FOLDERS": [str(REPOSITORY / "solutions"), str(REPOSITORY / "tests")],
            "OTHERS": [str(other.path), str(secret.parent)],
            "PREFIX": sys.prefix,
        }
        process.kill()
    other.remove()


@pytest.fixture(scope="module")
def kernel(machine):
    """One kernel in a sandbox, for tests that leave it well."""
    with Kernel("warm", BOUNDS) as running:
        yield running


@pytest.fixture
def no_cgroup(monkeypatch):
    """As on a machine where no cgroup can be made."""

    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr("grading.sandbox.cgroup.Cgroup._make_v1", refuse)
    monkeypatch.setattr("grading.sandbox.cgroup.Cgroup._make_v2", refuse)


def test_ci_can_make_a_sandbox():
    if "CI_SANDBOX" in os.environ:
        assert doctor.problems() == []


# What code in it can't do


def test_no_attack_wins(kernel, facts):
    assert won(kernel, facts) == []


def test_every_attack_wins_without_a_sandbox(facts):
    weak = NEEDS_KERNEL if os.getuid() == 0 else NEEDS_KERNEL | NEEDS_ROOT
    with Kernel("none") as kernel:
        assert set(won(kernel, facts)) >= set(ATTACKS) - weak


def test_it_is_another_machine_with_no_name_for_us(kernel):
    assert kernel.run(
        "import socket, os; print(socket.gethostname(), os.getuid())"
    ) == (f"sandbox {confine.NOBODY}\n")
    assert kernel.run(
        "print(sorted(p for p in os.listdir('/proc') if p.isdigit()))"
    ) == ("['1', '2']\n")


def test_the_environment_is_the_sandboxs_own(kernel):
    said = json.loads(
        kernel.run("import json, os; print(json.dumps(dict(os.environ)))")
    )
    added_by_ipykernel = {"CLICOLOR", "CLICOLOR_FORCE", "FORCE_COLOR", "GIT_PAGER"}
    added_by_ipykernel |= {"PAGER", "PYDEVD_USE_FRAME_EVAL", "TERM", "PWD"}
    assert said.items() >= spec.environment().items()
    assert set(said) - set(spec.environment()) <= added_by_ipykernel


def test_only_what_is_shown_exists(kernel):
    """Every path above what is bound holds nothing else."""
    code = "print([sorted(os.listdir(p)) for p in {!r}])"
    shown = spec.readable()
    for folder in {str(Path(path).parent) for path in shown} - {"/", "/etc", "/nix"}:
        if any(Path(folder).is_relative_to(path) for path in shown):
            continue
        (inside,) = eval(kernel.run(f"import os; {code.format([folder])}"))
        below = [Path(path) for path in shown if Path(path).is_relative_to(folder)]
        assert inside == sorted({p.relative_to(folder).parts[0] for p in below})


def test_what_sheets_import_is_there(kernel):
    assert kernel.run("import torch; from dot2gpt import checks; print(torch.ones(2))")


def test_the_working_folder_can_be_written_and_the_root_not(kernel):
    kernel.run("import os; open('notes', 'w').write('x'); os.remove('notes')")
    paths = ["/x", "/root/x", "/home/x"]
    ours = REPOSITORY / "x"
    if os.getuid() == 0 or not any(map(ours.is_relative_to, spec.SCRATCH)):
        paths.append(str(ours))
    for path in paths:
        with pytest.raises(RuntimeError, match="Error"):
            kernel.run(f"open({path!r}, 'w')")
    with suppress(RuntimeError):  # an ordinary user's /tmp/course lies in scratch
        kernel.run(f"open({str(ours)!r}, 'w')")
    assert not ours.exists()


def test_all_that_is_shown_is_mounted_read_only(kernel):
    lines = kernel.run("print(open('/proc/self/mountinfo').read())").splitlines()
    fields = [line.split() for line in lines if line]
    writable = {field[4] for field in fields if "rw" in field[5].split(",")}
    own = str(kernel.manager.provisioner.box.sockets)
    others = {path for path in writable if not path.startswith("/dev")}
    assert own in writable and others - {own} == set(spec.SCRATCH) - {"/dev/shm"}


def test_more_than_its_memory_at_once_is_refused_and_the_kernel_lives(kernel):
    with pytest.raises(RuntimeError, match="MemoryError"):
        kernel.run("bytearray(1100 << 20)")
    with pytest.raises(RuntimeError, match="allocate"):
        kernel.run("import torch; torch.empty(1100 << 20, dtype=torch.uint8)")
    assert kernel.run("print('alive')") == "alive\n"


def test_a_looping_cell_is_interrupted_by_a_message(kernel):
    # After an error, ipykernel drops what comes in the next moment unless told not to.
    code = "print('on')\nwhile True: pass"
    request = kernel.client.execute(code, stop_on_error=False)

    async def interrupt():
        while True:
            message = await kernel.client.get_iopub_msg(timeout=30)
            if message["msg_type"] == "stream":
                break
        await kernel.manager.interrupt_kernel()
        while True:
            reply = await kernel.client.get_shell_msg(timeout=30)
            if reply["parent_header"]["msg_id"] == request:
                return reply["content"]["ename"]

    assert kernel.wait(interrupt()) == "KeyboardInterrupt"
    assert kernel.run("print('alive')") == "alive\n"


def test_a_shell_command_prints(kernel):
    assert kernel.run("!echo from a shell").strip() == "from a shell"


# Limits for the sandbox as a whole


def test_memory_is_counted_over_all_processes(machine):
    with Kernel("warm", SMALL) as kernel:
        start = time.monotonic()
        why = kernel.ends(GREED)
        assert why == "it used more than 0.293 GiB of memory"
        assert time.monotonic() - start < 20


def test_memory_is_counted_without_a_cgroup(machine, no_cgroup):
    with Kernel("warm", SMALL) as kernel:
        assert kernel.manager.provisioner.cgroup.folders == []
        assert kernel.run("print(len(bytes(50 << 20)))") == f"{50 << 20}\n"
        assert "0.293 GiB" in kernel.ends(GREED)


def test_temporary_files_are_counted_without_a_cgroup(machine, no_cgroup):
    hoard = """
import os, time
files = [os.open("/tmp", os.O_TMPFILE | os.O_RDWR) for _ in range(2)]
for file in files:
    os.posix_fallocate(file, 0, 120 << 20)
taken = b"x" * (120 << 20)
time.sleep(30)
"""
    with Kernel("warm", SMALL) as kernel:
        assert "0.293 GiB" in kernel.ends(hoard)


def test_sockets_are_counted(machine):
    pairs = "import socket, time\npairs = [socket.socketpair() for _ in range({})]\n"
    with Kernel("warm") as kernel:
        kernel.run(pairs.format(50))
        time.sleep(0.5)
        assert kernel.run("print('alive')") == "alive\n"
        why = kernel.ends("del pairs\n" + pairs.format(160) + "time.sleep(30)")
        assert why == "it opened more than 300 sockets"


def test_files_among_the_sockets_end_it(machine):
    with Kernel("warm") as kernel:
        path = kernel.manager.provisioner.box.sockets / "loot"
        assert "'loot'" in kernel.ends(f"open({str(path)!r}, 'w').write('x')")


# What the sandbox shows of a folder


def test_files_beside_the_notebook_are_shown(machine, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.csv").write_text("1,2")
    (tmp_path / "helper.py").write_text("ANSWER = 42")
    (tmp_path / "other.ipynb").write_text("{}")
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "helper.py").chmod(0o600)
    with Kernel("warm", cwd=tmp_path) as kernel:
        assert kernel.run("import os, helper; print(sorted(os.listdir()))") == (
            "['data', 'helper.py']\n"
        )
        assert kernel.run("print(open('data/rows.csv').read())") == "1,2\n"
        with pytest.raises(RuntimeError, match="OSError|PermissionError"):
            kernel.run("open('data/rows.csv', 'w')")


def test_no_more_files_than_a_sheet_needs(tmp_path, monkeypatch):
    monkeypatch.setattr(spec, "MOST_FILES", 2)
    for name in "abc":
        (tmp_path / name).write_text(name)
    box = Box()
    box.empty()
    assert [Path(p).name for p in box.take_files(tmp_path)] == ["a", "b"]
    monkeypatch.setattr(spec, "MOST_BYTES", 1)
    box.empty()
    assert [Path(p).name for p in box.take_files(tmp_path)] == ["a"]
    box.remove()


def test_a_course_inside_python_is_refused(machine, monkeypatch):
    monkeypatch.setattr(spec, "COURSE", Path(sys.prefix).resolve() / "course")
    with pytest.raises(RuntimeError, match="which the sandbox shows"):
        Kernel("warm")
    assert "which the sandbox shows" in doctor.problems()[0]


def test_a_start_copies_no_environment_that_another_thread_may_change(machine):
    changed = KeyError("a variable that another thread removed meanwhile")
    with mock.patch.object(type(os.environ), "copy", side_effect=changed):
        kernel = Kernel("warm")
    with kernel:
        assert kernel.run("print(1)") == "1\n"


# Nothing is left


def traces(manager):
    """(processes, paths) that a running kernel has on this machine."""
    provisioner = manager.provisioner
    supervisor = psutil.Process(provisioner.pid)
    paths = [provisioner.box.path, *map(Path, provisioner.cgroup.folders)]
    return [supervisor, *supervisor.children(recursive=True)], paths


def left(processes, paths, patience=0.0):
    """Those that are still there after `patience` seconds."""
    end = time.monotonic() + patience
    while True:
        running = [p for p in processes if runs(p)]
        found = running + [path for path in paths if path.exists()]
        if not found or time.monotonic() > end:
            return found
        time.sleep(0.05)


def runs(process):
    """Whether it has not ended, waited for or not."""
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(99)
    os._exit(0)
os.wait()
"""


@pytest.mark.parametrize("cgroups", [True, False])
def test_shutdown_leaves_nothing(machine, cgroups, request):
    if not cgroups:
        request.getfixturevalue("no_cgroup")
    kernel = Kernel("warm")
    kernel.run(DAEMON)
    processes, paths = traces(kernel.manager)
    assert len(processes) >= 3
    kernel.stop()
    assert left(processes, paths) == []


def test_a_polite_shutdown_leaves_nothing(machine):
    kernel = Kernel("warm")
    processes, paths = traces(kernel.manager)
    kernel.client.stop_channels()
    kernel.wait(kernel.manager.shutdown_kernel())
    kernel.runner.close()
    assert left(processes, paths) == []


def test_a_restart_gives_a_fresh_kernel(machine):
    with Kernel("warm") as kernel:
        kernel.run("x = 1; open('/tmp/kept', 'w').close()")
        before, _ = traces(kernel.manager)
        kernel.wait(kernel.manager.restart_kernel(now=True))
        kernel.wait(kernel.client.wait_for_ready(timeout=60))
        said = kernel.run("import os; print('x' in globals(), os.listdir('/tmp'))")
        assert said.startswith("False ") and "kept" not in said
        assert left(before, []) == []


PARENT = """
import json, sys
from tests.sandbox_probes import Kernel
from tests.test_sandbox import DAEMON, Parent, traces
kernel = Kernel("warm")
kernel.run(DAEMON)
processes, paths = traces(kernel.manager)
pids = [*(process.pid for process in processes), Parent.of_this_process().process.pid]
print(json.dumps([pids, list(map(str, paths))]), flush=True)
kernel.run("while True: pass", timeout=60)
"""


def test_kill_9_of_the_grader_leaves_nothing(machine):
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, cwd=REPOSITORY
    ) as parent:
        pids, paths = json.loads(parent.stdout.readline())
        processes = list(map(psutil.Process, pids))
        parent.kill()
    assert len(processes) >= 4
    assert left(processes, [Path(path) for path in paths], patience=30) == []


def test_kill_9_of_the_supervisor_ends_the_kernel(machine):
    with Kernel("warm") as kernel:
        kernel.run(DAEMON)
        processes, _ = traces(kernel.manager)
        os.kill(kernel.manager.provisioner.pid, signal.SIGKILL)
        assert left(processes, [], patience=30) == []
        assert not kernel.wait(kernel.manager.is_alive())


def test_what_killed_runs_left_is_swept(tmp_path):
    ours, theirs = Box(), Box()
    group = tmp_path / "a group"
    group.mkdir()
    theirs.note([str(group)])
    theirs._lock.close()  # as when its process was killed
    spec.sweep()
    assert left([], [ours.path, theirs.path, group]) == [ours.path]
    ours.remove()


# The warm parent


def test_kernels_share_nothing_and_their_parent_has_one_thread(machine):
    with Kernel("warm") as first:
        first.run("import torch, os; torch.ones = None; os.nice(1)")
        first.run("import threading, time")
        first.run("threading.Thread(target=time.sleep, args=(9,)).start()")
        with Kernel("warm") as second:
            assert second.run("import torch; print(torch.ones(1))")
    pid = Parent.of_this_process().process.pid
    assert len(os.listdir(f"/proc/{pid}/task")) == 1


def test_it_refuses_to_fork_with_threads(tmp_path, monkeypatch):
    (tmp_path / "threaded.py").write_text(
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(9,), daemon=True).start()\n"
    )
    monkeypatch.setattr(
        warm,
        "bare_environment",
        lambda: {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)},
    )
    monkeypatch.setattr(provisioners, "Parent", mock_parent := MockParent())
    with pytest.raises(RuntimeError, match="no kernel was forked; to see why: "):
        provisioners.forked({})
    assert mock_parent.made == 2


class MockParent:
    """Parents that can't fork, one after the other."""

    made = 0

    def of_this_process(self):
        self.made += 1
        return Parent(modules=["threaded"])


def test_it_ends_with_the_last_that_may_ask():
    parent = Parent(modules=[])
    with socket.socket(fileno=os.dup(parent.requests.fileno())) as another:
        parent.requests.close()
        time.sleep(0.2)
        assert parent.process.poll() is None and not has_ended(another)
    assert parent.process.wait(30) == 0


def test_a_killed_parent_takes_nothing_along_and_is_replaced(machine, monkeypatch):
    monkeypatch.setattr(Parent, "_one", None)
    with Kernel("warm") as kernel:
        first = Parent.of_this_process()
        first.process.kill()
        first.process.wait()
        assert kernel.run("print('alive')") == "alive\n"
        with Kernel("warm") as second:
            assert second.run("print('alive')") == "alive\n"
        assert Parent.of_this_process() is not first
        Parent.of_this_process().close()


def test_it_has_nothing_of_who_started_it(monkeypatch):
    monkeypatch.setenv("TOKEN", "SECRET")
    parent = Parent(modules=[])
    process = psutil.Process(parent.process.pid)
    assert "TOKEN" not in process.environ() and process.cwd() == "/"
    for _ in range(300):  # while it imports, a module's file is open
        if (open_now := sorted(os.listdir(f"/proc/{process.pid}/fd"))) == list("012"):
            break
        time.sleep(0.1)
    assert open_now == ["0", "1", "2"]
    parent.close()


def test_a_warm_kernel_starts_in_a_fraction_of_the_time(machine):
    def seconds(kind):
        start = time.perf_counter()
        with Kernel(kind) as kernel:
            kernel.run("import torch, matplotlib.pyplot; from dot2gpt import checks")
            return time.perf_counter() - start

    warm = min(seconds("warm") for _ in range(3))
    assert warm < seconds("none") / 2


# Jupyter's own tools


def test_nbclient_uses_it_unchanged(machine, monkeypatch):
    monkeypatch.setenv("JUPYTER_PATH", str(provisioners.KERNELS.parent))
    code = "import os; print(os.getuid(), os.path.exists('/sys'))"
    notebook = new_notebook(cells=[new_code_cell(code)])
    name = "sandbox"
    nbclient.NotebookClient(notebook, kernel_name=name).execute()
    assert notebook.cells[0].outputs[0].text == f"{confine.NOBODY} False\n"


# One process for all commands saves nbgrader's imports.
NBGRADER = """
import grading
import sys
from nbgrader.apps import NbGraderApp
for command in sys.argv[1:]:
    try:
        NbGraderApp.launch_instance(command.split())
    except SystemExit as left:
        if left.code:
            raise
    NbGraderApp.clear_instance()
"""


def test_nbgrader_autograde_uses_it_unchanged(machine, tmp_path):
    root = small_course.make(tmp_path / "course", released=False)
    theft = "axis = open('/etc/passwd') and -1"
    sheet = small_course.sheet({**small_course.RIGHT, "axis": theft})
    small_course.save(sheet, root / "submitted/eve/01_small/small_exercises.ipynb")
    grade = "autograde 01_small --ExecutePreprocessor.kernel_name=sandbox"
    done = subprocess.run(
        [sys.executable, "-c", NBGRADER, "generate_assignment 01_small", grade],
        cwd=root,
        env={
            **os.environ,
            "JUPYTER_PATH": str(provisioners.KERNELS.parent),
            "JUPYTER_CONFIG_DIR": str(tmp_path / "jupyter"),
        },
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    path = root / "autograded/eve/01_small/small_exercises.ipynb"
    cells = {
        cell.metadata.nbgrader.grade_id: cell
        for cell in nbformat.read(path, 4).cells
        if "nbgrader" in cell.metadata
    }
    assert cells["axis"].outputs[0].ename == "FileNotFoundError"
    points = [
        determine_grade(cells[f"test_{name}"])[0]
        for name in ("double", "axis", "total")
    ]
    assert points == [2, 0, 3]


# Other users, other machines


def as_nobody(command):
    """The command line that runs a command as an ordinary user.

    Where Python lies in root's home, a mount namespace shows it and nothing else.
    """
    nobody = str(confine.NOBODY)
    drop = f"exec setpriv --reuid {nobody} --regid {nobody} --clear-groups "
    base, home = os.path.realpath(sys.base_prefix), os.path.expanduser("~root")
    show = ""
    if base.startswith(home + "/"):
        show = (
            f"mount --bind {base} /mnt && mount -t tmpfs -o mode=755 tmpfs {home} && "
            f"mkdir -p {base} && mount --bind /mnt {base} && "
        )
    return ["unshare", "-m", "sh", "-c", show + drop + shlex.join(command)]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_no_attack_wins_for_an_ordinary_user(machine, facts):
    command = [sys.executable, "-m", "tests.sandbox_probes", json.dumps(facts)]
    done = subprocess.run(
        as_nobody(command),
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["user"] == confine.NOBODY
    assert (found["won"], found["reach"]) == ([], "no")
    assert "0.293 GiB of memory" in found["greedy"]  # with or without a cgroup


def test_a_v2_cgroup_is_made_where_the_system_has_delegated_one(tmp_path, monkeypatch):
    monkeypatch.setattr(cgroup, "ROOT", tmp_path)
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids")
    (tmp_path / "cgroup.procs").write_text("")
    (tmp_path / "cgroup.subtree_control").write_text("cpu pids")
    assert cgroup.Cgroup("grading-none", BOUNDS).folders == []
    (tmp_path / "cgroup.subtree_control").write_text("cpu memory pids")
    made = cgroup.Cgroup("grading-x", BOUNDS)
    assert made.folders == [str(tmp_path / "grading-x")]
    values = {
        file.name: int(file.read_text()) for file in Path(*made.folders).iterdir()
    }
    assert values["memory.max"] == BOUNDS.memory and values["pids.max"] == 40
    (tmp_path / "grading-x" / "memory.events").write_text("oom 1\noom_kill 0\n")
    assert not made.out_of_memory()
    (tmp_path / "grading-x" / "memory.events").write_text("oom 1\noom_kill 2\n")
    assert made.out_of_memory()


def test_without_a_sandbox_no_windows_or_mac_module_is_missing():
    hidden = (
        "import psutil, sys; sys.modules['fcntl'] = sys.modules['resource'] = None; "
    )
    code = "from grading.sandbox import provisioners as p; p.kernel_manager('none')"
    subprocess.run([sys.executable, "-c", hidden + code], check=True, timeout=60)


def test_no_other_kind():
    with pytest.raises(ValueError, match="'hot' is not one of warm, none"):
        kernel_manager("hot")


def test_the_doctor_says_what_there_is(machine, capsys):
    assert doctor.report() == 0
    said = capsys.readouterr().out
    assert "sandbox     works" in said
    assert ("refused: io_uring_setup, bpf" in said) == bool(confine.seccomp())


def test_the_doctor_says_what_a_sandbox_lets_pass(machine, monkeypatch, capsys):
    passing = ["memfd_create", "shmget"]
    monkeypatch.setattr(doctor, "got_through", lambda: passing)
    monkeypatch.setattr(confine, "seccomp", lambda: None)
    doctor.report()
    said = " ".join(capsys.readouterr().out.split())
    assert "open to code inside: memfd_create, shmget: install libseccomp" in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("sys.platform", "darwin"), "This is macOS"),
        (("sys.platform", "win32"), "WSL 2"),
        (("platform.machine", lambda: "riscv64"), "The processor is riscv64"),
        (("grading.doctor.Forked", mock.Mock(side_effect=OSError("denied"))), "denied"),
    ],
)
def test_the_doctor_says_what_is_missing(change, words, monkeypatch, capsys):
    monkeypatch.setattr(*change)
    assert doctor.report() == 1
    said = " ".join(capsys.readouterr().out.split())
    assert words in said and "refuses" in said


SYSTEMD = """#!/bin/sh
echo "$@" >> "$ASKED_FOR"
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
"""
SCOPED = """
import sys
from unittest import mock
from grading.sandbox import scope
refuse = mock.Mock(side_effect=PermissionError)
with mock.patch.multiple(scope.Cgroup, _make_v1=refuse, _make_v2=refuse):
    scope.enter([sys.executable, "-c", "print('in it')"])
print("not in it")
"""


@pytest.mark.parametrize("manager", [True, False])
def test_a_run_asks_systemd_for_a_scope_where_it_can_make_no_cgroup(tmp_path, manager):
    (tmp_path / "systemd-run").write_text(SYSTEMD)
    (tmp_path / "systemd-run").chmod(0o755)
    if manager:
        (tmp_path / "systemd").mkdir()
        (tmp_path / "systemd" / "private").touch()
    done = subprocess.run(
        [sys.executable, "-c", SCOPED],
        cwd=REPOSITORY,
        env={
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "XDG_RUNTIME_DIR": str(tmp_path),
            "ASKED_FOR": str(tmp_path / "asked"),
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == ("in it\n" if manager else "not in it\n"), done.stderr
    assert (tmp_path / "asked").exists() == manager
