"""`tunesmith launch`."""

from __future__ import annotations

import click

from tunesmith.api.display.terminal import Terminal
from tunesmith.cli.options import common, examples
from tunesmith.i18n import gettext as _

__all__ = ["command"]


@click.command(
    "launch",
    help=_(
        "Train in several processes, on one machine or many: torchrun, and the exit codes of "
        "tunesmith. ARGUMENTS are the options of torchrun, such as --standalone, "
        "--nproc-per-node, --nnodes and --rdzv-endpoint, then train and its arguments. "
        "`torchrun --help` lists them."
    ),
    epilog=examples(
        "tunesmith launch --standalone --nproc-per-node 2 train recipe.yaml",
        "tunesmith launch --nnodes 2 --nproc-per-node 8 --rdzv-backend c10d "
        "--rdzv-endpoint node0:29400 --rdzv-id 7 train recipe.yaml --out /shared/run",
    ),
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("arguments", nargs=-1, required=True, type=click.UNPROCESSED)
@common
def command(terminal: Terminal, arguments: tuple[str, ...]) -> int:
    """Start the processes, and end with the code that they ended with."""
    from tunesmith.jobs.launcher import launch

    flags = [("--json", terminal.as_json), ("--quiet", terminal.is_quiet)]
    words = [*(flag for flag, is_set in flags if is_set), *arguments]  # for each process, too
    code, problems = launch(words, debug="--debug" in click.get_current_context().obj)
    Terminal("--json" in words, is_quiet=terminal.is_quiet).problems(problems)
    return code
