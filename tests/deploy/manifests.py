"""The manifests of `deploy/`: what tests read from them.

Comments are no part of what a scheduler reads, so they are left out where names or codes are
collected.
"""

from __future__ import annotations

import configparser
import json
import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SCHEMAS = Path(__file__).parent / "schemas"
READMES = (DEPLOY / "README.md", DEPLOY / "README.zh-CN.md")

UNIT = DEPLOY / "tunesmith@.service"
DOCKERFILE = DEPLOY / "Dockerfile"
BATCH, ARRAY = DEPLOY / "slurm.sbatch", DEPLOY / "slurm-array.sbatch"
VALIDATED = {
    DEPLOY / "kubeflow" / "runtime.yaml": "runtime.json",
    DEPLOY / "kubeflow" / "trainjob.yaml": "trainjob.json",
    DEPLOY / "kubeflow" / "storage.yaml": "storage.json",
    DEPLOY / "skypilot.yaml": "skypilot.json",
    DEPLOY / "skypilot-volume.yaml": "skypilot-volume.json",
}
"""Each YAML manifest, and the schema of the fields it uses."""
RAY = DEPLOY / "ray_train.py"
MANIFESTS = (*VALIDATED, BATCH, ARRAY, UNIT, DOCKERFILE, RAY)

_VARIABLE = re.compile(r"\$\{?([A-Z][A-Z0-9_]*)|\b([A-Z][A-Z0-9_]*)=")
_SHELL_OWN = {"PATH", "HOME"}


def loaded(path: Path) -> Any:
    """The one document of a YAML file."""
    return YAML(typ="safe", pure=True).load(path)


def schema(name: str) -> Any:
    return json.loads((SCHEMAS / name).read_text(encoding="utf-8"))


def unit() -> configparser.ConfigParser:
    """The unit of systemd; each key is set once, but `Environment`, which is read by `code`."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT, encoding="utf-8")
    return parser


def code(path: Path) -> str:
    """What a file says without its comments."""
    lines = path.read_text(encoding="utf-8").splitlines()
    commands = (line for line in lines if not re.match(r"\s*#(?!SBATCH)", line))
    return "\n".join(re.sub(r"\s+# .*$", "", line) for line in commands)


def instructions(path: Path = DOCKERFILE) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile with their arguments, in order."""
    joined = code(path).replace("\\\n", " ")
    pairs = (line.split(None, 1) for line in joined.splitlines() if line.strip())
    return [(name, " ".join(rest.split())) for name, rest in pairs]


def container() -> Any:
    """The container of a pod of the runtime."""
    (only,) = pod()["containers"]
    return only


def pod() -> Any:
    """What a pod of the runtime is made from."""
    return job()["template"]["spec"]


def job() -> Any:
    (replicated,) = job_set()["replicatedJobs"]
    return replicated["template"]["spec"]


def job_set() -> Any:
    return loaded(DEPLOY / "kubeflow" / "runtime.yaml")["spec"]["template"]["spec"]


def environment_names(path: Path) -> set[str]:
    """The environment variables that a manifest reads or sets."""
    names = {first or second for first, second in _VARIABLE.findall(code(path))}
    if path.suffix == ".yaml":
        names |= set(_env_of(loaded(path)))
    return names - _SHELL_OWN


def _env_of(node: Any) -> list[str]:
    """Names under `env` (a list of Kubernetes) and `envs` (a table of SkyPilot)."""
    if isinstance(node, dict):
        own = [item["name"] for item in node.get("env", [])] + list(node.get("envs", {}))
        return own + [name for value in node.values() for name in _env_of(value)]
    if isinstance(node, list):
        return [name for value in node for name in _env_of(value)]
    return []


def environment_table(page: Path = READMES[0]) -> dict[str, str]:
    """The one table of environment variables: each name, and the files that it is in."""
    rows = re.findall(r"^\| (`[A-Z][^|]*) \|[^|]*\| ([^|]*) \|", page.read_text("utf-8"), re.M)
    return {name: files for names, files in rows for name in re.findall(r"`([A-Z_]+)`", names)}
