"""`reference/errors.md`: every error, warning and note, with message, cause and fix."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from docs.generate.codes import Codes, Use
from docs.generate.templates import Template
from docs.generate.text import Text, prose, table

from tunesmith.errors import Severity
from tunesmith.explanations import Explanation, explanations
from tunesmith.i18n import gettext as _
from tunesmith.i18n import ngettext

__all__ = ["faults", "page"]

PAGE = Path(__file__).parents[1] / "reference" / "errors.md"

EXIT_CODES: dict[int, Text] = {
    0: Text("Done. Warnings and notes do not change it.", "完成。警告和提示不影响它。"),
    1: Text(
        "A score is worse than `--fail-under` allows; or a launcher restarts in vain.",
        "分数比 `--fail-under` 要求的差；或者启动器反复重启，运行却没有进展。",
    ),
    2: Text(
        "The command line, the recipe, a call or the name of a model is wrong.",
        "命令行、配方、调用或模型名称有误。",
    ),
    3: Text("The data cannot be used.", "数据无法使用。"),
    4: Text(
        "Memory, disk, device or network do not suffice, or a package is missing.",
        "内存、磁盘、设备或网络不足，或缺少软件包。",
    ),
    5: Text("Another process uses the run folder.", "另一个进程正在使用运行文件夹。"),
    6: Text(
        "Something is damaged, changed since the run began, or diverged.",
        "内容损坏、运行开始后被改变，或训练发散。",
    ),
    70: Text("A bug in Tunesmith.", "Tunesmith 的缺陷。"),
    75: Text(
        "Stopped on request after saving; the same command continues.",
        "保存后按请求停止，再次运行同一命令即可继续。",
    ),
    130: Text("The same after Ctrl-C.", "同上，由 Ctrl-C 引起。"),
}
"""What the exit codes of the classes in `tunesmith.errors` mean."""

AREAS: dict[str, Text] = {
    "R10|R11[0-5]|R12[45]|R139|R150|R18[89]|R19[015]|R20[345]": Text(
        "Recipe, options and tasks", "配方、选项和任务"
    ),
    "R": Text(
        "Python interface, predictions, comparisons and scripts", "Python 接口、预测、比较和脚本"
    ),
    "D1": Text("Files and sources", "文件和数据来源"),
    "D2": Text("Labels", "标签"),
    "D3": Text("Columns and texts", "列和文本"),
    "D4": Text("Splits, duplicates and label errors", "划分、重复和标签错误"),
    "M": Text("Models, training and the machine", "模型、训练和机器"),
    "C": Text("Runs and their folders", "运行及其文件夹"),
}
"""The sections, by the codes that begin like this; the first that fits counts."""

WORDS = {
    "contents": Text("Contents", "目录"),
    "code": Text("code", "代码"),
    "exit": Text("exit code", "退出码"),
    "meaning": Text("meaning", "含义"),
    "kind": Text("{kind}, exit code {code}", "{kind}，退出码 {code}"),
    "cause": Text("**Cause.** {text}", "**原因**：{text}"),
    "fix": Text("**What to do.** {text}", "**处理方法**：{text}"),
    "title": Text("**{text}** ({kinds})", "**{text}**（{kinds}）"),
    "place": Text("PLACE", "位置"),
    "separator": Text("; or ", "；或"),
}

_SPECIFICATION = re.compile(r"\{(\w+)[^{}]*\}")


def faults(codes: Codes) -> list[str]:
    """What is missing between the code and the explanations; each with what to do about it."""
    known, used = explanations(), codes.uses
    classes = codes.exit_codes
    wrong = [
        f"{code}: {used[code][0].module}:{used[code][0].line} reports it; explain it in "
        "src/tunesmith/explanations"
        for code in sorted(used.keys() - known.keys())
    ]
    wrong += [f"{code}: nothing reports it; remove it" for code in sorted(known.keys() - used)]
    for code in sorted(known.keys() & used.keys()):
        each, uses = known[code], used[code]
        if not each.title or not each.cause or not each.fix:
            wrong.append(f"{code}: it needs a title, a cause and a fix")
        wrong += [
            f"{code}: {use.module}:{use.line} does not say what to do; pass `fix`"
            for use in uses
            if "error" in use.severities and not use.has_fix
        ]
        is_error = any("error" in use.severities for use in uses)
        exits = {
            classes[name]
            for use in uses
            if "error" in use.severities
            for name in use.exceptions()
            if name in classes
        }
        if is_error and exits and each.exit_code not in exits:
            wrong.append(f"{code}: its exit code is one of {sorted(exits)}")
        if is_error and not each.exit_code:
            wrong.append(f"{code}: it is an error, which has an exit code")
    return wrong


def page(codes: Codes) -> str:
    """The page in the language in use."""
    known = explanations()
    by_area: dict[str, list[Explanation]] = {str(area): [] for area in AREAS.values()}
    for code in codes.uses:
        if code in known:
            by_area[_area(code)].append(known[code].translated())
    parts = [prose("errors"), _exit_codes(), f"## {WORDS['contents']}", _contents(by_area)]
    for area, each in by_area.items():
        parts.append(f"## {area}")
        for explained in each:
            parts += _entry(explained, codes.uses[explained.code])
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _area(code: str) -> str:
    return next(str(title) for start, title in AREAS.items() if re.match(start, code))


def _exit_codes() -> str:
    rows = [(f"`{code}`", str(text)) for code, text in EXIT_CODES.items()]
    return table((str(WORDS["exit"]), str(WORDS["meaning"])), rows)


def _contents(by_area: dict[str, list[Explanation]]) -> str:
    parts = []
    head = (str(WORDS["code"]), str(WORDS["meaning"]))
    for area, each in by_area.items():
        rows = [(f"[{one.code}](#{one.code.lower()})", one.title) for one in each]
        parts.append(f"**{area}**\n\n{table(head, rows)}")
    return "\n\n".join(parts)


def _entry(explained: Explanation, uses: Sequence[Use]) -> Iterator[str]:
    yield f"### {explained.code}"
    kinds = {str(s): _(s) for s in Severity if any(str(s) in use.severities for use in uses)}
    if explained.exit_code:
        first = next(iter(kinds))
        kinds[first] = WORDS["kind"].format(kind=kinds[first], code=explained.exit_code)
    yield WORDS["title"].format(
        text=explained.title, kinds=str(WORDS["separator"]).join(kinds.values())
    )
    if blocks := list(_messages(explained.code, uses)):
        yield "```text\n" + "\n".join(blocks) + "\n```"
    yield WORDS["cause"].format(text=explained.cause)
    yield WORDS["fix"].format(text=explained.fix)


def _messages(code: str, uses: Sequence[Use]) -> Iterator[str]:
    """Messages as a terminal shows them; equal ones once, with all advice that can follow."""
    advice: dict[tuple[str, ...], list[str]] = {}
    for use in uses:
        shown = tuple(_message(code, use, message) for message in use.messages)
        if not shown:
            continue
        lines = advice.setdefault(shown, [])
        new = [line for fix in use.fixes for line in _written(fix).split("\n") if line]
        lines += [line for line in dict.fromkeys(new) if line not in lines]
    for shown, lines in advice.items():
        yield "\n".join([*shown, *(f"  {line}" for line in lines)])


def _message(code: str, use: Use, message: Template) -> str:
    severity = next(s for s in Severity if str(s) in use.severities)
    place = f" {WORDS['place']}" if use.has_place else ""
    return f"{_(severity)} {code}{place}: {_written(message)}"


def _written(template: Template) -> str:
    """A template in the language in use, with the names of values in braces."""
    parts = [
        ngettext(piece.text, piece.plural, 2)
        if piece.plural
        else _(piece.text)
        if piece.is_translated
        else piece.text
        for piece in template
    ]
    return _SPECIFICATION.sub(r"{\1}", "".join(parts)).replace("{{", "{").replace("}}", "}")
