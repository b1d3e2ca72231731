"""The notebook of the examples: `python -m tests.notebook` runs it and writes its outputs.

Outputs are committed, so that the page on GitHub shows them. Ids of cells are stable, and nothing
about the machine is written, so that a diff shows what has changed.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import nbclient
import nbformat

from tests.examples import EXAMPLES, copied

NOTEBOOK = EXAMPLES / "notebook" / "tickets.ipynb"

_VARIES = re.compile(r"\d{4}-\d\d-\d\dT[\d:]+|-?\d+\.\d+(?:e-?\d+)?|eta=\d+s|\d+/\d+|\d+:\d\d")


def run(folder: Path) -> Any:
    """Run the notebook in a copy of the examples under `folder`, and return it with outputs."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    where = copied(NOTEBOOK.parent, folder / "examples")
    resources = {"metadata": {"path": str(where)}}
    nbclient.NotebookClient(
        notebook, timeout=240, kernel_name="python3", resources=resources
    ).execute()
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = _joined(cell.outputs)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def _joined(outputs: list[Any]) -> list[Any]:
    """Join lines that were printed one after the other."""
    joined: list[Any] = []
    for output in outputs:
        before = joined[-1] if joined else None
        if before is not None and before.output_type == output.output_type == "stream":
            before.text += output.text
        else:
            joined.append(output)
    return joined


def texts(notebook: Any) -> list[str]:
    """Return what each cell shows, apart from times and decimals."""
    shown = []
    for cell in notebook.cells:
        parts = []
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            parts.append(output.get("text") or data.get("text/html") or data.get("text/plain"))
        text = _VARIES.sub("#", "\n".join(parts))
        shown.append(re.sub(r"0x[0-9a-f]+|[ \t]+", " ", text))
    return shown


def write() -> None:
    """Run the notebook and write it with its outputs."""
    with tempfile.TemporaryDirectory() as folder:
        notebook = run(Path(folder))
    NOTEBOOK.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    write()
