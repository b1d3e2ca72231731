"""`tunesmith doctor`."""

from __future__ import annotations

import locale
import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import click

from tunesmith.api.display.terminal import Terminal, padded
from tunesmith.cli.options import common, examples
from tunesmith.i18n import current_language
from tunesmith.i18n import gettext as _
from tunesmith.i18n import gettext_noop as N_
from tunesmith.text import redact

__all__ = ["command"]


_LABELS = {
    "versions": N_("versions"),
    "device": N_("device"),
    "threads": N_("threads"),
    "disk": N_("disk"),
    "language": N_("language"),
    "hub": N_("hub"),
    "trackers": N_("trackers"),
}


@click.command(
    "doctor",
    help=_("Check what training needs: versions, device, threads, disk, Hub and mirrors."),
    epilog=examples("tunesmith doctor", "tunesmith doctor --offline --json"),
)
@click.option("--offline", is_flag=True, help=_("Do not use the network."))
@common
def command(terminal: Terminal, offline: bool) -> int:
    """Collect the facts and print a line or more for each."""
    facts = {
        "versions": _versions(),
        "device": _device(),
        "threads": _threads(),
        "disk": _disk(),
        "language": f"{current_language()}, {sys.stdout.encoding}, "
        f"{locale.getpreferredencoding(False)}",
        "hub": _hub(offline=offline),
        "trackers": _trackers(),
    }
    for name, text in facts.items():
        for i, line in enumerate(text.splitlines()):
            terminal.result(padded(_(_LABELS[name]) if i == 0 else "", 10) + line)
    terminal.record(facts)
    return 0


def _versions() -> str:
    from tunesmith.runs.fingerprint import versions

    return ", ".join(f"{name} {version}" for name, version in versions().items())


def _device() -> str:
    import torch

    from tunesmith.training.device import resolve_precision

    lines = [torch.backends.cpu.get_cpu_capability() + " " + _("processor")]
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        lines.insert(
            0,
            f"cuda: {torch.cuda.get_device_name()}, "
            + _("{free:.1f} of {total:.1f} GB free").format(free=free / 1e9, total=total / 1e9),
        )
    elif torch.version.cuda:
        lines.append(
            _("this torch is built for CUDA {version} and sees no GPU: is the driver installed?")
            .format(version=torch.version.cuda)
        )  # fmt: skip
    if torch.backends.mps.is_available():
        fallback = os.environ.get("PYTORCH_ENABLE_MPS_FALLBACK", "0")
        memory = _("{size:.1f} GB recommended at most").format(
            size=torch.mps.recommended_max_memory() / 1e9
        )
        lines.insert(0, f"mps: {memory}, PYTORCH_ENABLE_MPS_FALLBACK {fallback}")
    lines.append(
        _("train.precision auto means {precision}").format(
            precision=resolve_precision("auto", "auto")
        )
    )
    return "\n".join(lines)


def _threads() -> str:
    from tunesmith.training.fast.waiting import describe

    return f"{describe()}\n{_kernels()}"


def _kernels() -> str:
    from importlib.metadata import version
    from importlib.util import find_spec

    if find_spec("numba") is None:
        return _("no kernels: pip install 'tunesmith[kernels]' makes training on a CPU faster")
    from tunesmith.training.fast.kernels.parallel import has_threads

    if not has_threads():
        return _("no kernels: torch's threads cannot run them here")
    return _("kernels compiled by numba {version}").format(version=version("numba"))


def _disk() -> str:
    from huggingface_hub import constants

    from tunesmith.data.token_cache import cache_folder

    lines = []
    for name, path in (
        (_("runs"), Path.cwd()),
        (_("prepared data"), cache_folder()),
        (_("Hub cache"), Path(constants.HF_HUB_CACHE)),
    ):
        existing = path
        while not existing.exists():
            existing = existing.parent
        free = shutil.disk_usage(existing).free / 1e9
        writable = "" if os.access(existing, os.W_OK) else "  " + _("not writable")
        lines.append(f"{name}: {path}  " + _("{free:.1f} GB free").format(free=free) + writable)
    return "\n".join(lines)


def _hub(*, offline: bool) -> str:
    from huggingface_hub import HfApi, constants, get_token

    lines = [
        f"HF_ENDPOINT {redact(str(constants.ENDPOINT))}, "
        f"HF_HUB_OFFLINE {int(constants.HF_HUB_OFFLINE)}, "
        f"HF_HUB_DISABLE_XET {os.environ.get('HF_HUB_DISABLE_XET', '0')}",
        _("a token is set") if get_token() else _("no token is set"),
    ]
    if offline or constants.HF_HUB_OFFLINE:
        return "\n".join(lines)
    try:
        HfApi().model_info("google-bert/bert-base-uncased", timeout=5)
        lines.append(_("the endpoint answers"))
    except Exception as error:  # any failure is the result of this check
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        lines.append(_("the endpoint does not answer: {reason}").format(reason=redact(reason)))
        lines.append(
            _("set HF_ENDPOINT to a mirror, or work offline with local folders and embedded:mini")
        )
    return "\n".join(lines)


def _trackers() -> str:
    from tunesmith.runs.trackers import TRACKERS

    states = {True: _("installed"), False: _("not installed")}
    return ", ".join(
        f"{name} {states[find_spec(package) is not None]}" for name, package in TRACKERS.items()
    )
