from __future__ import annotations

import ast
import json
import subprocess
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.interop.eject.proof import RUFF, assert_clean
from tunesmith.interop.eject.cells import Cell, Script, assignment, block, fitted, literal, stacked

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=120)
VALUES = st.recursive(
    st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=50)
@given(VALUES)
def test_a_literal_is_its_value(value: object) -> None:
    assert ast.literal_eval(literal(value)) == value
    assert ast.literal_eval(assignment("NAME", value).removeprefix("NAME = ")) == value


def test_assignments_are_formatted_as_ruff_does_it() -> None:
    values: list[object] = [
        1e16, 1e-08, 3.0, -2, True, None, "", "it's", 'say "so"', "'both' \"kinds\"", "back\\slash",
        "tab\tand\x00", "打印机又坏了", ["打印机又坏了"] * 9, [], {}, ["a"], {"a": 1, "b": [1, 2]},
        {"a": "x" * 90, "b": ["y" * 60, "z" * 60]}, [[i] * 20 for i in range(4)],
        *("x" * count for count in range(80, 105)), *(["x" * count] for count in range(80, 105)),
    ]  # fmt: skip
    text = "\n".join(assignment(f"NAME_{i}", value) for i, value in enumerate(values)) + "\n"
    done = subprocess.run(
        [RUFF, "format", "--isolated", "--line-length", "100", "--stdin-filename", "a.py", "-"],
        input=text.encode(),
        capture_output=True,
        check=True,
    )
    assert done.stdout.decode() == text


def test_a_remark_gives_way_to_the_value() -> None:
    assert assignment("A", 1, "one") == "A = 1  # one"
    assert "#" not in assignment("A", "x" * 80, "too long a remark")


def test_a_notebook_holds_the_cells_of_the_script() -> None:
    cells = [Cell("One", "x = json.dumps(1)", ("why",)), Cell("Two", "", ())]
    script = Script("A run", ("notes",), cells)
    notebook = json.loads(script.as_notebook())
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    kinds = [(cell["cell_type"], "".join(cell["source"])) for cell in notebook["cells"]]
    code = [source for kind, source in kinds if kind == "code"]
    titles = [source.splitlines()[0] for kind, source in kinds if kind == "markdown"]
    assert titles == ["# A run", "## One", "## Two"]
    assert code[-1].endswith("x = json.dumps(1)") and len(code) == 2
    assert [cell["id"] for cell in notebook["cells"]] == [f"cell-{i}" for i in range(5)]
    text = script.as_text()
    assert ast.get_docstring(ast.parse(text)) == "A run\n\nnotes"
    assert "# --- One ---\n#\n# why\n" in text and "x = json.dumps(1)" in text


def test_lines_that_are_false_are_left_out() -> None:
    assert block("a = 1", False, None, ["b = 2", "c = 3"], indent=1) == (
        "    a = 1\n    b = 2\n    c = 3"
    )


def test_a_call_is_broken_where_it_does_not_fit() -> None:
    assert fitted("f(", "x", ")") == ["f(x)"]
    assert fitted("f(", "x" * 98, ")") == ["f(", "    " + "x" * 98, ")"]


def test_functions_are_set_apart() -> None:
    assert stacked("a = 1", "b = 2", None, "def f():\n    pass\n", "c = f()") == (
        "a = 1\n\nb = 2\n\n\ndef f():\n    pass\n\n\nc = f()"
    )


def test_imports_follow_from_the_names(tmp_path: Path) -> None:
    code = "rows = [json.loads(np.str_(line)) for line in Dataset.from_list([])]"
    text = Script("A title", ["Why."], [Cell("Rows", code, ["Words. " * 30])]).as_text()
    imports = [ast.unparse(node) for node in ast.parse(text).body if "mport" in ast.unparse(node)]
    assert imports[1:] == ["import numpy as np", "from datasets import Dataset"]
    assert imports[0] == "import json"
    (tmp_path / "script.py").write_text(text)
    assert_clean(tmp_path / "script.py")


def test_words_cannot_end_the_docstring() -> None:
    text = Script('"""', ["C:\\new"], [Cell("One", "a = 1")]).as_text()
    assert ast.get_docstring(ast.parse(text)) == "'''\n\nC:/new"
