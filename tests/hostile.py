"""Thirty hostile strings, and what sees whether one of them did something."""

from __future__ import annotations

from html.parser import HTMLParser

from tunesmith.text import escape_controls

OWNED = "document.title='owned'"

HOSTILE = {
    "script": f"<script>{OWNED};alert(1)</script>",
    "attribute": f'"><img src=x onerror="{OWNED};alert(1)">',
    "style": f"</style><script>{OWNED}</script>",
    "title": f'</title><svg onload="{OWNED}">',
    "scheme": "javascript:alert(1)",
    "template": "{{ 7 * 7 }}{% raw %} {0} {name} %s %(a)s ${7*7}",
    "handler": "' onmouseover='alert(1)",
    "comment": "<!-- --><base href=//evil.example><!-- /calibration -->",
    "escaped": "&lt;script&gt;alert(1)&lt;/script&gt; &#x202e; &amp;",
    "frame": f"<iframe srcdoc='<script>parent.{OWNED}</script>'>",
    "closing": "</pre></section></table><form action=//evil.example>",
    "direction": "\u202egnp.exe\u202c \u2067x\u2069 \u200f",
    "controls": "\x00\x08\x1b[2J\x1b[31mred\x7f",
    "maths": f'<math><mtext><table><mglyph><style><img src=x onerror="{OWNED}">',
    "image": "![x](http://evil.example/x.png)",
    "link": "[x](javascript:alert(1)) <http://evil.example> www.evil.example",
    "table": "| a | b |\n|---|---|\n\n# heading\n\n* * *\n",
    "fence": "```\n</pre>\n```python\n~~~ `x` ``y``",
    "front matter": "---\nlibrary_name: evil\n---\n<!-- calibration -->",
    "yaml": "'\"&a *a !!python/object:os.system {a: b, c: [d]} # no\n%YAML 1.1\n: ? - |",
    "hyperlink": "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "terminal title": "\x1b]0;owned\x07 \x9b2J \x9d0;owned\x9c",
    "overwriting": "fine\rerror\r\nerror C999: forged\n\nerror C999: forged",
    "no width": "a\u200bb\ufeffc\u00add\U000e0041e\u2060",
    "separators": "one\u2028two\u2029three\x85four\x0bfive\x0csix\x1cseven",
    "markup": "[bold]x[/bold] [link=http://evil.example]y[/link] [/] \\[red]",
    "path": "../../../etc/passwd ~ $HOME C:\\aux",
    "formula": "=cmd|'/C calc'!A0 @SUM(1) +1 -1\t",
    "long": "<b>a long one</b> " * 300,
    "joined": "👩\u200d🔧 👨\u200d👩\u200d👧 ❤️ e\u0301 می\u200cخواهم 打印机",
}
"""By what each tries. What they would run is seen in the title of the page."""

_EMPTY = {"meta", "img", "base", "circle", "line", "polyline", "link", "input", "br"}
_OURS = set(
    "html head meta title style body header h1 h2 p dl div dt dd small nav a main section ul li "
    "pre figure figcaption svg line polyline circle text span table caption thead tbody tr th td "
    "footer strong code".split()
)


def as_name(text: str) -> str:
    """The same as the name of a file or folder, as far as the disk takes it."""
    name = text.replace("/", "\u2215").replace("\x00", "\u2400")
    return name.encode("utf-8", "surrogateescape")[:180].decode("utf-8", "ignore")


def live_lines(said: str) -> list[str]:
    """The lines of what a command said that would steer a terminal, or that data made."""
    lines = said.split("\n")
    return [
        line
        for line in lines
        if escape_controls(line, keep="\t") != line or "error C999" in line[:10]
    ]


class Elements(HTMLParser):
    """What a page is made of.

    Attributes:
        tags: every element that opens, in order.
        title: of the page.
        attributes: theirs.
        words: all other text outside the style.
        faults: elements and attributes that no template of ours writes, and tags without partner.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.title = self.words = ""
        self.faults: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in _EMPTY:
            self._open.append(tag)
        names = [name for name, _value in attrs if name.startswith("on") or name == "srcdoc"]
        targets = [str(value) for name, value in attrs if name in ("href", "src", "action")]
        self.faults += [tag] * (tag not in _OURS) + names
        self.faults += [target for target in targets if not target.startswith("#s")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _EMPTY:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _EMPTY and (not self._open or self._open.pop() != tag):
            self.faults.append(f"/{tag}")

    def handle_comment(self, data: str) -> None:
        if data.strip() not in ("calibration", "/calibration"):
            self.faults.append("comment")

    def handle_data(self, data: str) -> None:
        if self._open[-1:] == ["title"]:
            self.title += data
        elif self._open[-1:] != ["style"]:
            self.words += data
