"""The data file: one line a run, written as each one ends."""

import fcntl
import json

from tools.tree import ROOT

DATA = ROOT / "appendix" / "evidence.json"


def read_data(path=DATA):
    """{"claims": {name: {unit: run}}, "asserts": {page: {unit: run}}}.

    A run is {"code": fingerprint, "seconds": …} and its "figures", or its "asserts"
    and what "fell".
    """
    data = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {"claims": {}, "asserts": {}, **data}


def write_data(data, path=DATA):
    """One line a run, in order: a difference shows what was run."""
    kinds = []
    for kind, rows in sorted(data.items()):
        texts = []
        for name, units in sorted(rows.items()):
            lines = [
                f"   {json.dumps(unit, ensure_ascii=False)}: "
                + json.dumps(units[unit], ensure_ascii=False)
                for unit in sorted(units)
            ]
            texts.append(f"  {json.dumps(name)}: {{\n" + ",\n".join(lines) + "\n  }")
        kinds.append(f' "{kind}": {{\n' + ",\n".join(texts) + "\n }")
    part = path.with_suffix(".part")
    part.write_text("{\n" + ",\n".join(kinds) + "\n}\n", encoding="utf-8")
    part.replace(path)


def add(kind, name, unit, result, path=DATA):
    """Store one run; runs of other code go. Several processes may do so at once."""
    with open(path.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        data = read_data(path)
        units = data[kind].setdefault(name, {})
        data[kind][name] = {**fresh(units, result["code"]), unit: result}
        write_data(data, path)


def fresh(units, code):
    """The runs of {unit: run} that were made with this code."""
    return {unit: run for unit, run in units.items() if run["code"] == code}
