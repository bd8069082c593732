"""Measure the book's claims again and write the page *How sure this is*.

    python -m tools.evidence                         what was not run since it changed
    python -m tools.evidence 06_multi_head           one chapter's claims
    python -m tools.evidence 06_multi_head/one_head  one claim
    python -m tools.evidence --asserts 09_encoder    and its asserts, all seeds moved
    python -m tools.evidence --page                  run nothing, write the page

Each run is stored in appendix/evidence.json as it ends: stop with Ctrl-C, and the same
command goes on from there.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor, as_completed

from tqdm import tqdm

from tools.evidence import page, store
from tools.evidence.claims import load_all
from tools.evidence.source import lesson_names, lesson_path, n_asserts
from tools.execute import QUIET
from tools.tree import ROOT

ALONE = {**QUIET, "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}


def wanted(names, with_asserts, again=False):
    """The runs still to be made, [[(kind, name, code, units)]]: a list a process.

    The claims of one file share a process, each seed of a notebook has its own.
    """
    data, groups, jobs = store.read_data(), {}, []
    claims, pages = load_all(), lesson_names()
    unknown = [
        n for n in names if n not in pages and not any(_under(c, n) for c in claims)
    ]
    if unknown:
        known = sorted({*pages, *(name.split("/")[0] for name in claims)})
        raise ValueError(
            f"no chapter or claim {unknown[0]!r}; chapters: {' '.join(known)}"
        )
    for name, row in claims.items():
        if not names or any(_under(name, n) for n in names):
            code = row.code()
            done = {} if again else store.fresh(data["claims"].get(name, {}), code)
            job = ("claims", name, code, [u for u in row.units if u not in done])
            groups.setdefault(row.path, []).append(job)
    for name in filter(n_asserts, pages) if with_asserts else []:
        if not names or any(_under(name, n) for n in names):
            code = page.lesson_code(name)
            done = {} if again else store.fresh(data["asserts"].get(name, {}), code)
            jobs += [
                [("asserts", name, code, [u])] for u in page.MOVES if u not in done
            ]
    jobs = [[job for job in group if job[3]] for group in [*groups.values(), *jobs]]
    return [group for group in jobs if group]


def _under(name, group):
    return name == group or name.startswith(f"{group}/")


def run(groups, n_jobs):
    """Run groups of jobs, store each run as it ends; returns {name: its error}."""
    failed, alive = {}, []
    claims = [group for group in groups if group[0][0] == "claims"]
    groups = [sum(claims[n::n_jobs], []) for n in range(n_jobs)] + groups[len(claims) :]
    groups = [group for group in groups if group]  # as few processes as do: each costs
    total = sum(len(job[3]) for group in groups for job in group)
    bar = tqdm(total=total, unit="run", smoothing=0)
    turn = threading.Lock()

    def one(group):
        child = subprocess.Popen(
            [sys.executable, "-m", "tools.evidence", "--work", json.dumps(group)],
            cwd=ROOT,
            env={**os.environ, **ALONE},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        alive.append(child)
        for line in child.stdout:
            kind, name, unit, result = json.loads(line)
            with turn:
                bar.set_description(f"{name} {unit}", refresh=False)
                bar.update()
                if "error" in result:
                    failed[name] = result["error"]
                    bar.write(f"✗ {name} {unit}: {result['error']}")
                    continue
                store.add(kind, name, unit, result)
        said = child.stderr.read()
        if child.wait():
            failed[group[0][1]] = said.strip()[-2000:] or f"ended: {child.returncode}"
            bar.write(f"✗ {group[0][1]}: {failed[group[0][1]]}")

    pool = ThreadPoolExecutor(n_jobs)
    try:
        for done in as_completed([pool.submit(one, group) for group in groups]):
            done.result()
    except KeyboardInterrupt:
        for child in alive:
            child.kill()
        bar.close()
        print(f"stopped; {bar.n} of {bar.total} runs are stored", file=sys.stderr)
        os._exit(130)
    bar.close()
    return failed


def work(group):
    """In a process of its own: print [kind, name, unit, result] as each run ends."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a lesson prints
    claims = load_all()
    for kind, name, code, units in group:
        for unit in units:
            start = time.process_time()
            try:
                if kind == "asserts":
                    result = _asserts(name, unit)
                else:
                    result = _figures(claims[name], unit)
                seconds = round(time.process_time() - start, 1)
                result = {"code": code, "seconds": seconds, **result}
            except Exception:
                result = {"error": traceback.format_exc()[-2000:]}
            line = json.dumps([kind, name, unit, result], ensure_ascii=False)
            print(line, file=out, flush=True)


def _figures(row, unit):
    import torch

    from tools.evidence.seeds import STEP, move_seeds

    seed, budget = row.units[unit]
    move_seeds(seed * STEP)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    figures = row.measure(seed, budget)
    return {"figures": {key: float(f"{value:.6g}") for key, value in figures.items()}}


def _asserts(name, unit):
    from tools.evidence.asserts import run
    from tools.evidence.seeds import STEP

    return run(lesson_path(name), int(unit) * STEP)


def main():
    parser = argparse.ArgumentParser(
        prog="python -m tools.evidence",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "names", nargs="*", help="chapters, claims, pages of the appendix"
    )
    parser.add_argument(
        "--asserts", action="store_true", help="run lessons' asserts too"
    )
    parser.add_argument("--page", action="store_true", help="only write the page")
    parser.add_argument(
        "--again", action="store_true", help="run what is fresh as well"
    )
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--work", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        return work(json.loads(options.work))
    failed = {}
    if not options.page:
        try:
            jobs = wanted(options.names, options.asserts, options.again)
        except ValueError as error:
            parser.error(str(error))
        failed = run(jobs, max(1, options.jobs))
    print(page.write())
    if failed:
        sys.exit(f"not stored, an error was raised: {', '.join(failed)}")


if __name__ == "__main__":
    main()
