"""The files around the code agree with each other: versions, checks, hooks, workflows, forms."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from importlib.resources import files
from itertools import pairwise
from json import loads
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from ruamel.yaml import YAML

import tunesmith
from tests.lowest_versions import dependencies, lowest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SYSTEMS = ["ubuntu-latest", "macos-latest", "windows-latest"]
FORMS = {
    "citation-file-format": [ROOT / "CITATION.cff"],
    "dependabot": [ROOT / ".github" / "dependabot.yml"],
    "github-issue-config": [ROOT / ".github" / "ISSUE_TEMPLATE" / "config.yml"],
    "github-issue-forms": sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml")),
    "github-workflows": WORKFLOWS,
}
"""Schemas that come with check-jsonschema, and the files that follow them."""


def read(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))


# ---------------------------------------------------------------------------------------- versions


def test_one_version() -> None:
    assert tunesmith.__version__ == PROJECT["version"] == version("tunesmith")
    assert read(ROOT / "CITATION.cff")["version"] == PROJECT["version"]


def test_constraints_name_every_requirement() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()[1:]
    pins = {
        canonicalize_name(name): pin for name, _, pin in (line.partition("==") for line in lines)
    }
    assert list(pins) == sorted(pins) and len(pins) == len(lines)
    extras = PROJECT["optional-dependencies"].values()
    for text in [*PROJECT["dependencies"], *(line for extra in extras for line in extra)]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), text


def test_lowest_versions_are_listed() -> None:
    assert lowest(["torch>=2.10", "transformers>=5.10.1,<6"]) == [
        "torch==2.10",
        "transformers==5.10.1",
    ]
    assert len(lowest(dependencies())) == len(PROJECT["dependencies"])
    with pytest.raises(ValueError, match="click: write it as"):
        lowest(["click"])


# ------------------------------------------------------------------------------------------ checks


def recipes() -> dict[str, tuple[list[str], list[str]]]:
    """By target of the Makefile: what it depends on, and its commands."""
    targets: dict[str, tuple[list[str], list[str]]] = {}
    for line in (ROOT / "Makefile").read_text(encoding="utf-8").splitlines():
        if match := re.match(r"([a-z-]+):([^=#]*)(#.*)?$", line):
            commands: list[str] = []
            targets[match[1]] = (match[2].split(), commands)
        elif line.startswith("\t") and targets:
            commands.append(line.strip().lstrip("@").replace("$(BIN)/", ""))
    return targets


def test_help_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: ((?:.*\\\n)*.*)$", text, re.MULTILINE)
    assert phony is not None
    documented = re.findall(r"^([a-z-]+):[^#\n]*  ## .", text, re.MULTILINE)
    assert set(phony[1].replace("\\\n", " ").split()) == set(documented) == set(recipes())
    assert len(documented) == len(set(documented))


def test_hooks_are_the_steps_of_make_check() -> None:
    steps, _commands = recipes()["check"]
    assert steps[0] == "format" and steps[-1] == "test"
    (local,) = read(ROOT / ".pre-commit-config.yaml")["repos"]
    hooks = local["hooks"]
    assert [hook["entry"] for hook in hooks] == [f"make {step}" for step in steps]
    stages = {hook["id"]: hook["stages"] for hook in hooks}
    assert stages == {step: ["pre-push" if step == "test" else "pre-commit"] for step in steps}
    assert all(hook["language"] == "system" for hook in hooks)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_name_what_exists(workflow: Path) -> None:
    targets = recipes()
    words = [shlex.split(line) for _job, line in run_lines(workflow)]
    assert words
    for command in words:
        arguments = [word for word in command if "=" not in word]
        if arguments[0] == "make":
            assert set(arguments[1:]) <= set(targets), command
        for flag, name in pairwise(command):
            if flag == "-c" or name.endswith(".py"):
                assert (ROOT / name).is_file() or name == "lowest.txt", command
            if flag == "-m" and name.startswith("tests"):
                assert (ROOT / name.replace(".", "/")).with_suffix(".py").is_file(), command
            if flag == "-e":
                assert name == ".[dev]", command


def run_lines(workflow: Path) -> Iterator[tuple[str, str]]:
    for name, job in read(workflow)["jobs"].items():
        for step in job["steps"]:
            for line in step.get("run", "").splitlines():
                yield name, line


def test_ci_runs_the_commands_of_make_check() -> None:
    targets = recipes()
    lines = list(run_lines(ROOT / ".github" / "workflows" / "ci.yml"))
    for step in targets["check"][0]:
        (command,) = targets[step][1]
        jobs = {job for job, line in lines if line == command}
        assert jobs == ({"test"} if step == "test" else {"lint"}), command
    (command,) = targets["test"][1]
    assert ("lowest", f"{command} -W default") in lines
    built = targets["wheel"][1]
    assert [line for job, line in lines if job == "build"][-len(built) :] == built


def test_ci_runs_on_what_is_supported() -> None:
    prefix = "Programming Language :: Python :: 3."
    minors = [line for line in PROJECT["classifiers"] if line.startswith(prefix)]
    pythons = [line.rpartition(" ")[2] for line in minors]
    assert PROJECT["requires-python"] == f">={pythons[0]}"
    jobs = read(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]
    for name in ("test", "wheel"):
        assert jobs[name]["strategy"]["matrix"] == {"os": SYSTEMS, "python": pythons}
    for workflow in WORKFLOWS:
        text = workflow.read_text(encoding="utf-8")
        assert set(re.findall(r'python-version: "(.*)"', text)) <= {pythons[0]}


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_may_do_little(workflow: Path) -> None:
    content = read(workflow)
    assert content["permissions"] == {"contents": "read"}
    assert "pull_request_target" not in content["on"]
    assert content["concurrency"]["group"]
    for job in content["jobs"].values():
        assert job["timeout-minutes"] <= 60
        writes = {key for key, value in job.get("permissions", {}).items() if value == "write"}
        assert writes <= {"attestations", "id-token", "pages"}
        for step in job["steps"]:
            assert re.fullmatch(
                r"[\w./-]+@(v\d+|release/v\d+|[0-9a-f]{40})", step.get("uses", "a@v1")
            )
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False
    assert "secrets." not in workflow.read_text(encoding="utf-8")


@pytest.mark.parametrize("schema", FORMS)
def test_forms_follow_their_schema(schema: str) -> None:
    folder = files("check_jsonschema").joinpath("builtin_schemas", "vendor")
    rules = loads(folder.joinpath(f"{schema}.json").read_text(encoding="utf-8"))
    validator = jsonschema.validators.validator_for(rules)(rules)
    assert FORMS[schema]
    for path in FORMS[schema]:
        assert [error.message for error in validator.iter_errors(read(path))] == [], path
    assert list(validator.iter_errors({"jobs": 1, "cff-version": 1, "body": 1})) != []


# ----------------------------------------------------------------------------------- around a page


def test_the_address_is_written_in_one_way() -> None:
    home = PROJECT["urls"]["Homepage"]
    assert all(url.startswith(home) for url in PROJECT["urls"].values())
    assert read(ROOT / "CITATION.cff")["repository-code"] == home
    for link in read(ROOT / ".github" / "ISSUE_TEMPLATE" / "config.yml")["contact_links"]:
        assert link["url"].startswith(home)
    for name in ("SECURITY.md", "CODE_OF_CONDUCT.md"):
        assert home not in (ROOT / name).read_text(encoding="utf-8"), "link relatively"


def test_attributes_match_files() -> None:
    for line in (ROOT / ".gitattributes").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            pattern = line.split()[0]
            assert pattern == "*" or any(tracked(pattern)), f"{pattern}: no file has this name"


def tracked(pattern: str) -> Iterator[Path]:
    folder, _, name = pattern.removesuffix("/**").rpartition("/")
    return (ROOT / folder).glob(name) if folder else ROOT.rglob(name)


def test_the_bug_form_asks_for_what_is_needed() -> None:
    form = (ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.yml").read_text(encoding="utf-8")
    for words in ("tunesmith --version", "tunesmith doctor", "Command", "Code of the error"):
        assert words in form
    assert "events.jsonl" in form and "recipe.yaml" in form
