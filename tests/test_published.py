"""What a publisher needs: licences, a citation, a workflow, a place to launch it."""

import json
import re
import tomllib

import yaml

from tools.tree import ROOT


def text(*path):
    return ROOT.joinpath(*path).read_text(encoding="utf-8")


def test_code_and_texts_have_their_licences():
    project = tomllib.loads(text("pyproject.toml"))["project"]
    assert project["license"] == "BSD-3-Clause"
    assert project["license-files"] == ["LICENSE"]
    assert text("LICENSE").startswith("BSD 3-Clause License")
    assert "creativecommons.org/licenses/by/4.0" in text("LICENSE-text")
    cited = yaml.safe_load(text("CITATION.cff"))
    assert cited["license"] == ["BSD-3-Clause", "CC-BY-4.0"]
    assert cited["version"] == project["version"]
    assert {"cff-version", "message", "title", "authors"} <= set(cited)


def test_what_lies_there_from_others_has_its_licence():
    for folder in ("textbook", "fonts"):
        names = [path.name for path in (ROOT / "dot2gpt" / folder).iterdir()]
        assert any(re.match(r"(?i)(licen[cs]e|ofl)", name) for name in names), folder


def test_the_workflow_calls_targets_that_the_makefile_has():
    flow = yaml.safe_load(text(".github", "workflows", "course.yml"))
    steps = [step for job in flow["jobs"].values() for step in job["steps"]]
    called = re.findall(r"\bmake (\w+)", "\n".join(s.get("run", "") for s in steps))
    called += re.findall(r"make (\w+)", text(".devcontainer", "devcontainer.json"))
    targets = re.findall(r"^(\w+):", text("Makefile"), re.M)
    assert called and set(called) <= set(targets)
    for job in flow["jobs"].values():
        assert set(job.get("needs", [])) <= set(flow["jobs"])


def test_all_of_them_take_the_same_python_and_the_small_torch():
    small = "https://download.pytorch.org/whl/cpu"
    least = tomllib.loads(text("pyproject.toml"))["project"]["requires-python"]
    flow = yaml.safe_load(text(".github", "workflows", "course.yml"))
    container = json.loads(text(".devcontainer", "devcontainer.json"))
    assert flow["env"]["PIP_EXTRA_INDEX_URL"] == small
    assert container["containerEnv"]["PIP_EXTRA_INDEX_URL"] == small
    assert small in text(".binder", "requirements.txt") and small in text("README.md")
    steps = [step for job in flow["jobs"].values() for step in job["steps"]]
    pythons = {s["with"]["python-version"] for s in steps if "setup-python" in str(s)}
    pythons |= {container["image"].split(":")[1]}
    pythons |= {text(".binder", "runtime.txt").strip().removeprefix("python-")}
    assert pythons == {least.removeprefix(">=")}


def test_the_workflow_installs_what_ci_installs():
    packages = r"--no-install-recommends ([\w -]+)"
    here, there = (
        set(" ".join(re.findall(packages, text(*path))).split())
        for path in ((".ci", "run"), (".github", "workflows", "course.yml"))
    )
    there = {name.replace("chromium-browser", "chromium") for name in there}
    assert here == there | {"chromium-headless-shell"}  # Ubuntu has none
