"""The house rules, checked as facts: who may import whom, who may print, what is tested."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "tunesmith"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
MODULES = sorted(SOURCE.rglob("*.py"))
FRONT = {"__init__", "__main__"}  # the public names are outside the order
NAMES = {
    ".".join(("tunesmith", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(
        ".__init__"
    )
    for path in MODULES
}


def packages() -> dict[str, str]:
    """The packages from bottom to top, as docs/architecture.md lists them, each with its mark.

    Packages with the same mark import nothing of each other; "" for none.
    """
    text = ARCHITECTURE.read_text(encoding="utf-8")
    block = re.search(r"<!-- packages -->\n```\n(.*?)```", text, re.DOTALL)
    assert block, "docs/architecture.md has no list of packages"
    lines = [line for line in block[1].splitlines() if line.strip()]
    return {line.split()[0].rstrip("/"): line[12:13].strip() for line in lines}


def package_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """Every module of tunesmith that a file imports, also where it does so late."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "tunesmith":
                yield from (f"tunesmith.{alias.name}" for alias in node.names)
            elif node.module.startswith("tunesmith."):
                for alias in node.names:
                    full = f"{node.module}.{alias.name}"
                    yield full if full in NAMES else node.module
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.startswith("tunesmith."))


def test_every_package_is_listed() -> None:
    assert len(MODULES) > 150, "the tests below look at every module"
    assert {package_of(path) for path in MODULES} - FRONT == set(packages())


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_downwards_only(path: Path) -> None:
    marks = packages()
    order = list(marks)
    package = package_of(path)
    if package in FRONT:
        return
    for module in imports(path):
        other = module.split(".")[1]
        if other == package:
            continue
        assert order.index(other) < order.index(package), (
            f"{path.name} in {package} imports {module}, which is not below it"
        )
        assert not marks[other] or marks[other] != marks[package], (
            f"{path.name} in {package} imports {module}, its neighbor"
        )


def test_no_import_cycles() -> None:
    edges: dict[str, set[str]] = {}
    for path in MODULES:
        name = ".".join(("tunesmith", *path.relative_to(SOURCE).with_suffix("").parts))
        edges[name.removesuffix(".__init__")] = set(imports(path))
    visiting: list[str] = []
    done: set[str] = set()

    def visit(name: str) -> None:
        if name in done or name not in edges:
            return
        assert name not in visiting, f"cycle: {' -> '.join([*visiting, name])}"
        visiting.append(name)
        for other in edges[name] - {name}:
            visit(other)
        done.add(visiting.pop())

    for name in edges:
        if name != "tunesmith":
            visit(name)


def may_print(path: Path) -> bool:
    return path.is_relative_to(SOURCE / "cli") or path.is_relative_to(SOURCE / "api" / "display")


def test_only_the_command_line_prints() -> None:
    for path in MODULES:
        if may_print(path):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = (
                node.func.id
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
                else ""
            )
            assert called != "print", f"{path}:{getattr(node, 'lineno', 0)} prints"


FORBIDDEN_CALLS = {"eval", "exec"}
FORBIDDEN_MODULES = {"pickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"}


def test_nothing_can_run_foreign_code() -> None:
    for path in MODULES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                assert not FORBIDDEN_MODULES & {a.name.split(".")[0] for a in node.names}, path
            elif isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] not in FORBIDDEN_MODULES, path
            elif isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                assert name not in FORBIDDEN_CALLS, f"{path}:{node.lineno} calls {name}"
                assert name not in ("torch.load", "torch.save", "yaml.load"), path
                for keyword in node.keywords:
                    if keyword.arg == "trust_remote_code":
                        assert ast.unparse(keyword.value) == "False", path


def test_only_one_package_lets_transformers_read_a_model() -> None:
    """There is one place that bounds and checks what a model's files can do."""
    callers = {
        package_of(path)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr in ("from_pretrained", "from_file", "load_file", "safe_open")
    }
    assert callers == {"models"}


def test_names_tell() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "misc", "tools", "base", "core"}
    assert not {path.stem for path in MODULES} & vague


def test_every_module_has_a_docstring_and_a_sorted_public_list() -> None:
    for path in MODULES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert ast.get_docstring(tree), f"{path} has no docstring"
        listed = next(
            (
                ast.literal_eval(node.value)
                for node in tree.body
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
            ),
            None,
        )
        if listed is None:
            assert path.stem in FRONT or SOURCE / "cli" in path.parents, f"{path} has no __all__"
            continue
        assert len(listed) == len(set(listed)), path


def test_every_module_has_its_tests() -> None:
    missing = []
    for path in MODULES:
        if path.stem in FRONT:
            continue
        relative = path.relative_to(SOURCE)
        mirror = ROOT / "tests" / relative.parent / f"test_{relative.name}"
        if not mirror.is_file():
            missing.append(str(mirror.relative_to(ROOT)))
    assert not missing


LIGHT = """
import sys
from tunesmith.cli import main
try:
    code = main({arguments!r})
except SystemExit as end:
    code = end.code
assert code in (0, None), code
heavy = {{"torch", "transformers", "accelerate", "sklearn", "scipy", "pandas"}} & set(sys.modules)
assert not heavy, heavy
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["train", "--help"],
        ["runs", "list"],
        ["config", "schema"],
        ["config", "show", "embedded:tickets"],
        ["init", "embedded:tickets", "--out", "recipe.yaml"],
        ["data", "show", "embedded:tickets"],
        ["check", "embedded:tickets", "--model", "embedded:mini"],
    ],
    ids=" ".join,
)
def test_light_commands_load_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIGHT.format(arguments=arguments)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_import_is_light() -> None:
    code = (
        "import sys, tunesmith; assert 'torch' not in sys.modules and 'pydantic' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_public_names_are_a_decision() -> None:
    import tunesmith

    assert tunesmith.__all__ == sorted(tunesmith.__all__)
    for name in tunesmith.__all__:
        assert getattr(tunesmith, name) is not None
    with pytest.raises(AttributeError):
        tunesmith.no_such_name  # noqa: B018


def test_sizes_are_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    """Prints what asks to be divided; a size is a question, not a gate."""
    for path in MODULES:
        lines = path.read_text(encoding="utf-8").count("\n")
        if lines > 400:
            print(f"{path.relative_to(SOURCE)}: {lines} lines")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.end_lineno:
                length = node.end_lineno - node.lineno + 1
                if length > 60:
                    print(f"{path.relative_to(SOURCE)}:{node.lineno} {node.name}: {length} lines")
    with capsys.disabled():
        told = capsys.readouterr().out
        if told:
            print("\n" + told, end="")
