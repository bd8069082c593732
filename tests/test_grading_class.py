"""For the class: the students' bundle, what an LMS exports, what it imports."""

import csv
import io
import os
import re
import shutil
import stat
import subprocess
import sys
import tracemalloc
import zipfile
from datetime import UTC, datetime, timedelta
from functools import cache

import hypothesis.strategies as st
import nbformat
import pytest
import yaml
from hypothesis import given, settings

from grading.__main__ import main
from grading.course import archives, collect, grades, layouts, release
from grading.judge.bundle import bundle
from tests import small_course

NAME = "small_exercises.ipynb"
ROOT = small_course.REPOSITORY
OLD, NEW = (2026, 11, 1, 12, 0, 0), (2026, 11, 2, 12, 0, 0)


@pytest.fixture
def course(tmp_path, monkeypatch):
    """The small course, as the current folder."""
    root = small_course.make(tmp_path / "course")
    monkeypatch.chdir(root)
    collect._ids_of.cache_clear()
    return root


def sheet(mark="right"):
    """A sheet as bytes; `mark` tells one from another."""
    return _sheet().replace(b"axis = -1  # right", f"axis = -1  # {mark}".encode())


@cache
def _sheet():
    answers = {**small_course.RIGHT, "axis": "axis = -1  # right"}
    return nbformat.writes(small_course.sheet(answers)).encode()


def archive(path, files):
    """Write a zip of {name: bytes or (bytes, date)}; returns its path."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in files.items():
            data, date = data if isinstance(data, tuple) else (data, OLD)
            info = zipfile.ZipInfo(name, date)
            info.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(info, data)
    return path


def marks(root):
    """{student: the mark of the sheet in submitted/}."""
    found = {}
    for path in sorted(root.glob("submitted/*/01_small")):
        for file in sorted(path.rglob("*.ipynb")):
            text = file.read_text()
            found[path.parent.name] = text.partition("axis = -1  # ")[2].partition('"')[
                0
            ]
    return found


# ---- release ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """(the real bundle's path, the folder that it was unzipped to)."""
    folder = tmp_path_factory.mktemp("release")
    names = sorted(path.name for path in (ROOT / "chapters").iterdir())[:3]
    path, _ = release.release(ROOT, names, folder / "week.zip")
    with zipfile.ZipFile(path) as bundle:
        bundle.extractall(folder)
    return path, folder / "x-to-gpt"


def test_the_bundle_holds_what_learners_need_and_no_more(released):
    path, folder = released
    tops = {entry.name for entry in folder.iterdir()}
    files = {"README.md", "nbgrader_config.py", "pyproject.toml", "requirements.txt"}
    assert tops == {"chapters", "dot2gpt", *files}
    text = "".join(p.read_text("utf-8", "ignore") for p in folder.rglob("*.*y*"))
    assert "BEGIN SOLUTION" not in text.replace('"### BEGIN SOLUTION"', "")
    assert "### BEGIN HIDDEN TESTS" not in text


def test_no_hidden_test_of_the_course_is_in_the_bundle(released):
    """Looked for here in another way: every hidden line that the sheets do not show."""
    path, folder = released
    bundled = [nbformat.read(p, 4) for p in folder.rglob("*.ipynb")]
    shown = "\n".join(cell.source for n in bundled for cell in n.cells)
    hidden = []
    for name in sorted(p.name for p in (folder / "chapters").iterdir()):
        for cell in bundle(name).tests:
            parts = cell.source.split("### BEGIN HIDDEN TESTS")[1:]
            hidden += [part.split("### END HIDDEN TESTS")[0] for part in parts]
    assert hidden
    assert not [text for text in hidden if text.strip() in shown]


def test_the_requirements_are_the_learners(released):
    text = (released[1] / "requirements.txt").read_text()
    assert "torch==" in text and "jupyterlab==" in text and text.endswith("-e .\n")
    for name in ("distributed", "jupyter-book", "psutil", "nbval"):
        assert name not in text


def test_the_unzipped_bundle_works(released):
    folder = released[1]
    name = sorted(path.name for path in (folder / "chapters").iterdir())[1]

    def dot2gpt(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "dot2gpt", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder)},
            capture_output=True,
            text=True,
            timeout=180,
        )

    assert name in dot2gpt("list").stdout
    assert f"submitted/me/{name}" in dot2gpt("start", name).stdout
    checked = dot2gpt("check", name)
    assert checked.returncode == 1 and "not written yet" in checked.stdout


def test_the_bundle_is_the_same_each_time(course):
    shutil.copytree(ROOT / "dot2gpt", course / "dot2gpt")
    for name in ("pyproject.toml", "requirements.txt"):
        shutil.copy(ROOT / name, course)
    first = release.release(course, (), course / "a.zip")[0].read_bytes()
    assert release.release(course, (), course / "b.zip")[0].read_bytes() == first


LEAKS = {
    "a stale sheet": ("chapters/01_small/small_exercises.ipynb", "make sync"),
    "a solution in a lesson": (
        "chapters/01_small/small.ipynb",
        "lines of the solutions",
    ),
    "hidden tests in the library": ("dot2gpt/notes.py", "lines of the solutions"),
    "a backup": ("chapters/01_small/small_exercises.bak.ipynb", "does not belong"),
}


@pytest.mark.parametrize("kind", LEAKS)
def test_a_leak_stops_the_release(course, kind):
    where, words = LEAKS[kind]
    shutil.copytree(ROOT / "dot2gpt", course / "dot2gpt")
    for name in ("pyproject.toml", "requirements.txt"):
        shutil.copy(ROOT / name, course)
    secret = "a_secret = [1, 2, 3, 4]\nanother = sum(a_secret)\nassert another == 10"
    source = course / "solutions" / "01_small" / NAME
    source.write_text(
        source.read_text().replace(
            "assert double(-5) == -10", secret.replace("\n", "\\n")
        )
    )
    if where.endswith(".py"):
        (course / where).write_text(f"def f():\n{secret}".replace("\n", "\n    "))
    else:
        leaky = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(secret)])
        small_course.save(leaky, course / where)
    with pytest.raises(release.ReleaseError, match=words) as why:
        release.release(course, (), course / "week.zip")
    assert where in str(why.value)
    assert not (course / "week.zip").exists()


# ---- collect ------------------------------------------------------------------------


def test_canvas(course):
    path = archive(
        course / "canvas.zip",
        {
            f"lovelaceada_4711_990_{NAME}": sheet("ada"),
            "hopperbob_LATE_4712_991_my work.ipynb": sheet("bob"),
            f"curiecleo_4713_992_{NAME}": sheet("first"),
            "curiecleo_4713_993_small_exercises-1.ipynb": sheet("second"),
            "curiecleo_4713_994_data.csv": b"1,2",
        },
    )
    done = collect.collect(course, path)
    assert done.refused == []
    assert marks(course) == {
        "lovelaceada_4711": "ada",
        "hopperbob_4712": "bob",
        "curiecleo_4713": "second",
    }
    assert (
        course / "submitted/curiecleo_4713/01_small/data.csv"
    ).read_bytes() == b"1,2"
    # Canvas's number behind the name is gone.
    assert (course / "submitted/curiecleo_4713/01_small" / NAME).exists()
    got = collect.received(course, "01_small")
    assert [got[s].late for s in sorted(got)] == [False, True, False]
    assert "handed in late" in got["hopperbob_4712"].notes()[0]
    assert "handed in 2 times: the newest" in got["curiecleo_4713"].notes()[0]
    kept = [
        p.read_bytes() for p in course.glob("collected/01_small/curie*/*/files/*nb")
    ]
    assert sorted(kept) == sorted([sheet("first"), sheet("second")])
    assert got["lovelaceada_4711"].details() == {"lms_user_id": "4711"}


def test_moodle_folders_and_flat(course):
    path = archive(
        course / "moodle.zip",
        {
            f"Ada Lovelace_21_assignsubmission_file_/{NAME}": sheet("ada"),
            "Ada Lovelace_21_assignsubmission_file_/data.csv": b"1",
            f"Zoë Ünal_22_assignsubmission_file_{NAME}": sheet("zoe"),
            f"Ann Lee_23_assignsubmission_file_/{NAME}": sheet("one Ann"),
            f"Ann Lee_24_assignsubmission_file_/{NAME}": sheet("another Ann"),
        },
    )
    assert collect.collect(course, path).refused == []
    assert marks(course) == {
        "Ada_Lovelace_21": "ada",
        "Zoë_Ünal_22": "zoe",
        "Ann_Lee_23": "one Ann",
        "Ann_Lee_24": "another Ann",
    }
    got = collect.received(course, "01_small")["Ada_Lovelace_21"]
    assert got.details() == {
        "first_name": "Ada",
        "last_name": "Lovelace",
        "lms_user_id": "",
    }
    assert got.files == ["data.csv", NAME]


def test_flat_names_and_folders(course):
    inbox = course / "inbox"
    names = {
        "ada.ipynb": "ada",
        f"bob_{NAME}": "bob",
        "cleo-01_small.ipynb": "cleo",
        "small_exercises dan (2).ipynb": "dan",
        f"eve/{NAME}": "eve",
        f"fay/01_small/{NAME}": "fay",
        f"gil/work/{NAME}": "gil",
    }
    for name, mark in names.items():
        (inbox / name).parent.mkdir(parents=True, exist_ok=True)
        (inbox / name).write_bytes(sheet(mark))
    (inbox / ".DS_Store").write_text("x")
    assert collect.collect(course, inbox).refused == []
    assert marks(course) == {mark: mark for mark in names.values()}


@pytest.mark.parametrize("top", ["export/", "01_small/", ""])
def test_a_folder_around_all_is_looked_through(course, top):
    files = {f"{top}ada/{NAME}": sheet("ada"), f"{top}bob/{NAME}": sheet("bob")}
    collect.collect(course, archive(course / "all.zip", files))
    assert marks(course) == {"ada": "ada", "bob": "bob"}


def test_what_says_nothing_is_named(course):
    blank = nbformat.writes(nbformat.v4.new_notebook()).encode()
    files = {NAME: sheet("whose"), "ada/notes.ipynb": blank}
    done = collect.collect(course, archive(course / "all.zip", files))
    assert f"'{NAME}' was left out: nothing says whose it is" in done.refused[0]
    assert "ada: which assignment is it?" in done.refused[1]
    done = collect.collect(course, course / "all.zip", assignment="01_small")
    assert (course / "submitted/ada/01_small/notes.ipynb").exists()


def test_the_newest_counts_in_whatever_order_it_comes(course):
    new = archive(course / "new.zip", {f"ada/{NAME}": (sheet("new"), NEW)})
    old = archive(course / "old.zip", {f"ada/{NAME}": (sheet("old"), OLD)})
    collect.collect(course, new)
    collect.collect(course, old)
    assert marks(course) == {"ada": "new"}
    got = collect.received(course, "01_small")["ada"]
    assert got.count == 2
    stamp = (course / "submitted/ada/01_small/timestamp.txt").read_text()
    local = datetime(*NEW).astimezone(UTC)
    assert stamp == local.strftime("%Y-%m-%d %H:%M:%S UTC")


def test_collecting_again_changes_nothing(course):
    path = archive(course / "all.zip", {f"ada/{NAME}": sheet("ada")})
    collect.collect(course, path)
    before = sorted((p, p.stat().st_mtime_ns) for p in course.rglob("*"))
    done = collect.collect(course, path)
    assert (done.new, done.known) == ({}, 1)
    assert sorted((p, p.stat().st_mtime_ns) for p in course.rglob("*")) == before


def test_what_was_put_into_submitted_by_hand_is_kept(course):
    hand = course / "submitted/ada/01_small"
    hand.mkdir(parents=True)
    (hand / NAME).write_bytes(sheet("by hand"))
    collect.collect(course, archive(course / "a.zip", {f"ada/{NAME}": sheet("zip")}))
    assert marks(course) == {"ada": "zip"}
    kept = course / "collected/put_aside/ada/01_small-1" / NAME
    assert kept.read_bytes() == sheet("by hand")
    assert set(collect.received(course, "01_small")) == {"ada"}


def test_what_comes_after_the_due_time_is_late(course):
    files = {f"ada/{NAME}": (sheet("a"), OLD), f"bob/{NAME}": (sheet("b"), NEW)}
    due = datetime(2026, 11, 1, 18, 0).astimezone()
    collect.collect(course, archive(course / "all.zip", files), due=due)
    got = collect.received(course, "01_small")
    assert (got["ada"].late, got["bob"].late) == (False, True)


def test_two_sheets_of_one_student_are_two_submissions(course):
    other = course / "chapters/02_other/other_exercises.ipynb"
    text = (course / "chapters/01_small" / NAME).read_text()
    other.parent.mkdir()
    other.write_text(text.replace('"grade_id": "', '"grade_id": "other_'))
    files = {f"ada/{NAME}": sheet("ada"), "ada/second.ipynb": other.read_bytes()}
    collect.collect(course, archive(course / "all.zip", files))
    assert [p.name for p in sorted((course / "submitted/ada").glob("*/*.ipynb"))] == [
        NAME,
        "second.ipynb",
    ]


def test_a_zip_that_a_student_handed_in_is_opened(course):
    work = archive(course / "work.zip", {f"my work/{NAME}": sheet("zipped")})
    files = {"ada_1_2_work.zip": work.read_bytes()}
    collect.collect(course, archive(course / "all.zip", files))
    assert marks(course) == {"ada_1": "zipped"}


# ---- whose it is --------------------------------------------------------------------


def notes(root):
    return {s: one.notes() for s, one in collect.received(root, "01_small").items()}


def test_canvas_names_with_underscores_groups_and_codes(course):
    files = {
        f"van_der_berg_LATE_11_901_{NAME}": sheet("berg"),
        f"group_7b_12_902_{NAME}": sheet("group"),
        f"_13_903_{NAME}": sheet("no letters"),
        f"李小龍_14_904_{NAME}": sheet("lee"),
        "ada_15_905_01_my work.ipynb": sheet("ada"),
        f"LATE_anon_x7Kp2_906_{NAME}": sheet("late"),
        f"anon_B3q9z_907_{NAME}": sheet("code"),
        "anon_B3q9z_908_data.csv": b"1,2",
        "bob_16_text.html": b"<p>see my mail</p>",
    }
    path = archive(course / "all.zip", files)
    assert collect.collect(course, path, assignment="01_small").refused == []
    assert marks(course) == {
        "van_der_berg_11": "berg",
        "group_7b_12": "group",
        "13": "no letters",
        "李小龍_14": "lee",
        "ada_15": "ada",
        "anon_x7Kp2": "late",
        "anon_B3q9z": "code",
    }
    assert (course / "submitted/anon_B3q9z/01_small/data.csv").exists()
    assert (course / "submitted/bob_16/01_small/text.html").exists()
    late = [s for s, one in collect.received(course, "01_small").items() if one.late]
    assert late == ["anon_x7Kp2", "van_der_berg_11"]


def test_a_name_of_canvas_that_can_mean_two_people_is_refused(course):
    """Somebody who calls herself `ada_4711` is not given Ada's folder."""
    files = {
        f"ada_4711_1_{NAME}": sheet("ada"),
        "ada_4711_5000_99_work.ipynb": sheet("eve"),
        f"bob_12_2_{NAME}": sheet("bob"),
    }
    done = collect.collect(course, archive(course / "all.zip", files))
    assert marks(course) == {"ada_4711": "ada", "bob_12": "bob"}
    assert "the person may be 4711 or 5000 in Canvas" in done.refused[0]


def test_moodle_numbers_decide_over_exports(course):
    def export(name, files):
        return collect.collect(course, archive(course / name, files))

    def place(name, number):
        return f"{name}_{number}_assignsubmission_file_/{NAME}"

    export("a.zip", {place("Ann Lee", 23): sheet("one Ann")})
    export("b.zip", {place("Ann Lee", 24): sheet("another Ann")})
    export("c.zip", {place("Ann Smith", 23): (sheet("one Ann, married"), NEW)})
    export("d.zip", {place("🙂", 31): sheet("smile")})
    export("e.zip", {place("Participant", 41): sheet("blind")})
    group = f"Default group_assignsubmission_file_/{NAME}"
    export("f.zip", {group: sheet("group")})
    assert marks(course) == {
        "Ann_Lee_23": "one Ann, married",
        "Ann_Lee_24": "another Ann",
        "31": "smile",
        "Participant_41": "blind",
        "Default_group": "group",
    }
    assert notes(course)["Ann_Lee_24"] == []


def test_blackboard(course):
    files = {
        "HW1_ada1_attempt_2026-11-19-10-00-00_work.ipynb": sheet("old"),
        "HW1_ada1_attempt_2026-11-20-10-00-00_work.ipynb": sheet("new"),
        "HW1_ada1_attempt_2026-11-20-10-00-00.txt": b"Name: Ada Lovelace (ada1)\n",
        f"01_small_bob_2_attempt_2026-11-19-10-00-00_{NAME}": sheet("bob"),
        f"HW_1_c_3_attempt_2026-11-19-10-00-00_{NAME}": sheet("c_3"),
        "HW_1_c_3_attempt_2026-11-19-10-00-00.txt": b"Name: Cleo (c_3)\n",
        f"HW_1_d_4_attempt_2026-11-19-10-00-00_{NAME}": sheet("unclear"),
    }
    due = datetime(2026, 11, 19, 18).astimezone()
    done = collect.collect(course, archive(course / "all.zip", files), due=due)
    assert marks(course) == {
        "Ada_Lovelace_ada1": "new",
        "bob_2": "bob",
        "Cleo_c_3": "c_3",
    }
    assert len(done.refused) == 1 and "is not clear" in done.refused[0]
    got = collect.received(course, "01_small")["Ada_Lovelace_ada1"]
    assert (got.late, got.count, got.lms_id) == (True, 2, "ada1")
    local = datetime(2026, 11, 20, 10).astimezone(UTC)
    assert datetime.fromisoformat(got.time) == local


def test_brightspace(course):
    files = {
        "index.html": b"<html>",
        f"39786-640693 - Ada Lovelace - Oct 10, 2026 1022 AM/{NAME}": sheet("old"),
        f"39786-640693 - Ada Lovelace - Oct 12, 2026 102 PM/{NAME}": sheet("new"),
        f"40001-640693 - Ada Lovelace - Oct 11, 2026 1200 AM/{NAME}": sheet("other"),
        f"50-640693 - Eve - Oct 11, 2026 1200 AM/{NAME}": sheet("one"),
        f"50-640693 - Mallory - Oct 11, 2026 1200 AM/{NAME}": sheet("two"),
    }
    done = collect.collect(course, archive(course / "all.zip", files))
    assert marks(course) == {"Ada_Lovelace_39786": "new", "Ada_Lovelace_40001": "other"}
    assert len(done.refused) == 2 and "given to two names" in done.refused[0]
    stamp = course / "submitted/Ada_Lovelace_39786/01_small/timestamp.txt"
    when = datetime(2026, 10, 12, 13, 2).astimezone(UTC)
    assert stamp.read_text() == when.strftime("%Y-%m-%d %H:%M:%S UTC")


GRADESCOPE = """\
submission_7:
  :submitters:
  - :name: Ada Lovelace
    :sid: '11'
    :email: ada@uni.example
  - :name: Bob
    :sid: '12'
    :email:
  :created_at: 2026-11-19 10:00:00.500000000 Z
submission_8:
  :submitters: []
"""


def test_gradescope(course):
    files = {
        "assignment_1_export/submission_metadata.yml": GRADESCOPE.encode(),
        f"assignment_1_export/submission_7/{NAME}": sheet("pair"),
        f"assignment_1_export/submission_8/{NAME}": sheet("nobody's"),
    }
    done = collect.collect(course, archive(course / "all.zip", files))
    people = {"Ada_Lovelace_ada_uni.example": "pair", "Bob_12": "pair"}
    assert marks(course) == people
    assert "does not say whose it is" in done.refused[0]
    got = collect.received(course, "01_small")["Bob_12"]
    assert got.time.startswith("2026-11-19T10:00:00")


@pytest.mark.parametrize("loose", ["roster.csv", "index.html", "read me.txt"])
def test_a_loose_file_beside_the_folders_makes_nobody_of_the_class(course, loose):
    files = {
        f"week1/{loose}": b"x",
        f"week1/ada/{NAME}": sheet("ada"),
        f"week1/bob/{NAME}": sheet("bob"),
    }
    done = collect.collect(course, archive(course / "all.zip", files))
    assert marks(course) == {"ada": "ada", "bob": "bob"}
    assert len(done.refused) == 1 and "in nobody's folder" in done.refused[0]


def test_what_may_be_a_person_or_the_class_is_refused(course, capsys):
    files = {"w/a.csv": b"x", f"w/ada/{NAME}": sheet("ada")}
    archive(course / "all.zip", files)
    assert main(["collect", "all.zip"]) == 2
    assert "all is in one folder, 'w': if it is a person's" in capsys.readouterr().err
    assert marks(course) == {}


def test_times_that_an_lms_does_not_say_are_not_judged(course, capsys):
    files = {f"ada_1_2_{NAME}": (sheet("a"), NEW), f"bob_LATE_3_4_{NAME}": sheet("b")}
    archive(course / "all.zip", files)
    assert main(["collect", "all.zip", "--due", "2026-11-01 18:00"]) == 0
    said = capsys.readouterr().out
    assert "--due says nothing of 2 students: Canvas's export does not say" in said
    got = collect.received(course, "01_small")
    assert (got["ada_1"].late, got["bob_3"].late) == (False, True)
    assert not list(course.glob("submitted/*/*/timestamp.txt"))


class Old(zipfile.ZipInfo):
    """A file of a zip that does not say how its names are written."""

    encoding = "gbk"

    def _encodeFilenameFlags(self):
        return self.filename.encode(self.encoding), self.flag_bits


@pytest.mark.parametrize(
    "encoding, names",
    [
        ("gbk", ["李小龙", "王芳"]),
        ("utf-8", ["李小龙", "Müller", "नमस्ते"]),
        ("cp437", ["Müller", "José Peña"]),
    ],
)
def test_names_in_old_zips_stay_readable(course, encoding, names):
    with zipfile.ZipFile(course / "all.zip", "w") as target:
        for number, name in enumerate(names):
            info = Old(f"{name}_{number}_assignsubmission_file_/{NAME}", OLD)
            info.encoding = encoding
            target.writestr(info, sheet(str(number)))
    assert collect.collect(course, course / "all.zip").refused == []
    wanted = {f"{n.replace(' ', '_')}_{i}": str(i) for i, n in enumerate(names)}
    assert marks(course) == wanted


# ---- one person, one id -------------------------------------------------------------

PEOPLE = ["Ann Lee", "Ann Lee", "Ann_Lee", "李小龙", "🙂", "=1+1", "<b>Bo", "a.b"]


def exported(layout, who, attempt, data=None):
    """{name in the zip: (bytes, date)} of a person's attempt.

    data: of the sheet; if None, one whose mark says whose it is.
    """
    name, number, mark = PEOPLE[who], 100 + who, f"{who}-{attempt}"
    day = f"2026-11-{attempt + 1:02}"
    date = (2026, 11, attempt + 1, 12, 0, 0)
    word = "".join(c for c in name.lower() if c.isalnum() or c == "_")
    paths = {
        "canvas": f"{word}_{number}_{1000 * attempt + who}_{NAME}",
        "moodle": f"{name.replace('_', ' ')}_{number}_assignsubmission_file_/{NAME}",
        "blackboard": f"HW_{'u' + str(number)}_attempt_{day}-12-00-00_{NAME}",
        "brightspace": f"{number}-9 - {name} - Nov {attempt + 1}, 2026 1200 PM/{NAME}",
        "gradescope": f"x/submission_{1000 * attempt + who}/{NAME}",
        "folder": f"person {number}/{NAME}",
        "flat": f"person{number}_{NAME}",
    }
    files = {paths[layout]: (data or sheet(mark), date)}
    if layout == "gradescope":
        said = {":name": name, ":email": f"u{number}@x.example"}
        time = datetime(*date, tzinfo=UTC)
        one = {":submitters": [said], ":created_at": time}
        files["x/submission_metadata.yml"] = {f"submission_{1000 * attempt + who}": one}
    return files


def export(path, layout, attempts):
    """Write an export of [(person, attempt, data or not)]; returns its path."""
    files, listed = {}, {}
    for attempt in attempts:
        own = exported(layout, *attempt)
        listed |= own.pop("x/submission_metadata.yml", {})
        files |= own
    if listed:
        files["x/submission_metadata.yml"] = yaml.safe_dump(listed).encode()
    return archive(path, files)


LAYOUTS = "canvas moodle blackboard brightspace gradescope folder flat".split()
attempted = st.dictionaries(st.integers(0, 7), st.integers(0, 3), min_size=2)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_person_has_the_newest_attempt_and_nothing_else(layout, tmp_path):
    folder = tmp_path
    template = small_course.make(tmp_path / "0")

    @settings(max_examples=6, deadline=None, derandomize=True, database=None)
    @given(st.lists(attempted, min_size=1, max_size=3))
    def check(exports):
        root = folder / str(len(list(folder.iterdir())))
        shutil.copytree(template, root)
        newest, folders = {}, {}
        for number, people in enumerate(exports):
            path = export(root / f"{number}.zip", layout, people.items())
            assert collect.collect(root, path).refused == []
            for who, attempt in people.items():
                newest[who] = max(attempt, newest.get(who, 0))
            got = marks(root)
            assert sorted(got.values()) == sorted(f"{w}-{a}" for w, a in newest.items())
            for student, mark in got.items():  # and everybody keeps the folder
                assert folders.setdefault(mark.split("-")[0], student) == student

    check()


def test_the_instructors_walk_with_the_exports_of_five_systems(course, capsys):
    """collect, run and grades: everybody's points, under the system's own number."""
    part = {"double": small_course.RIGHT["double"], "axis": "axis = 7"}
    half = nbformat.writes(small_course.sheet(part)).encode()
    for layout in LAYOUTS[:5]:
        for attempts in ([(0, 1, half), (3, 1, half)], [(0, 2), (3, 1, half)]):
            path = export(course / f"{layout}.zip", layout, attempts)
            assert main(["collect", str(path)]) == 0
    assert main(["run", "01_small"]) == 0
    assert "10 submissions, 6 points" in capsys.readouterr().out
    for format in ("canvas", "moodle", "plain"):
        assert main(["grades", "01_small", "--csv", "out.csv", "--for", format]) == 0
        text = (course / "out.csv").read_text(encoding="utf-8-sig")
        if format == "canvas":
            assert {row[1]: row[5] for row in rows(text)[2:]} == {
                "100": "6",
                "103": "2",
            }
        elif format == "moodle":
            assert imported_by_moodle(text) == {"100": "6", "103": "2"}
        else:
            assert sorted(row[3] for row in rows(text)[1:]) == ["2"] * 5 + ["6"] * 5


# ---- one student's oddity -----------------------------------------------------------


def test_a_file_and_a_folder_of_one_name_are_both_kept(course):
    files = {"a": b"1", "a/b": b"2", NAME: sheet("ada"), "x?": b"3", "x*": b"4"}
    work = archive(course / "work.zip", files).read_bytes()
    path = archive(course / "all.zip", {"ada_1_2_work.zip": work})
    assert collect.collect(course, path).refused == []
    folder = course / "submitted/ada_1/01_small"
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.*"))
    assert marks(course) == {"ada_1": "ada"}
    kept = sorted(p.read_bytes() for p in folder.rglob("*") if p.is_file())
    assert kept[:4] == [b"1", b"2", b"3", b"4"], names


def test_nothing_is_kept_outside_a_persons_folder(course):
    files = {
        "Eve_1_assignsubmission_file_../evil.ipynb": sheet("evil"),
        "Eve_1_assignsubmission_file_..": sheet("evil"),
        "Bob_2_assignsubmission_file_a..b.ipynb": sheet("bob"),
    }
    collect.collect(course, archive(course / "all.zip", files))
    for path in course.rglob("*"):
        if path.is_file() and b"# evil" in path.read_bytes() and path.suffix != ".zip":
            assert "Eve_1" in path.relative_to(course).parts


def test_a_zip_of_many_bombs_costs_little(course):
    """A few KB that would unpack to 60 MiB, in files that are small enough alone."""
    many = {f"{n}.ipynb": bytes(1 << 20) for n in range(60)}
    bomb = archive(course / "b.zip", many).read_bytes()
    files = {"eve_1_2_b.zip": bomb, f"ada_3_4_{NAME}": sheet("ada")}
    path = archive(course / "all.zip", files)
    tracemalloc.start()
    done = collect.collect(course, path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert marks(course) == {"ada_3": "ada"} and peak < 20 << 20
    kept = sum(p.stat().st_size for p in course.rglob("collected/**/*") if p.is_file())
    assert kept < 2 << 20 and any("eve_1" in why for why in done.refused)


# ---- hostile archives ---------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "../../evil.ipynb",
        "/etc/evil.ipynb",
        "ada/../../../evil.ipynb",
        "..\\..\\evil.ipynb",
        "C:\\evil.ipynb",
    ],
)
def test_a_name_that_leads_out_is_left_out(course, name):
    files = {name: sheet("evil"), f"ada/{NAME}": sheet("ada")}
    done = collect.collect(course, archive(course / "all.zip", files))
    assert len(done.refused) == 1 and "leads out of the archive" in done.refused[0]
    assert marks(course) == {"ada": "ada"}
    assert not [p for p in course.parent.rglob("*evil*")]


def test_a_link_in_an_archive_is_left_out(course):
    path = archive(course / "all.zip", {f"ada/{NAME}": sheet("ada")})
    info = zipfile.ZipInfo(f"eve/{NAME}", OLD)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as target:
        target.writestr(info, "../ada/" + NAME)
    done = collect.collect(course, path)
    assert "it is a symbolic link" in done.refused[0]
    assert marks(course) == {"ada": "ada"}


def test_a_link_in_a_folder_is_left_out(course):
    inbox = course / "inbox"
    (inbox / "ada").mkdir(parents=True)
    (inbox / "ada" / NAME).write_bytes(sheet("ada"))
    (inbox / "eve").symlink_to(inbox / "ada")
    (inbox / "bob.ipynb").symlink_to(inbox / "ada" / NAME)
    done = collect.collect(course, inbox)
    assert sorted(why.split(" was")[0] for why in done.refused) == [
        "'bob.ipynb'",
        "'eve'",
    ]
    assert marks(course) == {"ada": "ada"}


def test_a_zip_bomb_is_left_out(course, monkeypatch):
    bomb = bytes(20 << 20)
    files = {"eve/bomb.ipynb": bomb, f"ada/{NAME}": sheet("ada")}
    path = archive(course / "all.zip", files)
    done = collect.collect(course, path)
    assert "a zip bomb?" in done.refused[0] and marks(course) == {"ada": "ada"}
    monkeypatch.setattr(archives, "MAX_TOTAL", 1 << 10)
    with pytest.raises(archives.Refused, match="a zip bomb"):
        collect.collect(course, path)


def test_a_bomb_within_a_zip_costs_one_student_alone(course):
    bomb = archive(course / "b.zip", {NAME: bytes(20 << 20)}).read_bytes()
    files = {"eve_1_2_work.zip": bomb, f"ada_3_4_{NAME}": sheet("ada")}
    done = collect.collect(course, archive(course / "all.zip", files))
    assert "eve_1: " in done.refused[0] and marks(course) == {"ada_3": "ada"}


def test_a_size_that_lies_costs_one_file_alone(course):
    files = {f"eve/{NAME}": b"x" * 5000, f"ada/{NAME}": sheet("ada")}
    data = bytearray(archive(course / "all.zip", files).read_bytes())
    at = data.rindex(b"PK\x01\x02", 0, data.rindex(b"PK\x01\x02"))  # eve's entry
    data[at + 24 : at + 28] = (10).to_bytes(4, "little")
    (course / "all.zip").write_bytes(data)
    done = collect.collect(course, course / "all.zip")
    assert "it is damaged" in done.refused[0] and marks(course) == {"ada": "ada"}


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"not a zip"])
def test_what_is_no_zip_is_refused(course, data, capsys):
    (course / "all.zip").write_bytes(data)
    assert main(["collect", "all.zip"]) == 2
    assert "is not a zip file that can be read" in capsys.readouterr().err


def test_too_many_files_are_refused(course, monkeypatch):
    monkeypatch.setattr(archives, "MAX_ENTRIES", 3)
    files = {f"s{i}/{NAME}": b"x" for i in range(4)}
    with pytest.raises(archives.Refused, match="4 files: over 3 are too many"):
        collect.collect(course, archive(course / "all.zip", files))


def test_odd_names_become_folders(course):
    files = {f"{'n' * 200}\x07/{'x' * 200}.ipynb": sheet("long")}
    assert collect.collect(course, archive(course / "all.zip", files)).refused == []
    assert marks(course) == {"n" * 80: "long"}
    assert layouts.student_id("../Ann, Lee;=1") == "Ann_Lee_1"
    assert layouts.student_id("...") == ""


# ---- the LMS's import ---------------------------------------------------------------


def grade(student, points, assignment="01_small", **got):
    received = collect.Received(student, **got) if got else None
    return grades.Grade(student, assignment, points, 6.0, False, received)


def rows(text):
    return list(csv.reader(io.StringIO(text)))


def test_canvas_import():
    found = [
        grade("ada_1", 6, name="lovelaceada", lms="canvas", lms_id="1"),
        grade("bob_2", 2.5, name="hopper, bob", lms="canvas", lms_id="2"),
        grade("bob_2", 4, "02_other", name="hopper, bob", lms="canvas", lms_id="2"),
        grade("by_hand", 1),
    ]
    text, left_out = grades.as_csv(found, "canvas")
    fixed = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
    assert rows(text) == [
        [*fixed, "01_small", "02_other"],
        ["    Points Possible", "", "", "", "", "6", "6"],
        ["lovelaceada", "1", "", "", "", "6", ""],
        ["hopper, bob", "2", "", "", "", "2.5", "4"],
    ]
    assert left_out == ["by_hand"]
    one, _ = grades.as_csv(found[:2], "canvas", column="Small (12)")
    assert rows(one)[0][5:] == ["Small (12)"]


def imported_by_moodle(text):
    """{number: grade} by the rules of mod/assign/feedback/offline."""
    head, *rest = rows(text)
    places = [head.index(t) for t in ("Identifier", "Grade", "Last modified (grade)")]
    found = [[row[place] for place in places] for row in rest]
    for _, _, changed in found:  # PHP's strtotime reads it; what is older is replaced
        when = datetime.strptime(changed, "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC)
        assert abs(datetime.now(UTC) - when) < timedelta(minutes=5)
    return {who[len("Participant ") :]: points for who, points, _ in found}


@pytest.mark.parametrize("format", grades.FORMATS)
def test_no_name_is_a_formula(format):
    evil = ["=1+1", "+1", "-1+2", "@SUM(A1)", "\t=1", "\r=1", "a;=1+1", " =1", "＝1"]
    for name in evil:
        lms = format if format != "plain" else ""
        text, _ = grades.as_csv(
            [grade("=2+2", 6, name=name, lms=lms, lms_id="7")], format
        )
        for cell in rows(text)[-1]:
            assert not cell.lstrip().startswith(tuple("=+-@＝＋－＠")), cell
            assert not re.search(r"[;\t\r\n][=+@-]", cell)
        if format == "canvas":
            assert rows(text)[-1][1] == "7"
        if format == "moodle":
            assert imported_by_moodle(text) == {"7": "6"}


def test_moodle_import():
    found = [grade("Ann", 6, name="Ann Lee", lms="moodle", lms_id="23")]
    text, left_out = grades.as_csv(found, "moodle")
    assert imported_by_moodle(text) == {"23": "6"}
    assert rows(text)[1][1:4] == ["Ann Lee", "6", "6"]
    both = [*found, grade("Ann", 6, "02_other", lms="moodle", lms_id="9")]
    with pytest.raises(grades.GradesError, match="one assignment: name it"):
        grades.as_csv(both, "moodle")
    with pytest.raises(grades.GradesError, match="came from an export of Canvas"):
        grades.as_csv(found, "canvas")


def test_plain_csv():
    late = grade("ada", 5, name="Ada", time="2026-11-01T12:00:00+00:00", late=True)
    text, _ = grades.as_csv([late], "plain")
    assert rows(text)[1] == [
        "ada",
        "Ada",
        "01_small",
        "5",
        "6",
        "2026-11-01T12:00:00+00:00",
        "yes",
        "1",
        "",
    ]


def test_no_grades_are_said(course, capsys):
    assert main(["grades"]) == 2
    assert "nothing is graded yet" in capsys.readouterr().err
    assert main(["grades", "07_none"]) == 2
    assert "'07_none' was never graded" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run", "doctor", "release", "collect", "grades"])
def test_help_teaches(command, capsys):
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    text = capsys.readouterr().out
    assert left.value.code == 0 and len(text.splitlines()) > 6
    assert max(map(len, text.splitlines())) <= 100
