"""`reference/cli.md`: every command with usage, arguments, options and examples, from click."""

from __future__ import annotations

from collections.abc import Iterator

import click
from docs.generate.text import Text, cell, prose, table

from tunesmith.i18n import gettext as _

__all__ = ["commands", "page"]

COMMON = ("json", "quiet", "lang", "debug", "help")
"""Options of every command."""

AREAS: dict[str, tuple[str, ...]] = {
    "start": ("quickstart", "init", "check", "train", "launch", "many"),
    "use": ("predict", "eval", "calibrate", "errors", "metric"),
    "look": ("data", "inspect", "tokenizer", "runs", "report", "eject", "config"),
    "help": ("explain", "bench", "doctor"),
}
TITLES = {
    "start": Text("Data and training", "数据与训练"),
    "use": Text("Predictions and scores", "预测与评分"),
    "look": Text("Data, models and runs", "数据、模型与运行"),
    "help": Text("Help and measurements", "帮助与测量"),
}
WORDS = {
    "command": Text("command", "命令"),
    "option": Text("option", "选项"),
    "value": Text("value", "值"),
    "default": Text("default", "默认"),
    "argument": Text("argument", "参数"),
    "meaning": Text("meaning", "含义"),
    "required": Text("required", "必填"),
    "optional": Text("optional", "可选"),
    "several": Text("one or more", "一个或多个"),
    "any": Text("any number", "任意个"),
    "repeatable": Text("repeatable", "可重复"),
    "examples": Text("Examples", "示例"),
    "variables": Text("Environment variables", "环境变量"),
    "variable": Text("variable", "变量"),
    "exits": Text("Exit codes", "退出码"),
    "exits_text": Text(
        "`0` if the command did what it was called for, also with warnings; the other codes are "
        "listed in [Errors, warnings and notes](errors.md#exit-codes).",
        "命令完成时为 `0`，有警告也一样；其他退出码见[错误、警告和提示](errors.md#退出码)。",
    ),
    "bench": Text("Exit code `4` if no contender could run.", "没有任何对象能运行时退出码为 `4`。"),
    "comma": Text(", ", "，"),
}
VARIABLES: dict[str, Text] = {
    "TUNESMITH_LANG": Text(
        "Language of messages, `en` or `zh`; else that of the system.",
        "消息的语言，`en` 或 `zh`；未设置时随系统。",
    ),
    "TUNESMITH_CACHE": Text("Folder of prepared data.", "存放预处理数据的文件夹。"),
    "TUNESMITH_CACHE_SIZE": Text(
        "How much prepared data is kept, such as `20 GB`; the oldest is deleted.",
        "预处理数据的总量上限，例如 `20 GB`；超出时删除最旧的。",
    ),
    "TUNESMITH_TRAIN__EPOCHS": Text(
        "Sets `train.epochs`, and likewise any key of a recipe.",
        "设置 `train.epochs`；配方的任何键都可以这样设置。",
    ),
    "HF_ENDPOINT": Text("Address of the Hub or a mirror.", "Hub 或其镜像的地址。"),
    "HF_TOKEN": Text("Token for private and gated repositories.", "访问私有和受限仓库的令牌。"),
    "HF_HUB_OFFLINE": Text("`1`: use only what is in the cache.", "`1`：只使用缓存中的内容。"),
}


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command with its full name, groups before their members."""
    from tunesmith.cli import load_command
    from tunesmith.cli.commands import COMMANDS

    for name in COMMANDS:
        command = load_command(name)
        yield name, command
        if isinstance(command, click.Group):
            for part, member in command.commands.items():
                yield f"{name} {part}", member


def page() -> str:
    """The page in the language in use; the commands must have been imported in English."""
    from tunesmith.cli.commands import COMMANDS

    every = dict(commands())
    listed = [name for names in AREAS.values() for name in names]
    assert sorted(listed) == sorted(COMMANDS), "list each command in AREAS"
    common = [p for p in every["train"].params if isinstance(p, click.Option) and _is_common(p)]
    parts = [prose("cli"), _options(every["train"], common), _index()]
    for area, names in AREAS.items():
        parts.append(f"## {TITLES[area]}")
        for name in names:
            parts += _command(name, every[name])
            group = every[name]
            if isinstance(group, click.Group):
                for part in group.commands:
                    parts += _command(f"{name} {part}", every[f"{name} {part}"])
    rows = [(f"`{name}`", str(text)) for name, text in VARIABLES.items()]
    head = (str(WORDS["variable"]), str(WORDS["meaning"]))
    parts += [f"## {WORDS['variables']}", table(head, rows)]
    parts += [f"## {WORDS['exits']}", str(WORDS["exits_text"])]
    return "\n\n".join(part for part in parts if part) + "\n"


def _index() -> str:
    from tunesmith.cli.commands import COMMANDS

    rows = [
        (f"[`{name}`](#tunesmith-{name})", cell(_(COMMANDS[name])))
        for names in AREAS.values()
        for name in names
    ]
    return table((str(WORDS["command"]), str(WORDS["meaning"])), rows)


def _command(name: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=f"tunesmith {name}")
    yield f"### tunesmith {name}"
    yield cell(_(command.help or ""))
    if isinstance(command, click.Group):
        return
    usage = " ".join(["tunesmith", name, *command.collect_usage_pieces(context)])
    yield f"```text\n{usage}\n```"
    arguments = [p for p in command.params if isinstance(p, click.Argument)]
    if arguments:
        yield _arguments(command, arguments)
    options = [p for p in command.params if isinstance(p, click.Option) and not _is_common(p)]
    if options:
        yield _options(command, options)
    if command.epilog:
        lines = [line.strip() for line in command.epilog.split("\n")[2:]]
        yield f"{WORDS['examples']}:\n\n```text\n" + "\n".join(lines) + "\n```"
    if name == "bench":
        yield str(WORDS["bench"])


def _is_common(option: click.Option) -> bool:
    return option.opts[-1].lstrip("-") in COMMON


def _arguments(command: click.Command, arguments: list[click.Argument]) -> str:
    context = click.Context(command)
    rows = []
    for argument in arguments:
        count = "several" if argument.required else "any"
        if argument.nargs == 1:
            count = "required" if argument.required else "optional"
        name = argument.make_metavar(context).replace("...", "").strip()
        rows.append((f"`{name}`", str(WORDS[count])))
    return table((str(WORDS["argument"]), ""), rows)


def _options(command: click.Command, options: list[click.Option]) -> str:
    head = tuple(str(WORDS[word]) for word in ("option", "value", "default", "meaning"))
    context = click.Context(command)
    rows = []
    for option in options:
        names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
        meaning = cell(_(option.help or ""))
        rows.append((names, _value(option, context), _default(option, context), meaning))
    return table(head, rows)


def _value(option: click.Option, context: click.Context) -> str:
    """What is written behind an option: choices, a kind of value, or nothing."""
    if option.is_flag:
        return ""
    if isinstance(option.type, click.Choice):
        value = " ".join(f"`{choice}`" for choice in option.type.choices)
    else:
        value = f"`{option.make_metavar(context).strip('[]')}`".replace("|", "\\|")
    return value + (f" ({WORDS['repeatable']})" if option.multiple else "")


def _default(option: click.Option, context: click.Context) -> str:
    if option.required:
        return f"*{WORDS['required']}*"
    default = option.get_default(context)
    if (
        option.is_flag
        or default is None
        or default == ()
        or not isinstance(default, str | int | float)
    ):
        return ""
    return f"`{default}`"
