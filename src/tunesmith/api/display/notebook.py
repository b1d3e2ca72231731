"""Output of a training called from Python: in a script as on a terminal, in a notebook as HTML."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import IO, Any

from tunesmith.api.display.progress import Display, example_texts
from tunesmith.api.display.terminal import Bar, Terminal
from tunesmith.i18n import gettext as _
from tunesmith.text import html_text
from tunesmith.training.device import is_main_process

__all__ = ["NotebookTerminal", "PythonDisplay", "is_notebook", "terminal_here"]

_DRAW_EVERY_SECONDS = 0.2


def is_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


def terminal_here() -> Terminal:
    """Return the output of this process: the notebook if it is one, else stdout and stderr."""
    if not is_notebook():
        return Terminal(is_main=is_main_process())
    with warnings.catch_warnings():  # our bar needs no widgets
        warnings.filterwarnings("ignore", message="IProgress not found")
        import_module("tqdm.auto")
    return NotebookTerminal(is_main=is_main_process())


class NotebookTerminal(Terminal):
    """The output of a cell: everything in the order it is printed, and a bar of HTML."""

    @contextmanager
    def bar(self, total: int) -> Iterator[Bar | None]:
        """Show a bar in the output of the cell, which keeps its last state."""
        if not self.is_main:
            yield None
            return
        bar = _HtmlBar(total)
        try:
            yield bar
        finally:
            bar.draw()

    def _write(self, _stream: IO[str], *lines: str, style: str = "") -> None:
        super()._write(sys.stdout, *lines)  # a notebook shows stderr in red


class _HtmlBar:
    def __init__(self, total: int) -> None:
        self._ipython: Any = import_module("IPython.display")
        self._total = total
        self._text = ""
        self._step = 0
        self._start = self._last = time.monotonic()
        self._handle: Any = self._ipython.display(self._html(), display_id=True)

    def update(self, step: int, *, epoch: str, rate: str, text: str) -> None:
        now = time.monotonic()
        self._step = step
        left = (self._total - step) * (now - self._start) / step
        time_left = _("{time} left").format(time=_minutes(left))
        self._text = f"{epoch} · {step}/{self._total} · {rate} · {time_left} · {text}"
        if now - self._last >= _DRAW_EVERY_SECONDS:
            self._last = now
            self.draw()

    def print(self, line: str) -> None:
        sys.stdout.write(line + "\n")

    def draw(self) -> None:
        self._handle.update(self._html())

    def _html(self) -> Any:
        return self._ipython.HTML(
            f'<progress value="{self._step}" max="{self._total}"></progress> '
            f"<code>{html_text(self._text)}</code>"
        )


def _minutes(seconds: float) -> str:
    """Return a duration as minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


class PythonDisplay(Display):
    """Shows a run as the command line does, with the next step in Python."""

    def _finished_before(self) -> str:
        return _("this run is finished; restart=True begins again, out= names another folder")

    def _next_step(self) -> str:
        texts = [f'"{text}"' for text in example_texts(self._run.model)]
        argument = texts[0] if len(texts) == 1 else f"[({', '.join(texts)})]"
        return _("next   {code}").format(code=f'ts.load("{self._run.path}").predict({argument})')
