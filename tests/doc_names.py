"""Names of files, modules, functions and classes that the pages use, checked against the tree.

Checked is what is in backticks: `package/module.py`, `tunesmith.module.name`, `module.function`,
`Class.member` and `ts.name`. A dotted key of a recipe is one, whatever modules are called.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

_CODE_BLOCK = re.compile(r"^( *)```.*?^\1```", re.DOTALL | re.MULTILINE)
_PATH = re.compile(r"[\w./-]*[\w-]+\.py")
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.\w+)+(?=\(|$)")
OBJECTS = {"data", "evaluate", "model", "optimizer", "task", "trainer"}
"""Variables in pages, and libraries, that are also called like a module."""
SUFFIXES = {"bin", "csv", "html", "json", "jsonl", "md", "parquet", "pt", "safetensors", "yaml"}
IGNORED_FOLDERS = {".git", ".venv", "build", "dist", "__pycache__"}


class Names:
    """The files of a project, and what its modules define."""

    def __init__(self, root: Path, keys: frozenset[str] = frozenset()) -> None:
        """Read the tree.

        Args:
            root: the folder with `src/tunesmith`.
            keys: the dotted keys of a recipe.
        """
        self.root, self.keys = root, keys
        self.source = root / "src" / "tunesmith"

    @cached_property
    def paths(self) -> set[str]:
        """Every file and folder, with "/" in front so that an ending is one of whole names."""
        return {
            "/" + path.relative_to(self.root).as_posix()
            for path in self.root.rglob("*")
            if not IGNORED_FOLDERS.intersection(path.relative_to(self.root).parts)
        }

    @cached_property
    def modules(self) -> dict[str, dict[str, set[str]]]:
        """By dotted module: each name at its top, with the members of a class."""
        modules: dict[str, dict[str, set[str]]] = {}
        for path in self.source.rglob("*.py"):
            parts = path.relative_to(self.source.parent).with_suffix("").parts
            name = ".".join(parts).removesuffix(".__init__")
            modules[name] = _definitions(ast.parse(path.read_text(encoding="utf-8")))
        return modules

    @cached_property
    def classes(self) -> dict[str, set[str]]:
        """By name of a class: its members; "*" stands for those of its bases."""
        classes: dict[str, set[str]] = {}
        for names in self.modules.values():
            for name, members in names.items():
                if members:
                    classes.setdefault(name, set()).update(members)
        return classes

    def has_path(self, path: str) -> bool:
        """Whether a file or folder has this path, or one that ends with it."""
        ending = "/" + path.strip("/")
        return any(known.endswith(ending) for known in self.paths)

    def has_dotted(self, name: str) -> bool:
        """Whether a dotted name exists; true for names of other projects."""
        first, *rest = name.split(".")
        if name in self.keys or first in OBJECTS or rest[-1] in SUFFIXES:
            return True
        if first in ("ts", "tunesmith"):
            return self._resolves(["tunesmith", *rest])
        if first in self.classes:
            members = self.classes[first]
            return rest[0] in members or "*" in members
        homes = [module for module in self.modules if module.split(".")[-1] == first]
        return not homes or any(self._resolves([*home.split("."), *rest]) for home in homes)

    def missing_imports(self, path: Path) -> list[str]:
        """The names that a script imports from tunesmith and that do not exist."""
        imported = [
            f"{node.module}.{alias.name}"
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tunesmith")
            for alias in node.names
        ]
        return [name for name in imported if not self._resolves(name.split("."))]

    def unknown_in_package(self, package: Path) -> list[str]:
        """The words in backticks in the docstring of a package that are no names in it."""
        docstring = ast.get_docstring(ast.parse((package / "__init__.py").read_text("utf-8"))) or ""
        name = ".".join(package.relative_to(self.source.parent).parts)
        inside = {module for module in self.modules if module.startswith(name)}
        known = {path.stem for path in package.iterdir()}
        known |= {each for module in inside for each in self.modules[module]}
        words = re.findall(r"`([a-z_]\w*)`", docstring)
        return [word for word in words if word not in known]

    def _resolves(self, parts: list[str]) -> bool:
        for end in range(len(parts), 0, -1):
            module = ".".join(parts[:end])
            if module in self.modules:
                rest, names = parts[end:], self.modules[module]
                if not rest:
                    return True
                if rest[0] not in names:
                    return False
                members = names[rest[0]]
                return len(rest) == 1 or not members or rest[1] in members or "*" in members
        return False


def _definitions(tree: ast.Module) -> dict[str, set[str]]:
    """The names at the top of a module, with the members of classes."""
    names: dict[str, set[str]] = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            names[node.name] = _members(node)
        elif isinstance(node, ast.FunctionDef):
            names[node.name] = set()
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            stored = (each for each in ast.walk(node) if isinstance(each, ast.Name))
            names |= {each.id: set() for each in stored if isinstance(each.ctx, ast.Store)}
            if ast.unparse(node).startswith("__all__"):
                names = {name: set() for name in ast.literal_eval(ast.unparse(node.value))} | names
    return names


def _members(node: ast.ClassDef) -> set[str]:
    """What a class defines; "*" if it inherits, since members may come from its bases."""
    plain = ("ABC", "Protocol", "NamedTuple")
    members = {"*"} if any(ast.unparse(base) not in plain for base in node.bases) else set()
    for part in ast.walk(node):
        if isinstance(part, ast.FunctionDef):
            members.add(part.name)
        elif isinstance(part, ast.AnnAssign | ast.Assign):
            targets = part.targets if isinstance(part, ast.Assign) else [part.target]
            members |= {ast.unparse(target).removeprefix("self.") for target in targets}
    return members or {"*"}


def backticked(text: str) -> Iterator[str]:
    """What is in backticks in the prose of a page."""
    yield from re.findall(r"`([^`\n]+)`", _CODE_BLOCK.sub("", text))


def unknown_names(text: str, names: Names) -> list[str]:
    """The names of a page that do not exist."""
    unknown = []
    for code in backticked(text):
        dotted = _DOTTED.match(code)
        if _PATH.fullmatch(code):
            is_known = names.has_path(code)
        else:
            is_known = dotted is None or names.has_dotted(dotted[0])
        if not is_known:
            unknown.append(code)
    return unknown
