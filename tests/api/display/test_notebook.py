"""What a training shows from Python; a real notebook is run cell by cell."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest

import tunesmith as ts
from tunesmith.api.display import notebook as showing
from tunesmith.api.display.notebook import NotebookTerminal, is_notebook, terminal_here
from tunesmith.api.display.terminal import Terminal

ROWS = [
    {"text": f"the {'soup' if i % 2 else 'rice'} {i} is <b>good</b>", "label": "ab"[i % 2]}
    for i in range(40)
]
CELLS = {
    "train": f"""
import tunesmith as ts
rows = {ROWS!r}
run = ts.train(rows, model="embedded:mini", out="run", epochs=1, max_length=16)
""",
    "run": "run",
    "predict": "ts.load(run.model).predict(rows[:12])",
    "scores": "ts.load(run.model).evaluate(rows)",
    "again": "ts.train(rows, model='embedded:mini', out='run', epochs=1, max_length=16);",
    "quiet": "ts.train(rows, model='embedded:mini', out='run', epochs=1, max_length=16, "
    "verbose=False);",
    "missing": "ts.train('none.csv', out='other')",
    "misspelled": "ts.train(rows, epoch=3)",
}


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """The outputs of each cell."""
    notebook = nbformat.v4.new_notebook()  # type: ignore[no-untyped-call]
    notebook.cells = [nbformat.v4.new_code_cell(code) for code in CELLS.values()]  # type: ignore[no-untyped-call]
    folder = tmp_path_factory.mktemp("notebook")
    client = nbclient.NotebookClient(
        notebook,
        timeout=240,
        kernel_name="python3",
        allow_errors=True,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()
    return dict(zip(CELLS, (cell.outputs for cell in notebook.cells), strict=True))


def text_of(outputs: list[Any]) -> str:
    assert {output.name for output in outputs if output.output_type == "stream"} <= {"stdout"}
    return "".join(output.text for output in outputs if output.output_type == "stream")


def html_of(outputs: list[Any]) -> str:
    (html,) = [o.data["text/html"] for o in outputs if o.output_type == "execute_result"]
    return str(html)


@pytest.mark.filterwarnings("ignore")
def test_a_notebook(cells: dict[str, list[Any]]) -> None:
    text = text_of(cells["train"])
    for words in (
        "run run\n",
        "  task = text-classification  (2 classes in column label)",
        "  data.text = text  (by its name)",
        "  data.validation = 10%",
        "train: 36 rows",
        "5 steps, 1 epoch of 36 rows, batch size 8",
        "warning ",
        "validation f1",
        "majority class",
        'next   ts.load("run").predict("…")',
    ):
        assert words in text, words
    (bar,) = [o.data["text/html"] for o in cells["train"] if o.output_type == "display_data"]
    assert '<progress value="5" max="5">' in bar
    assert "5/5" in bar and "s/it" in bar and "loss " in bar
    # objects as tables, whatever is in the data
    run = html_of(cells["run"])
    assert run.count("<table>") == 1
    assert "<strong>run</strong> · finished" in run
    assert ">95%</th>" in run and ">accuracy</td>" in run
    assert 'href="run/report.html"' in run
    predicted = html_of(cells["predict"])
    assert "<caption>12 rows</caption>" in predicted
    assert predicted.count("<tr>") == 11
    assert "the rice 0 is &lt;b&gt;good&lt;/b&gt;" in predicted and "<b>" not in predicted
    assert "to " in html_of(cells["scores"]) and ">f1</td>" in html_of(cells["scores"])
    # the same call again, and without a word
    again = text_of(cells["again"])
    assert "this run is finished; restart=True begins again" in again
    assert "loading torch" not in again
    assert cells["quiet"] == []
    # errors are their message
    (error,) = cells["missing"]
    assert error.traceback[0] == "error D105 none.csv: no such file or folder"
    assert not any("/tunesmith/" in line for line in error.traceback)
    (error,) = cells["misspelled"]
    assert error.traceback == [
        'error R151 epoch: train() has no keyword "epoch"', '  did you mean "epochs=3"?',
    ]  # fmt: skip


def test_a_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words: dict[str, Any] = {"model": "embedded:mini", "out": tmp_path / "run", "max_steps": 2}
    run = ts.train(ROWS, **words)
    said = capsys.readouterr()
    assert "task = text-classification" in said.err
    assert "2 steps, 0.4 epochs of 36 rows" in said.err
    assert f'next   ts.load("{run.folder}").predict("…")' in said.err
    assert f"{run.scores['accuracy']:.4f}" in said.out
    assert ts.train(ROWS, **words, verbose=False) == run
    assert ts.train(ROWS, **words | {"max_steps": 1, "restart": True}, verbose=False) == run
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")


def test_texts_of_a_pair_in_the_next_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"text": row["text"], "text_pair": "x y", "label": row["label"]} for row in ROWS]
    ts.train(
        rows, text="text", text_pair="text_pair", label="label", max_steps=1,
        model="embedded:mini", out=tmp_path / "run",
    )  # fmt: skip
    assert '.predict([("…", "…")])' in capsys.readouterr().err


class Handle:
    """A stand-in for IPython's handle of an output."""

    def __init__(self, drawn: list[str]) -> None:
        self._drawn = drawn

    def update(self, html: str) -> None:
        self._drawn.append(html)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a bar in a notebook draws, in order."""
    html: list[str] = []

    def display(first: str, *, display_id: bool) -> Handle:
        assert display_id
        html.append(first)
        return Handle(html)

    ipython = types.SimpleNamespace(display=display, HTML=str)
    monkeypatch.setattr(showing, "import_module", lambda _name: ipython)
    return html


def test_a_bar_is_drawn_now_and_then_and_at_its_end(
    drawn: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 100.0
    monkeypatch.setattr(showing.time, "monotonic", lambda: now)
    with NotebookTerminal().bar(80) as bar:
        assert bar is not None
        for step in range(1, 41):
            now += 0.125
            bar.update(step, epoch="e", rate="r", text="<w>")
        bar.print("a line")
        assert len(drawn) == 1 + 20
        now += 85
        bar.update(45, epoch="e", rate="r", text="<w>")
        bar.update(46, epoch="e", rate="r", text="<w>")
    assert drawn[0] == '<progress value="0" max="80"></progress> <code></code>'
    assert drawn[-1] == (
        '<progress value="46" max="80"></progress> '
        "<code>e · 46/80 · r · 1:07 left · &lt;w&gt;</code>"
    )
    assert capsys.readouterr().out == "a line\n"


def test_the_bar_is_drawn_as_soon_as_it_may_be(
    drawn: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(showing.time, "monotonic", lambda: now)
    with NotebookTerminal().bar(9) as bar:
        assert bar is not None
        now = showing._DRAW_EVERY_SECONDS
        bar.update(1, epoch="e", rate="r", text="w")
        assert len(drawn) == 2
        now = 1.99 * showing._DRAW_EVERY_SECONDS
        bar.update(2, epoch="e", rate="r", text="w")
        assert len(drawn) == 2


def test_other_processes_draw_nothing(drawn: list[str]) -> None:
    with NotebookTerminal(is_main=False).bar(3) as bar:
        assert bar is None
    assert drawn == []


def test_a_notebook_is_recognized_by_its_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_notebook()
    assert type(terminal_here()) is Terminal
    shells = {"kernel": types.SimpleNamespace(kernel=1), "none": types.SimpleNamespace()}
    for name, shell in {**shells, "nothing": None}.items():
        fake = types.SimpleNamespace(get_ipython=lambda shell=shell: shell)
        monkeypatch.setitem(sys.modules, "IPython", fake)  # type: ignore[arg-type]
        assert is_notebook() is (name == "kernel")
        assert type(terminal_here()) is (NotebookTerminal if name == "kernel" else Terminal)
