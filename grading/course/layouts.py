"""Whose is it? How each system names what it exports, by that system's own rules.

The system's number decides who somebody is: names change, and two may share one. What
fits none of the rules, or more than one of them, is refused with a sentence.
"""

import re
import unicodedata
from dataclasses import dataclass, field
from datetime import UTC, datetime

from dot2gpt import handed_in
from grading.course.archives import Entry, Refused

NOTEBOOK = (*handed_in.NOTEBOOK, *handed_in.SCRIPT, ".ipynb.txt", ".ipynb.json")
UNTIMED = ("canvas", "moodle")  # their files bear the time of the download
AGAIN = re.compile(r"(?:[-_ ]?\((\d+)\)|-(\d+))$")  # sheet-2.ipynb, sheet (1).ipynb
MAX_TEXT = 20 << 20  # bytes of a file that a system adds
_MOODLE = re.compile(
    r"(?P<name>.*?)(?:_(?P<id>\d+))?_assignsubmission_[a-z]+(?:_(?P<file>.*))?$", re.S
)
_BLACKBOARD = re.compile(
    r"(?P<head>.+?)_attempt_(?P<time>\d{4}(?:-\d\d){5})(?:_(?P<file>.+)|\.txt)$", re.S
)
_BRIGHTSPACE = re.compile(
    r"(?P<id>\d+)-\d+ - (?P<name>.+?) - (?P<day>[A-Z][a-z]{2} \d{1,2}, \d{4}) "
    r"(?P<hour>\d{1,2})(?P<minute>\d\d) (?P<half>[AP]M)(?: - (?P<file>.+))?$",
    re.S,
)
_SAID = ("email", "sid", "name")  # of a person in Gradescope's list
_ANONYMOUS = re.compile(
    r"(?P<late>LATE_)?anon_(?P<id>[A-Za-z0-9]+)_(?:(?P<number>\d+)_)?(?P<file>.+)$",
    re.S,
)


@dataclass
class Owned:
    """One file of an export, and whose it is.

    number: the system's, which grows with every upload; 0 if it has none.
    """

    entry: Entry
    file: str  # its name, less what the system put before it
    name: str  # the person's, as the system gives it
    lms: str = ""
    id: str = ""
    time: str = ""  # ISO, UTC: when it was handed in, if the system says so
    late: bool = False
    number: int = 0
    place: str = ""  # the assignment that the path names


@dataclass
class Export:
    """The files of an export on their way to their owners."""

    entries: list[Entry]
    sheets: dict
    refused: list[str]
    owned: list[Owned] = field(default_factory=list)

    def refuse(self, entry, why):
        self.refused.append(
            f"{handed_in.shown('/'.join(entry.parts))} was left out: {why}"
        )


def owners(entries, sheets, refused):
    """[Owned] of all files of an export; what has no owner is said in `refused`.

    sheets: {assignment: path of its sheet}. Raises Refused if nothing can be told.
    """
    systems = {
        "Moodle": (_is_moodle, _moodle),
        "Blackboard": (_is_blackboard, _blackboard),
        "Brightspace": (_is_brightspace, _brightspace),
        "Gradescope": (_is_gradescope, _gradescope),
        "Canvas": (_is_canvas, _canvas),
    }
    for inside in (entries, _less_top(entries)):
        votes = {name: sum(map(fits, inside)) for name, (fits, _) in systems.items()}
        best = max(votes, key=votes.get)
        if votes[best] and 2 * votes[best] >= len(inside):
            fits, sort = systems[best]
            export = Export([one for one in inside if fits(one)], sheets, refused)
            for entry in inside:
                if not fits(entry) and not _is_index(entry):
                    export.refuse(entry, f"{best} gives no file such a name")
            sort(export)
            return export.owned
    export = Export(entries, sheets, refused)
    odd = [one for one in entries if any(fits(one) for fits, _ in systems.values())]
    export.entries = [one for one in entries if one not in odd]
    for entry in odd:
        export.refuse(entry, "an LMS gives such names, but the others have none")
    _plain(export)
    return export.owned


def _less_top(entries):
    """The entries less a folder that holds all of them; [] if there is none."""
    if len({entry.parts[0] for entry in entries}) != 1:
        return []
    if not all(len(entry.parts) > 1 for entry in entries):
        return []
    return [Entry(e.parts[1:], e.time, e.open) for e in entries]


def _is_index(entry):
    return entry.parts[-1].lower() in ("index.html", "submission_metadata.yml")


def _below(entry, first):
    """A file's name: what the system left of its first part, then the rest."""
    return "/".join(part for part in (first, *entry.parts[1:]) if part)


# ---- the systems --------------------------------------------------------------------


def _is_canvas(entry):
    return len(entry.parts) == 1 and bool(_canvas_readings(entry.parts[0]))


def _canvas_readings(file):
    """What a name of Canvas can mean: (name, late, id, number, file).

    It is `[name][_LATE]_person_upload_file`, or `[LATE_]anon_code_upload_file`. Between
    underscores a name has no number, except as its last word; then two fit.
    """
    if match := _ANONYMOUS.match(file):
        late, code, number, rest = match.groups()
        return [("", bool(late), f"anon_{code}", int(number or 0), rest)]
    words = file.split("_")
    if len(words) > 2 and words[-1] in ("text.html", "link.html"):
        words.insert(-1, "0")  # what was written into Canvas is no upload
    found = []
    for place in range(1, len(words) - 2):
        person, number = words[place : place + 2]
        if not (person.isdecimal() and number.isdecimal()):
            continue
        late = words[place - 1] == "LATE"
        name, rest = words[: place - late], "_".join(words[place + 2 :])
        if any(word.isdecimal() for word in name[1:-1]):
            break
        if number == "0" or not number.startswith("0"):
            found.append(("_".join(name), late, person, int(number), rest))
    return found


def _canvas(export):
    for entry in export.entries:
        found = _canvas_readings(entry.parts[0])
        if len(found) > 1:
            export.refuse(
                entry,
                f"the person may be {' or '.join(one[2] for one in found)} in Canvas: "
                "no number may end a name or begin a file's; rename it",
            )
            continue
        name, late, person, number, file = found[0]
        export.owned.append(
            Owned(entry, file, name, "canvas", person, "", late, number)
        )


def _is_moodle(entry):
    return bool(_MOODLE.match(entry.parts[0]))


def _moodle(export):
    """Numbers are a person's in one assignment; a group without one has none."""
    for entry in export.entries:
        match = _MOODLE.match(entry.parts[0])
        file = _below(entry, match["file"] or "")
        person = Owned(entry, file or entry.parts[0], match["name"], "moodle")
        person.id = match["id"] or ""
        export.owned.append(person)


def _is_brightspace(entry):
    return bool(_BRIGHTSPACE.match(entry.parts[0]))


def _brightspace(export):
    names = {}
    for entry in export.entries:
        match = _BRIGHTSPACE.match(entry.parts[0])
        names.setdefault(match["id"], set()).add(match["name"])
    for entry in export.entries:
        match = _BRIGHTSPACE.match(entry.parts[0])
        if len(names[match["id"]]) > 1:
            export.refuse(entry, f"the number {match['id']} is given to two names")
            continue
        clock = f"{match['day']} {int(match['hour']):02}{match['minute']} "
        time = _local(clock + match["half"], "%b %d, %Y %I%M %p")
        file = _below(entry, match["file"] or "")
        export.owned.append(
            Owned(entry, file, match["name"], "brightspace", match["id"], time)
        )


def _is_blackboard(entry):
    return len(entry.parts) == 1 and bool(_BLACKBOARD.match(entry.parts[0]))


def _blackboard(export):
    """`assignment_person_attempt_time_file`; a text beside it names the person."""
    people, notes = {}, []
    for entry in export.entries:
        match = _BLACKBOARD.match(entry.parts[0])
        if match["file"]:
            continue
        notes.append(entry)
        text = b"".join(entry.pieces(MAX_TEXT)).decode("utf-8", "replace")
        said = re.search(r"^\s*[^\n:]+: ?(.*?) ?\(([^()\n]+)\)\s*$", text, re.M)
        if said and match["head"].endswith(f"_{said[2]}"):
            people[match["head"]] = said[2], said[1]
    for entry in export.entries:
        match = _BLACKBOARD.match(entry.parts[0])
        head = match["head"]
        found = people.get(head) or _blackboard_person(head, export.sheets)
        if entry in notes:
            continue
        if not found:
            export.refuse(
                entry, "where the assignment ends and the person begins is not clear"
            )
            continue
        time = _local(match["time"], "%Y-%m-%d-%H-%M-%S")
        export.owned.append(
            Owned(entry, match["file"], found[1], "blackboard", found[0], time)
        )


def _blackboard_person(head, sheets):
    for title in (*sheets, *(sheet.stem for sheet in sheets.values())):
        if head.startswith(f"{title}_"):
            return head[len(title) + 1 :], ""
    title, _, person = head.partition("_")
    return (person, "") if person and "_" not in person else None


def _local(text, form):
    """A time of the system's clock, as UTC; "" if it is none."""
    try:
        return datetime.strptime(text, form).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        return ""


def _is_gradescope(entry):
    folder = re.fullmatch(r"submission_\d+", entry.parts[0]) and len(entry.parts) > 1
    return bool(folder) or entry.parts == ("submission_metadata.yml",)


def _gradescope(export):
    """Folders have the numbers of submissions; a list says who handed each in."""
    people = _gradescope_people(export)
    for entry in export.entries:
        if len(entry.parts) == 1:
            continue
        found = people.get(entry.parts[0], [])
        for person, name, time in found:
            export.owned.append(
                Owned(entry, _below(entry, ""), name, "gradescope", person, time)
            )
        if not found:
            export.refuse(entry, "submission_metadata.yml does not say whose it is")


def _gradescope_people(export):
    """{folder: [(address or number, name, time)]} of submission_metadata.yml."""
    import yaml

    found = {}
    for entry in export.entries:
        if len(entry.parts) > 1:
            continue
        try:
            listed = yaml.load(b"".join(entry.pieces(MAX_TEXT)), yaml.CSafeLoader)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise Refused(f"submission_metadata.yml cannot be read: {error}") from None
        for folder, one in listed.items() if isinstance(listed, dict) else ():
            time = one.get(":created_at") if isinstance(one, dict) else None
            if isinstance(time, datetime):  # without a zone it is UTC
                time = time if time.tzinfo else time.replace(tzinfo=UTC)
                time = time.astimezone(UTC).isoformat()
            for person in one.get(":submitters") or () if isinstance(one, dict) else ():
                email, sid, name = (str(person.get(f":{k}") or "") for k in _SAID)
                if email or sid:
                    key = email or sid, name, time if isinstance(time, str) else ""
                    found.setdefault(folder, []).append(key)
    return found


# ---- folders and files without a system ---------------------------------------------


def _plain(export):
    """A folder or a file for each person; their times are those of the files."""
    for entry in _unwrapped(export):
        first, *rest = entry.parts
        place = first if first in export.sheets else ""
        if place and rest:
            first, *rest = rest
        if rest:
            name = first
            if not place and rest[0] in export.sheets and len(rest) > 1:
                place, rest = rest[0], rest[1:]
            file = "/".join(rest)
        else:
            name, file = _owner_in_stem(first, export.sheets), first
            if not first.lower().endswith((*NOTEBOOK, ".zip")):
                export.refuse(entry, "it is no notebook, and in nobody's folder")
                continue
        if not student_id(name):
            export.refuse(
                entry,
                "nothing says whose it is; put it into a folder with the student's "
                "name",
            )
            continue
        time = entry.time.isoformat(timespec="seconds") if entry.time else ""
        export.owned.append(Owned(entry, file, name, time=time, place=place))


def _unwrapped(export):
    """The entries less a folder around them all; Refused where that is not clear."""
    inside = _less_top(export.entries)
    top = export.entries[0].parts[0] if inside else ""
    if not inside or top in export.sheets:
        return export.entries
    direct = [e for e in inside if len(e.parts) == 1]
    notebooks = [e.parts[0] for e in direct if e.parts[0].lower().endswith(NOTEBOOK)]
    folders = {
        e.parts[0]
        for e in inside
        if len(e.parts) > 1 and e.parts[-1].lower().endswith((*NOTEBOOK, ".zip"))
    }
    named = {_owner_in_stem(name, export.sheets) for name in notebooks}
    if folders & set(export.sheets):  # ada/06_multi_head/sheet.ipynb
        return export.entries
    if not notebooks and folders and (len(folders) > 1 or not direct):
        return inside
    if not folders and (len(named) < 2 or "" in named):  # a sheet's own name
        return export.entries
    raise Refused(
        f"all is in one folder, {handed_in.shown(top)}: if it is a person's, put it "
        "into another folder; if it holds the class's work, give only the folders in it"
    )


def _owner_in_stem(file, sheets):
    """The student in `ada_multi_head_exercises.ipynb`; "" if there is none."""
    stem = file
    for ending in sorted((*NOTEBOOK, ".zip"), key=len, reverse=True):
        if stem.lower().endswith(ending):
            stem = stem[: -len(ending)]
            break
    stem = AGAIN.sub("", stem)
    words = {w for a in sheets for w in (a, sheets[a].stem, a.partition("_")[2])}
    for word in sorted(words, key=len, reverse=True):
        stem = re.sub(rf"(?:^|[-_ ]+){re.escape(word)}(?=$|[-_ ])", "", stem)
    return stem.strip("-_ ")


# ---- names --------------------------------------------------------------------------


def student_id(name, most=80):
    """A name as a folder's name: letters of any script, digits and `-_.`.

    At most `most` bytes; "" if nothing is left.
    """
    plain = unicodedata.normalize("NFC", name)
    kept = "".join(
        c if unicodedata.category(c)[0] in "LMN" or c in "-_." else "_" for c in plain
    )
    short = re.sub(r"_{2,}", "_", kept).strip("-._").encode()[:most]
    return short.decode("utf-8", "ignore").strip("-._")


def unnumbered(name):
    """`sheet.ipynb` for `sheet-1.ipynb`: the number is the LMS's."""
    stem, dot, endings = name.partition(".")
    return f"{AGAIN.sub('', stem)}{dot}{endings}"
