"""The lowest versions of pyproject.toml as constraints: `python -m tests.lowest_versions FILE`.

CI installs them and runs the tests, so that a lower bound is a promise that has been tried.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
_BOUND = re.compile(r"(?P<name>[\w.-]+)>=(?P<version>[\d.]+)(?:,<[\d.]+)?")


def lowest(requirements: list[str]) -> list[str]:
    """`name==version` for each requirement, which must have a lower bound."""
    pins = []
    for requirement in requirements:
        match = _BOUND.fullmatch(requirement)
        if match is None:
            raise ValueError(f"{requirement}: write it as NAME>=VERSION or NAME>=VERSION,<VERSION")
        pins.append(f"{match['name']}=={match['version']}")
    return pins


def dependencies() -> list[str]:
    """The requirements of the package itself, without extras."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    return list(project["dependencies"])


if __name__ == "__main__":
    Path(sys.argv[1]).write_text("\n".join(lowest(dependencies())) + "\n", encoding="utf-8")
