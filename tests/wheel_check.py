"""Install a wheel into an empty environment and use it as a new user would.

    python tests/wheel_check.py dist/tunesmith-0.1.0-py3-none-any.whl

It needs only the standard library. The environment, the home folder and the working folder are
empty and removed at the end. Every step prints its seconds; the first that fails ends the check.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

INHERITED = (
    "PATH",
    "SYSTEMROOT",
    "TEMP",
    "TMP",
    "TMPDIR",
    "PIP_CERT",
    "PIP_FIND_LINKS",
    "OMP_NUM_THREADS",
)
"""Variables of the environment that the new user has, too."""
PRINTER = [f"the printer on floor {n} is broken" for n in range(40)]
INVOICE = [f"invoice {n} was paid twice" for n in range(40)]


class NewUser:
    """An empty environment, home and working folder."""

    def __init__(self, folder: Path, python: str) -> None:
        """Make them."""
        self.home, self.desk, self.env = folder / "home", folder / "desk", folder / "env"
        self.home.mkdir()
        self.desk.mkdir()
        self.step("make an environment", [python, "-m", "venv", str(self.env)])
        self.bin = self.env / ("Scripts" if os.name == "nt" else "bin")
        self.python = str(self.bin / ("python.exe" if os.name == "nt" else "python"))

    @property
    def variables(self) -> dict[str, str]:
        """The environment of the commands: a home of its own, no network for models."""
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        home = str(self.home)
        return inherited | {"HOME": home, "USERPROFILE": home, "HF_HUB_OFFLINE": "1"}

    def step(self, title: str, command: Sequence[str]) -> str:
        """Run a command in the working folder and return what it printed.

        Raises:
            SystemExit: it failed.
        """
        started = time.perf_counter()
        done = subprocess.run(
            command,
            cwd=self.desk,
            env=self.variables,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        output = done.stdout.decode("utf-8", "replace")
        if done.returncode != 0:
            errors = done.stderr.decode("utf-8", "replace")
            sys.exit(f"{title}: exit {done.returncode}\n{output}\n{errors}")
        print(f"{time.perf_counter() - started:7.1f} s  {title}", flush=True)
        return output

    def tunesmith(self, *arguments: str) -> str:
        """Run the installed command; return its standard output."""
        name = "tunesmith.exe" if os.name == "nt" else "tunesmith"
        return self.step("tunesmith " + " ".join(arguments), [str(self.bin / name), *arguments])


def install(user: NewUser, wheel: Path, options: argparse.Namespace) -> None:
    """Install the wheel with its dependencies, and nothing else."""
    pip = [user.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if options.constraint:
        pip += ["--constraint", str(options.constraint.resolve())]
    if options.torch_index:
        user.step("install torch", [*pip, "--index-url", options.torch_index, "torch"])
    user.step("pip install the wheel", [*pip, str(wheel)])


def use(user: NewUser) -> None:
    """The quickstart, the report, both languages, and a first model on a CSV."""
    assert user.tunesmith("--version").startswith("tunesmith")
    assert "微调" in user.tunesmith("--lang", "zh", "--help")
    user.tunesmith("quickstart", "--quiet")
    runs = user.desk / "runs" / "quickstart" / "pairs"
    page = (runs / "mini" / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and 'lang="en"' in page, page[:200]
    user.tunesmith("report", str(runs / "mini"), "--lang", "zh")
    page = (runs / "mini" / "report.html").read_text(encoding="utf-8")
    assert 'lang="zh' in page and "验证集" in page, page[:200]
    with (user.desk / "tickets.csv").open("w", newline="", encoding="utf-8") as file:
        rows = [(text, "it") for text in PRINTER] + [(text, "billing") for text in INVOICE]
        csv.writer(file).writerows([("text", "label"), *rows])
    user.tunesmith("train", "tickets.csv", "--model", "embedded:mini", "--quiet")
    answers = user.tunesmith("predict", "tickets", "the printer is on fire", "--json")
    assert json.loads(answers.splitlines()[0])["label"] in ("it", "billing"), answers


def measure(user: NewUser) -> None:
    """Size of the installed package, and the time of its import."""
    code = "import tunesmith, pathlib; print(pathlib.Path(tunesmith.__file__).parent)"
    folder = Path(user.step("import tunesmith", [user.python, "-c", code]).strip())
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    size = sum(path.stat().st_size for path in files)
    print(f"installed: {len(files)} files, {size / 1e6:.1f} MB without bytecode")
    seconds = {"pass": [0.0], "import tunesmith": [0.0]}
    for _ in range(11):
        for statement, times in seconds.items():
            started = time.perf_counter()
            subprocess.run([user.python, "-c", statement], env=user.variables, check=True)
            times.append(time.perf_counter() - started)
    empty, imported = (statistics.median(times[1:]) for times in seconds.values())
    print(f"import tunesmith: {1000 * (imported - empty):.0f} ms more than an empty program")


def wheel_in(path: Path) -> Path:
    """The wheel itself, or the only one in a folder."""
    if path.is_dir():
        (path,) = path.glob("tunesmith-*.whl")
    return path.resolve()


def main() -> None:
    """Parse the command line and run all steps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path, help="the wheel, or a folder with one")
    parser.add_argument("--python", default=sys.executable, help="interpreter of the environment")
    parser.add_argument("--torch-index", help="index to install torch from first")
    parser.add_argument("--constraint", type=Path, help="constraints file for pip")
    options = parser.parse_args()
    print(subprocess.check_output([options.python, "--version"], text=True).strip())
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        user = NewUser(Path(folder), options.python)
        install(user, wheel_in(options.wheel), options)
        use(user)
        measure(user)
    print(f"{time.perf_counter() - started:7.1f} s  in all")


if __name__ == "__main__":
    main()
