"""The rules of the package hold for its sources, and each rule finds violations."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

from tests import house, seam
from tests.house import RULES, Tree

ROOT = Path(__file__).parents[1]
SOURCE = Tree(ROOT / "src" / "tunesmith", ROOT / "docs" / "architecture.md")


@pytest.mark.parametrize("rule", RULES)
def test_rule(rule: str) -> None:
    assert "\n".join(RULES[rule](SOURCE)) == ""


def test_long_modules_have_a_test_file() -> None:
    assert len(SOURCE.modules) > 150, "the rules look at every module"
    assert "\n".join(house.untested(SOURCE, ROOT / "tests")) == ""


def test_git_ignores_no_module(tmp_path: Path) -> None:
    assert "\n".join(house.ignored_by_git(ROOT)) == ""
    (tmp_path / "src" / "runs").mkdir(parents=True)
    (tmp_path / "src" / "runs" / "x.py").touch()
    (tmp_path / ".gitignore").write_text("runs/\n")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (line,) = house.ignored_by_git(tmp_path)
    assert line.startswith("src/runs/x.py: ")


def test_nothing_but_tasks_tells_tasks_apart() -> None:
    assert len(list(seam.task_names(SOURCE))) >= 4
    assert "\n".join(seam.task_branches(SOURCE)) == ""


# ------------------------------------------------------------------- each rule finds what breaks it

PAGE = """
<!-- packages -->
```
i18n          texts
recipe/     a settings
metrics/    a scores
models/       models
tasks/        tasks
inputs/     b rows
training/   b steps
api/          Python
cli/          commands
```
"""

CLEAN = {
    "__init__.py": '"""The public names."""\n',
    "i18n.py": '"""Texts."""\n__all__ = []\n',
    "recipe/__init__.py": '"""Settings."""\nfrom tunesmith.i18n import x\n__all__ = []\n',
    "metrics/__init__.py": '"""Scores."""\n',
    "metrics/output_kinds.py": '"""Kinds."""\n__all__ = []\nclass Classes:\n    pass\n',
    "models/__init__.py": '"""Models."""\n',
    "models/load.py": '"""Load."""\n__all__ = []\ndef f():\n    import torch\n    x.from_file()\n',
    "tasks/__init__.py": '"""Tasks."""\nTASKS = {"rating": ".rating:Rating", "tagging": ".x:X"}\n',
    "tasks/labeled_text.py": '"""Base."""\n__all__ = []\nclass Sequence:\n    pass\n',
    "tasks/rating.py": '"""Rating."""\nfrom tunesmith.tasks.labeled_text import Sequence\n'
    "__all__ = []\nclass Rating(Sequence):\n    pass\n",
    "inputs/__init__.py": '"""Rows."""\n',
    "training/__init__.py": '"""Steps."""\nimport torch\n',
    "api/__init__.py": '"""Python."""\n',
    "api/display/__init__.py": '"""Show."""\nprint()\n',
    "cli/__init__.py": '"""Commands."""\nprint()\n',
}


def planted(folder: Path, files: dict[str, str]) -> Tree:
    """A small tree that follows every rule but for these files."""
    (folder / "architecture.md").write_text(PAGE)
    for name, text in (CLEAN | files).items():
        path = folder / "tunesmith" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Tree(folder / "tunesmith", folder / "architecture.md")


def test_a_tree_that_follows_the_rules_breaks_none(tmp_path: Path) -> None:
    tree = planted(tmp_path, {})
    assert [line for rule in RULES.values() for line in rule(tree)] == []
    assert seam.task_branches(tree) == []


def module(code: str) -> str:
    """A module with docstring and list of names."""
    return f'"""What it does."""\n__all__ = []\n{code}\n'


@pytest.mark.parametrize(
    ("rule", "file", "code", "message"),
    [
        ("unlisted_packages", "serving/__init__.py", "", "list it"),
        ("wrong_imports", "tasks/x.py", "import tunesmith.training", "above tasks"),
        ("wrong_imports", "tasks/x.py", "from tunesmith import training", "above tasks"),
        ("wrong_imports", "tasks/x.py", "from ..training import x", "above tasks"),
        ("wrong_imports", "tasks/x.py", "def f():\n    from tunesmith.cli import x", "above tasks"),
        ("wrong_imports", "tasks/x.py", "from tunesmith import train", "above tasks"),
        ("wrong_imports", "tasks/x.py", "import tunesmith", "above tasks"),
        ("wrong_imports", "recipe/x.py", "from tunesmith.metrics import x", "independent"),
        ("wrong_imports", "training/x.py", "from tunesmith.inputs import x", "independent"),
        ("import_cycles", "tasks/labeled_text.py", "import tunesmith.tasks.rating", "rating -> "),
        (
            "import_cycles",
            "tasks/labeled_text.py",
            "def f():\n    from tunesmith.tasks import rating",
            "rating -> tunesmith.tasks.labeled_text",
        ),
        ("heavy_imports", "inputs/x.py", "from torch import nn", "imports torch"),
        ("heavy_imports", "cli/x.py", "class A:\n    import transformers", "imports transformers"),
        ("heavy_imports", "api/x.py", "try:\n    import scipy\nfinally:\n    pass", "scipy"),
        ("prints", "inputs/x.py", "print('x')", "prints"),
        ("prints", "api/x.py", "def f():\n    print('x')", "prints"),
        ("unsafe_code", "inputs/x.py", "import pickle", "pickle"),
        ("unsafe_code", "inputs/x.py", "from joblib.x import y", "joblib"),
        ("unsafe_code", "inputs/x.py", "eval('x')", "eval"),
        ("unsafe_code", "inputs/x.py", "import torch\ntorch.load(f)", "torch.load"),
        ("unsafe_code", "models/x.py", "f(trust_remote_code=True)", "trust_remote_code"),
        ("system_dependent", "inputs/x.py", "import fcntl", "fcntl"),
        ("system_dependent", "inputs/x.py", "path.read_text()", "encoding"),
        ("system_dependent", "inputs/x.py", "path.write_text(x, encoding='utf-8')", "newline"),
        ("system_dependent", "inputs/x.py", "path.open('w', encoding='utf-8')", "newline"),
        ("system_dependent", "inputs/x.py", "open(path)", "encoding"),
        ("model_readers", "tasks/x.py", "AutoModel.from_pretrained('x')", "from_pretrained"),
        ("vague_names", "tasks/utils.py", "", "name it"),
        ("undocumented", "tasks/x.py", "__all__ = ['x', 'x']", "twice"),
        ("unexplained_codes", "tasks/x.py", 'Problem("D999", "x")', "explain D999"),
    ],
)
def test_rule_finds(rule: str, file: str, code: str, message: str, tmp_path: Path) -> None:
    tree = planted(tmp_path, {file: module(code)})
    (line,) = RULES[rule](tree)
    assert line.startswith((file, "serving", "tunesmith.tasks.")) and message in line


def test_rules_find_what_is_missing(tmp_path: Path) -> None:
    tree = planted(tmp_path, {"tasks/x.py": "\n" * 61})
    lines = RULES["undocumented"](tree)
    assert "docstring" in lines[0] and "__all__" in lines[1]
    assert house.untested(tree, tmp_path) == ["tasks/x.py: add tests/tasks/test_x.py"]
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "test_x.py").touch()
    assert house.untested(tree, tmp_path) == []
    del tree.modules[:4]
    assert "take it off" in RULES["unlisted_packages"](tree)[0]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("isinstance(task, Rating)", "tests for Rating"),
        ("isinstance(task, (int, labeled_text.Sequence))", "tests for"),
        ("isinstance(task, int | Sequence)", "tests for"),
        ("issubclass(type(task), Task)", "tests for Task"),
        ("isinstance(task.output_kind, Classes)", "tests for Classes"),
        ("type(task) is Rating", "compares the class"),
        ("match task:\n    case Rating():\n        pass", "matches the class"),
        ("task.name == wanted", "compares the name"),
        ("job.task.name in TABLE", "compares the name"),
        ("facts['task'] != 'rating'", 'names the task "rating"'),
        ("name in ('x', 'tagging')", 'names the task "tagging"'),
        ("match name:\n    case 'rating':\n        pass", "names the task"),
        ("TABLE = {'rating': 1}", 'names the task "rating"'),
        ("suggest('task', 'rating')", 'names the task "rating"'),
        ("TABLE[task.name]", "looks up"),
        ("TABLE.get(self.task.name, 1)", "looks up"),
        ("TABLE[task.kind]", "looks up"),
        ("task.kind == other", "compares a kind"),
        ("old_task.kind in kinds", "compares a kind"),
        ("kind == 'labels'", "compares a kind"),
        ("self.kind in ('classes', 'x')", "compares a kind"),
        ("getattr(task, 'labels', ())", "getattr on a task"),
        ("hasattr(self.task, 'labels')", "hasattr on a task"),
    ],
)
def test_telling_tasks_apart_is_found(code: str, message: str, tmp_path: Path) -> None:
    owned = {"tasks/x.py": module(code), "metrics/output_kinds.py": module(code)}
    assert seam.task_branches(planted(tmp_path, owned)) == []
    elsewhere = {"training/x.py": module(code), "metrics/x.py": module(code)}
    lines = seam.task_branches(planted(tmp_path, CLEAN | elsewhere))
    assert [line.split(":")[:2] for line in lines] == [
        [file, str(2 + ("case" in code) + 1)] for file in ("metrics/x.py", "training/x.py")
    ]
    assert all(message in line and ("instead" in line or "declare" in line) for line in lines)


# ------------------------------------------------------------------------------- light and public


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
    code = f"from tunesmith.cli import main\nassert main({arguments!r}) == 0"
    assert house.heavy_modules_after(code, tmp_path) == []


def test_help_is_shown_at_once(tmp_path: Path) -> None:
    code = "from tunesmith.cli import main\nassert main(['--help']) == 0"
    assert house.heavy_modules_after(code, tmp_path, ("numpy", "pyarrow", *house.HEAVY)) == []


def test_import_is_light(tmp_path: Path) -> None:
    code = "import tunesmith; assert 'pydantic' not in sys.modules"
    assert house.heavy_modules_after(code, tmp_path) == []


def test_a_heavy_library_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "torch.py").touch()
    assert house.heavy_modules_after("print('x'); import torch", tmp_path) == ["torch"]


def test_public_names_are_a_decision() -> None:
    import tunesmith

    assert tunesmith.__all__ == sorted(tunesmith.__all__)
    for name in tunesmith.__all__:
        assert getattr(tunesmith, name) is not None
    with pytest.raises(AttributeError):
        tunesmith.no_such_name  # noqa: B018


def test_sizes_are_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    """Prints what asks to be divided; a size is a question, not a gate."""
    long = []
    for each in SOURCE.modules:
        if (lines := each.text.count("\n")) > 400:
            long.append(f"{each.relative}: {lines} lines")
        for node in each.nodes():
            if not isinstance(node, ast.FunctionDef) or not node.end_lineno:
                continue
            if (length := node.end_lineno - node.lineno + 1) > 60:
                long.append(f"{each.relative}:{node.lineno} {node.name}: {length} lines")
    with capsys.disabled():
        print("".join(f"\n{line}" for line in long), end="")
