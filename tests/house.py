"""The rules of the package as functions over a source tree; each returns its violations.

`tests/test_house.py` runs them over `src/tunesmith` and proves each on a small tree that breaks it.
A violation is a line: where, what, and what to do about it.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tunesmith.explanations import explanations

FRONT = {"__init__", "__main__"}
"""Modules above all packages: the public names."""
HEAVY = ("accelerate", "datasets", "pandas", "scipy", "sklearn", "torch", "transformers")
"""Libraries that take seconds to import."""
LIGHT_UP_TO = "inputs"
"""The last package that must not import them at import time; commands stay light, too."""
UNSAFE_MODULES = {"pickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"}
UNSAFE_CALLS = {"eval", "exec", "torch.load", "torch.save", "yaml.load"}
NOT_EVERYWHERE = {"fcntl", "grp", "msvcrt", "pwd", "resource", "termios", "winreg"}
KNOWS_SYSTEMS = {"storage/operating_system.py", "training/memory.py"}
"""Modules that import them where they are."""
READS_MODELS = {"from_pretrained", "from_file", "load_file", "safe_open"}
VAGUE = {"base", "common", "core", "helper", "helpers", "misc", "tools", "util", "utils"}
MAX_UNTESTED_LINES = 60


@dataclass(frozen=True)
class Module:
    """One file of a package, parsed."""

    path: Path
    relative: Path

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.text)

    @cached_property
    def text(self) -> str:
        """Its source."""
        return self.path.read_text(encoding="utf-8")

    @property
    def name(self) -> str:
        """Its dotted name."""
        parts = ("tunesmith", *self.relative.with_suffix("").parts)
        return ".".join(parts).removesuffix(".__init__")

    @property
    def package(self) -> str:
        """The package at the top that holds it, or its own name at the top."""
        return self.relative.parts[0].removesuffix(".py")

    def nodes(self) -> Iterator[ast.AST]:
        """Every node."""
        return ast.walk(self.tree)

    def at(self, node: ast.AST, message: str) -> str:
        """A message with file and line."""
        return f"{self.relative.as_posix()}:{getattr(node, 'lineno', 1)}: {message}"


class Tree:
    """The modules below a folder, and the list of packages that orders them."""

    def __init__(self, source: Path, architecture: Path) -> None:
        """Read the list from the page, and find the modules."""
        paths = sorted(source.rglob("*.py"))
        self.modules = [Module(path, path.relative_to(source)) for path in paths]
        self.names = {module.name for module in self.modules}
        self.marks = _packages(architecture)

    def in_package(self, name: str) -> list[Module]:
        """The modules of a package at the top."""
        return [module for module in self.modules if module.package == name]

    def imports(self, module: Module, *, at_import: bool = False) -> Iterator[tuple[ast.AST, str]]:
        """Every module that a file imports; `at_import`: only what runs when it is imported."""
        nodes = _outside_functions(module.tree) if at_import else module.nodes()
        for node in nodes:
            if isinstance(node, ast.Import):
                yield from ((node, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                origin = _absolute(module, node)
                for alias in node.names:
                    full = f"{origin}.{alias.name}"
                    is_module = full in self.names or origin == "tunesmith"
                    yield node, full if is_module else origin


def _packages(architecture: Path) -> dict[str, str]:
    """The packages from bottom to top, each with its mark; "" for none.

    Packages with the same mark import nothing of each other.
    """
    text = architecture.read_text(encoding="utf-8")
    block = re.search(r"<!-- packages -->\n```\n(.*?)```", text, re.DOTALL)
    if block is None:
        raise ValueError(f"{architecture} has no list of packages")
    lines = [line for line in block[1].splitlines() if line.strip()]
    return {line.split()[0].rstrip("/"): line[12:13].strip() for line in lines}


def _absolute(module: Module, node: ast.ImportFrom) -> str:
    """The module that `from … import` names, also when it is written with dots."""
    if not node.level:
        return node.module or ""
    parts = ["tunesmith", *module.relative.parts][: -node.level]
    return ".".join([*parts, *([node.module] if node.module else [])])


def _outside_functions(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run when the module is imported."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from _outside_functions(node)


# ------------------------------------------------------------------------------------------ imports


def unlisted_packages(tree: Tree) -> list[str]:
    """Packages that docs/architecture.md does not list, and listed ones that are not there."""
    there = {module.package for module in tree.modules} - FRONT
    return [
        f"{name}: list it, with its place in the order, in docs/architecture.md"
        for name in sorted(there - set(tree.marks))
    ] + [f"{name}: take it off docs/architecture.md" for name in sorted(set(tree.marks) - there)]


def wrong_imports(tree: Tree) -> list[str]:
    """Imports of a package above, or of a neighbor with the same mark; late ones count, too."""
    order = list(tree.marks)
    broken = []
    for module in tree.modules:
        own = module.package
        if own not in order:
            continue
        for node, name in tree.imports(module):
            root, *rest = name.split(".")
            other = rest[0] if rest else ""
            if root != "tunesmith" or other == own:
                continue
            if tree.marks.get(other) and tree.marks[other] == tree.marks[own]:
                broken.append(
                    module.at(
                        node,
                        f"imports {name}, but {own} and {other} are independent; move what both "
                        "need to a package below them",
                    )
                )
            elif other not in order or order.index(other) > order.index(own):
                broken.append(
                    module.at(
                        node,
                        f"imports {name}, which is above {own}; move what is needed down, or "
                        "pass it in as an argument",
                    )
                )
    return broken


def import_cycles(tree: Tree) -> list[str]:
    """Modules that import each other in a circle, also where one does so late."""
    edges: dict[str, list[str]] = {
        module.name: sorted({name for _node, name in tree.imports(module)} & tree.names)
        for module in tree.modules
        if module.name != "tunesmith"
    }
    done: set[str] = set()
    cycles: list[str] = []

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            circle = " -> ".join([*path[path.index(name) :], name])
            cycles.append(f"{circle}: move what both need to a module below them")
        elif name not in done:
            for other in edges.get(name, ()):
                if other != name:
                    visit(other, (*path, name))
            done.add(name)

    for name in edges:
        visit(name, ())
    return cycles


def heavy_imports(tree: Tree) -> list[str]:
    """Heavy libraries imported at import time by a package that light commands load."""
    order = list(tree.marks)
    last = order.index(LIGHT_UP_TO)
    return [
        module.at(
            node, f"imports {name} at import time; import it in the function that needs it, or "
            "under TYPE_CHECKING for an annotation",
        )
        for module in tree.modules
        if module.package in (*order[: last + 1], "api", "cli")
        for node, name in tree.imports(module, at_import=True)
        if name.split(".")[0] in HEAVY
    ]  # fmt: skip


_LIST_HEAVY = """
import sys
{code}
print(*sorted({heavy!r} & set(sys.modules)))
"""


def heavy_modules_after(code: str, folder: Path, heavy: Sequence[str] = HEAVY) -> list[str]:
    """The heavy libraries that some code loads, run from a folder.

    Raises:
        AssertionError: the code fails.
    """
    script = _LIST_HEAVY.format(code=code, heavy={*heavy})
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return (done.stdout.splitlines() or [""])[-1].split()


# --------------------------------------------------------------------------------- calls and names


def calls(module: Module) -> Iterator[tuple[ast.Call, str]]:
    """Each call, with the name it calls as it is written."""
    for node in module.nodes():
        if isinstance(node, ast.Call):
            yield node, ast.unparse(node.func)


def prints(tree: Tree) -> list[str]:
    """Calls of `print` outside of cli and api/display."""
    return [
        module.at(node, "prints; yield an event, return the text, or raise a coded warning")
        for module in tree.modules
        if module.package != "cli" and module.relative.parts[:2] != ("api", "display")
        for node, name in calls(module)
        if name == "print"
    ]


def unsafe_code(tree: Tree) -> list[str]:
    """What could run foreign code: pickles, eval, code of a model repository."""
    broken = []
    for module in tree.modules:
        for node, name in tree.imports(module):
            if name.split(".")[0] in UNSAFE_MODULES:
                broken.append(module.at(node, f"imports {name}; use JSON or safetensors"))
        for call, name in calls(module):
            if name in UNSAFE_CALLS:
                broken.append(module.at(call, f"calls {name}; use JSON or safetensors"))
            broken += [
                module.at(call, "trust_remote_code must be the literal False")
                for keyword in call.keywords
                if keyword.arg == "trust_remote_code" and ast.unparse(keyword.value) != "False"
            ]
    return broken


def system_dependent(tree: Tree) -> list[str]:
    """What is another thing on another system: modules it lacks, its encoding, its line ends."""
    broken = []
    for module in tree.modules:
        if module.relative.as_posix() not in KNOWS_SYSTEMS:
            broken += [
                module.at(node, f"imports {name}, which not every system has")
                for node, name in tree.imports(module)
                if name in NOT_EVERYWHERE
            ]
        for node in module.nodes():
            if isinstance(node, ast.Call) and (lacking := _text_without(node)):
                broken.append(module.at(node, f"reads or writes text without {lacking}="))
    return broken


def _text_without(call: ast.Call) -> str | None:
    """The argument that a call needs to read or write the same text everywhere, if it lacks it."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func)
    named = {keyword.arg for keyword in call.keywords}
    if name == "open":
        arguments = call.args if isinstance(call.func, ast.Attribute) else call.args[1:]
        modes = [a.value for a in arguments if isinstance(a, ast.Constant)]
        is_text = all(isinstance(mode, str) and set(mode) <= set("rwaxt+") for mode in modes)
        if (arguments and not modes) or not is_text or ast.unparse(call.func) == "os.open":
            return None
        needed = ["encoding", *(["newline"] if set("".join(modes)) & set("wax") else [])]
    else:
        needed = {"read_text": ["encoding"], "write_text": ["encoding", "newline"]}.get(name, [])
    return next((argument for argument in needed if argument not in named), None)


def model_readers(tree: Tree) -> list[str]:
    """Files of a model read outside of `models`, which bounds and checks what they can do."""
    return [
        module.at(node, f"calls {node.attr}; use a function of tunesmith.models")
        for module in tree.modules
        if module.package != "models"
        for node in module.nodes()
        if isinstance(node, ast.Attribute) and node.attr in READS_MODELS
    ]


def vague_names(tree: Tree) -> list[str]:
    """Modules whose name does not say what they hold."""
    return [
        f"{module.relative.as_posix()}: name it after what it holds"
        for module in tree.modules
        if module.relative.stem in VAGUE
    ]


def unexplained_codes(tree: Tree) -> list[str]:
    """Codes of errors, warnings and notes that no entry of `explanations` explains."""
    known = {*explanations()}
    return [
        f"{module.relative.as_posix()}: explain {code} in src/tunesmith/explanations, in both "
        "languages, and run python -m docs.generate"
        for module in tree.modules
        for code in sorted({*re.findall(r'"([A-Z]\d{3})"', module.text)} - known)
    ]


def undocumented(tree: Tree) -> list[str]:
    """Modules without a docstring, or whose public names are not listed once each."""
    broken = []
    for module in tree.modules:
        if not ast.get_docstring(module.tree):
            broken.append(module.at(module.tree, "write a docstring: what the module does"))
        lists = [
            node
            for node in module.tree.body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        ]
        if not lists and module.relative.stem not in FRONT:
            broken.append(module.at(module.tree, "list the public names in __all__"))
        for node in lists:
            listed = ast.literal_eval(node.value)
            if len(listed) != len(set(listed)):
                broken.append(module.at(node, "__all__ names something twice"))
    return broken


def untested(tree: Tree, tests: Path) -> list[str]:
    """Modules of more than 60 lines without a test file of their own."""
    return [
        f"{module.relative.as_posix()}: add tests/{mirror.as_posix()}"
        for module in tree.modules
        if module.relative.stem not in FRONT
        and module.text.count("\n") > MAX_UNTESTED_LINES
        and not (
            tests / (mirror := module.relative.with_name(f"test_{module.relative.name}"))
        ).is_file()
    ]


def ignored_by_git(root: Path) -> list[str]:
    """Python files that git ignores, so that a commit would leave them out; none without git."""
    command = ["git", "ls-files", "--others", "--ignored", "--exclude-standard", "src", "tests"]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return []
    return [
        f"{path}: .gitignore hides it; narrow the pattern"
        for path in done.stdout.splitlines()
        if path.endswith(".py")
    ]


Rule = Callable[[Tree], Sequence[str]]
RULES: Mapping[str, Rule] = {
    rule.__name__: rule
    for rule in (
        unlisted_packages, wrong_imports, import_cycles, heavy_imports, prints, unsafe_code,
        system_dependent, model_readers, vague_names, unexplained_codes, undocumented,
    )
}  # fmt: skip
"""The rules that need nothing but the tree."""
