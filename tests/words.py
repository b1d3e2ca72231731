"""The words of the project, checked: plain American English with the terms of the field.

`python -m tests.words [PATH ...]` prints where a banned word or name is used, and what to write.
Texts are docstrings, comments, messages and the prose of Markdown files; code blocks and code
in backticks are not. Names are those a file binds: variables, arguments, functions, classes.
Chinese pages and the catalog use the terms of docs/terms.md.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import sys
import tokenize
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]

PHRASES = {
    r"hang(s|ing)? on": "depends on",
    r"(is|are|was|were|be|been|being) told": "is reported, is shown",
    r"told": "reported, shown; a name for what it holds",
    r"untold": "not reported",
    r"mend(s|ed|ing)?": "fix, fixed",
    r"stands(?! for)|stood(?! for)": "is in, is at",
    r"stand(ing)? (in|on|under|beside|there|at|alone|still|next)": "is in, is at",
    r"(as|the way|where|wherever) (it|they|one|each) stands?": "unchanged, as is",
    r"(lies?|lying|lay) (in|on|under|at|there|beside|outside|inside|within|next|where)": "is in",
    r"(cannot|can|could|to|not) be had": "is (not) available, is (not) supported",
    r"anew": "again, from scratch",
    r"whoever": "the caller, the code that",
    r"(some|no|any)body": "the user, no one, anyone",
    r"an? persons?": "a user",
    r"persons": "users",
    r"person's own": "custom, your own",
    r"people": "users",
    r"tells? (of|nothing|about|what|how|which|who|whether|why)": "report, show",
    r"inert": "escaped",
    r"in hand|in play": "current",
    r"learnt": "learned",
    r"spelt|spoilt|burnt|dreamt": "the American past tense in -ed",
    r"(?<!fill.)(?<!fills.)(?<!filled.)in words": "as text",
    r"beside": "next to, with, in addition to",
    r"besides": "in addition",
    r"(always )?the same answer": "majority class, constant prediction",
    r"counting words|counts? of words": "TF-IDF baseline",
    r"rows a step": "batch size",
    r"(a|the|this|each|every|its|their|any|no) share": "fraction",
    r"shares? of": "fraction of",
    r"unsure": "abstained, uncertain",
    r"sureness": "confidence",
    r"(this|that|the|a|each|every|which) room|rooms": "package, module; space",
    r"(the|a|this|our) house|house rules?": "the package, project rule",
    r"dress(es|ed|ing)?|undress(es|ed)?": "patch, patched",
    r"worn|wears?": "patched, patches",
    r"at rest": "unpatched, plain; at the end of a step",
    r"ailments?": "failure, failure mode",
    r"afresh": "again, from scratch",
    r"naught|nought": "zero, nothing",
    r"hand(s|ed|ing)? down": "pass, delegate",
    r"take(s|n)? off": "remove",
    r"put(s|ting)? away": "save, remove",
    r"(is|are|was|were|has been|have been) asked( for)?(?! about)": "is requested, is set",
    r"(was|were|is|are) wanted": "is requested",
    r"taken for": "read as, treated as",
    r"reckon(s|ed|ing)?": "compute",
    r"heed(s|ed)?": "follow",
    r"likeness(es)?": "similarity",
    r"made ready|make(s)? ready": "prepared",
    r"the one who|those who": "the user, the caller",
    # British spellings
    r"(un|mis|re)?label(l)(ed|ing|er)": "one l: labeled",
    r"modell(ed|ing)": "modeled",
    r"cancell(ed|ing)|travell(ed|ing)|signall(ed|ing)|levell(ed|ing)|totall(ed|ing)": "one l",
    r"colou(r)(s|ed|ing|less)?": "color",
    r"behaviou(r)(s|al)?": "behavior",
    r"(un)?favou(r)(s|ed|ing|ite|able)?": "favor",
    r"(dis)?honou(r)(s|ed|ing)?": "honor",
    r"neighbou(r)(s|ed|ing|hood)?": "neighbor",
    r"catalogue(s|d)?|dialogue box|analogue": "catalog",
    r"centre(s|d)?|metres?|fibre": "-er: center",
    r"analys(e|ed|es|ing)(?<!analyses)": "analyze",
    r"licence(s|d)?": "license",
    r"defence|offence|pretence": "-se: defense",
    r"judgement|acknowledgement": "without the e: judgment",
    r"artefacts?": "artifact",
    r"grey(s|ed)?": "gray",
    r"whilst|amongst": "while, among",
    r"(un|re|de|pre)?(normal|token|initial|optim|recogn|organ|summar|serial|quant|random|minim|maxim"
    r"|general|special|standard|memor|real|synchron|visual|categor|character|emphas|regular"
    r"|parallel|vector|material|final|util|local|global|capital|custom|formal|stabil|author|item"
    r"|critic|priorit|symbol|penal|central|binar|discret|linear|factor|modern|italic|anonym"
    r"|canonical|apolog|crystall|hypothes|sanit)is(e|ed|es|ing|ation|ations|er|ers|able)": "-ize",
}
"""What is not written, as a regular expression of whole words, and what to write."""

BOUND_NAMES = {
    "found": "what it holds: matches, row, problems",
    "told": "what it holds: reported, messages",
    "given": "what it holds: arguments, inputs",
    "wanted": "what it holds: expected, requested",
    "kept": "what it holds: rows, retained",
    "asked": "what it holds: requested, settings",
    "noted": "what it holds: metadata",
}

DEFINITIONS = {
    "Emphasis": "LossWeights",
    "Verdict": "Significance, ProbeResult, Diagnosis",
    "Choice": "ModelSelection",
    "Chooser": "ModelSelection",
    "Chosen": "EngineSelection",
    "Way": "EngineSelection",
    "halve": "halve_micro_batches",
    "attempt": "try_accumulate",
    "_Step": "_PendingStep",
    "reads_every": "sync_every",
    "_reads_every": "_sync_every",
    "at_rest": "plain_model",
    "_dress": "_patch",
    "_worn": "_patches",
    "InHand": "PackContext",
    "laid": "pack",
    "bind": "with_tokenizer",
    "suits": "matches",
    "recall": "predictions_from_scores",
    "shows_any_token": "uses_full_vocabulary",
    "names_in": "parse_label",
    "label_in_words": "format_label",
    "Look": "ResolvedInputs",
    "Checked": "ValidatedInputs",
    "Job": "PreparedRun",
    "Started": "OpenRun",
    "Around": "WrappedSource",
    "Without": "FilteredSource",
    "Respelt": "NormalizedLabels",
    "Doubt": "LabelIssue",
    "Judged": "RowError",
    "Answered": "HeldOut",
    "Examined": "ErrorAnalysis",
    "Stretch": "TrainerSession",
    "Host": "TrainerLike",
    "Followed": "ScheduledOptimizer",
    "Sureness": "Confidence",
    "AILMENTS": "FAILURE_RULES",
    "Tally": "ClassReport",
    "Measures": "CalibrationReport",
    "Fit": "CalibrationResult",
    "inert": "escape_controls",
    "typed": "shell_quoted",
    "mark": "gettext_noop",
    "PlainError": "TunesmithError",
    "untold": "take_warnings",
    "asked_by": "named_after",
    "own_scores": "custom_metrics",
    "mixed": "splitmix64",
    "uniform": "uniform_at",
}
"""Old names of classes and functions; only their definition counts, so other uses are free."""

GETTEXT = {"_", "N_", "gettext", "ngettext", "gettext_noop"}
TEXTS = ("docs", "README.md", "README.zh-CN.md", "CHANGELOG.md", "CONTRIBUTING.md")
CODE = ("src", "tests", "benchmarks", "pretraining", "examples")
CATALOG = "src/tunesmith/locale/zh/LC_MESSAGES/tunesmith.po"
TERMS = ROOT / "docs" / "terms.md"
SELF = {"tests/words.py", "tests/test_words.py", "docs/terms.md"}
DATA = ("src/tunesmith/data/embedded/", "src/tunesmith/locale/")
"""Files whose strings are data: sentences of the embedded data sets."""


@dataclass(frozen=True)
class Hit:
    """One banned word: its line, what is written there and what to write."""

    path: str
    line: int
    text: str
    instead: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text!r} -> {self.instead}"


def _pattern(phrase: str) -> str:
    return r"\s+".join(phrase.split(" "))


_PATTERNS = [
    (re.compile(rf"(?<![\w-])(?:{_pattern(phrase)})(?![\w])", re.IGNORECASE), instead)
    for phrase, instead in PHRASES.items()
]
_ANY = re.compile("|".join(pattern.pattern for pattern, _instead in _PATTERNS), re.IGNORECASE)


def in_text(text: str) -> Iterator[tuple[int, str, str]]:
    """Offset, words and replacement of each banned phrase; longer phrases win over parts."""
    text = re.sub(r"``.+?``|`[^`\n]+`", lambda code: "\0" * len(code[0]), text)
    if not _ANY.search(text):
        return
    end = 0
    matches = (
        (match.start(), -match.end(), match[0], instead)
        for pattern, instead in _PATTERNS
        for match in pattern.finditer(text)
    )
    for start, minus_end, words, instead in sorted(matches):
        if start >= end:
            yield start, " ".join(words.split()), instead
            end = -minus_end


@cache
def in_name(name: str) -> tuple[tuple[str, str], ...]:
    """A bound name, and the banned phrase its words make."""
    return tuple(_in_name(name))


def _in_name(name: str) -> Iterator[tuple[str, str]]:
    if instead := BOUND_NAMES.get(name):
        yield name, instead
    elif "_" in name or name.islower():
        for _start, words, instead in in_text(name.strip("_").replace("_", " ")):
            if words not in BOUND_NAMES:
                yield f"{name} ({words})", instead


def bound(nodes: Iterable[ast.AST]) -> Iterator[tuple[int, str]]:
    """Line and name of everything a file binds itself; what it imports keeps its name."""
    for node in nodes:
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                yield node.lineno, name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield node.lineno, name
            case ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.alias(asname=str(name)):
                yield node.lineno, name
            case ast.ExceptHandler(name=str(name)):
                yield node.lineno, name


def _docstrings(nodes: Iterable[ast.AST]) -> set[int]:
    """The ids of the nodes that are documentation: also of attributes."""
    return {
        id(node.value)
        for node in nodes
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def _messages(nodes: Iterable[ast.AST]) -> set[int]:
    """The ids of the constants that gettext translates."""
    return {
        id(part)
        for call in nodes
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id in GETTEXT
        for argument in call.args
        for part in ast.walk(argument)
    }


def _line(node: ast.Constant, lines: list[str], words: str, offset: int) -> int:
    """Where the words of a string are: it may have many lines, and pieces."""
    end = node.end_lineno or node.lineno
    first = words.split(maxsplit=1)[0]
    guess = node.lineno + str(node.value).count("\n", 0, offset)
    for number in (*range(guess, end + 1), *range(node.lineno, guess)):
        if first in lines[number - 1]:
            return number
    return node.lineno


def _comments(source: str) -> Iterator[tuple[int, str]]:
    """Comments; lines that follow each other are one text."""
    if "#" not in source:
        return
    start, texts, last = 0, [""], -1
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            line = token.start[0]
            if line != last + 1:
                yield start, "\n".join(texts)
                start, texts = line, []
            texts.append(token.string.lstrip("#"))
            last = line
    yield start, "\n".join(texts)


def in_code(source: str, path: str) -> Iterator[Hit]:
    """Banned words in the texts and bound names of a Python file."""
    nodes, lines = list(ast.walk(ast.parse(source))), source.splitlines()
    documented, translated = _docstrings(nodes), _messages(nodes)
    shown = not path.startswith(("tests/", *DATA))  # strings of tests are inputs and expectations
    for node in nodes:
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        text = node.value
        if id(node) in documented or (shown and (id(node) in translated or " " in text)):
            for offset, words, instead in in_text(text):
                yield Hit(path, _line(node, lines, words, offset), words, instead)
    for start, text in _comments(source):
        for offset, words, instead in in_text(text):
            yield Hit(path, start + text.count("\n", 0, offset), words, instead)
    for line, name in bound(nodes):
        for words, instead in in_name(name):
            yield Hit(path, line, words, instead)
    for node in nodes:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name in DEFINITIONS:
            yield Hit(path, node.lineno, node.name, DEFINITIONS[node.name])


def in_markdown(text: str, path: str) -> Iterator[Hit]:
    """Banned words in the prose of a Markdown file; its code blocks are left out."""
    blank = re.compile(r"^( *)(```+|~~~+).*?^\1\2[^\n]*$|<!--.*?-->", re.DOTALL | re.MULTILINE)
    prose = blank.sub(lambda block: re.sub(r"[^\n]", "\0", block[0]), text)
    prose = re.sub(r"\]\([^)\n]*\)", lambda link: "\0" * len(link[0]), prose)
    starts = [0, *(match.end() for match in re.finditer("\n", prose))]
    for offset, words, instead in in_text(prose):
        yield Hit(path, bisect_right(starts, offset), words, instead)


@cache
def chinese_terms() -> dict[str, str]:
    """Terms that Chinese texts do not use, each with the one they use, from docs/terms.md."""
    rows = re.findall(
        r"^\| (.+) \| (.+) \| (.+) \|$", TERMS.read_text(encoding="utf-8"), re.MULTILINE
    )
    return {word: term for _english, term, others in rows[1:] for word in others.split("、")}


def in_chinese(text: str, path: str) -> Iterator[Hit]:
    """Other terms than those of the list, and half-width punctuation between Chinese words."""
    for number, line in enumerate(text.splitlines(), 1):
        for word, term in chinese_terms().items():
            if word in line:
                yield Hit(path, number, word, term)
        for match in re.finditer(r"[\u4e00-\u9fff][,;:?!](?=[\u4e00-\u9fff])|您", line):
            yield Hit(
                path, number, match[0], "full-width punctuation" if match[0] != "您" else "你"
            )


_WIDE = "[\u3000-\u303f\u3400-\u9fff\uff00-\uffef“”]"
_BLOCK = re.compile(r"\s*([#|>]|[-*+] |\d+\. |<|!\[|\[\^|\$\$| {4}\*\*)")
"""Begins a block, or another tool in a footnote of the comparison."""


def broken_lines(page: str, path: str) -> Iterator[Hit]:
    """Line ends next to Chinese characters: a page shows them as spaces."""
    before, in_code = "", False
    for number, line in enumerate(page.splitlines()):
        is_fence = line.lstrip().startswith("```")
        in_code ^= is_fence
        if (
            line
            and before
            and not (in_code or is_fence or _BLOCK.match(line))
            and before[0] not in "|#<"
        ):
            begins = re.match(rf"\s*[*`\[]*{_WIDE}", line)
            if re.search(rf"{_WIDE}$", before) and (begins or before[-1] in "，。；：、！？（）”"):
                yield Hit(path, number, before[-4:], "no line end next to Chinese: it is a space")
        before = "" if is_fence else line


def in_file(path: Path) -> list[Hit]:
    """The banned words of one file, by line."""
    name = path.resolve().relative_to(ROOT).as_posix()
    text = path.read_text(encoding="utf-8")
    hits: list[Hit] = []
    if path.suffix == ".py":
        hits += in_code(text, name)
    if path.suffix == ".md":
        hits += in_markdown(text, name)
    if name == CATALOG or name.startswith("docs/zh/") or name.endswith(".zh-CN.md"):
        hits += in_chinese(text, name)
        hits += broken_lines(text, name) if path.suffix == ".md" else ()
    return sorted(hits, key=lambda hit: (hit.line, hit.text))


def files(paths: Iterable[Path] = ()) -> list[Path]:
    """The Python and Markdown files under paths; by default all of the project."""
    roots = [path.resolve() for path in paths] or [ROOT / name for name in (*CODE, *TEXTS)]
    every = {
        file
        for root in roots
        for file in ([root] if root.is_file() else root.rglob("*"))
        if file.suffix in {".py", ".md", ".po"}
    }
    return sorted(f for f in every if f.relative_to(ROOT).as_posix() not in SELF)


def main() -> int:
    """Print every hit under the paths of the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.words", description=__doc__)
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH")
    hits = [hit for path in files(parser.parse_args().paths) for hit in in_file(path)]
    print(*hits, sep="\n", end="\n" if hits else "")
    return 1 if hits else 0


if __name__ == "__main__":
    sys.exit(main())
