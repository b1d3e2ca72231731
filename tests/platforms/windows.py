"""A process that refuses what Windows refuses, on Linux: in a child, before tunesmith is imported.

From Microsoft's "Naming Files, Paths, and Namespaces", "CreateFile" (sharing modes), "MoveFileEx"
and Python's notes on availability:

- modules and functions that Windows lacks are gone: `fcntl`, `resource`, `os.fork`, `SIGKILL`, …;
- a file that is open or mapped in this process is not renamed, replaced or deleted, and a folder
  with such a file in it, or in which the process works, is not renamed;
- `os.rename` replaces nothing; folders cannot be opened; links need a right that users lack;
- names of devices, names with `<>:"|?*` and names that end in a dot or space are refused;
- files of text without an encoding are read and written in the code page of Chinese Windows, and
  lines end in CR LF unless the writer says otherwise.

Not imitated: other processes that open files, long paths, drive letters, the console itself.
"""

from __future__ import annotations

import builtins
import errno
import importlib
import io
import os
import re
import shutil
import signal
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

__all__ = ["become_windows"]

CODE_PAGE = "cp936"
MODULES = ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "spwd", "crypt")
FUNCTIONS = (
    "fork", "forkpty", "posix_spawn", "sched_getaffinity", "statvfs", "fstatvfs", "geteuid",
    "getuid", "getgid", "getgroups", "mkfifo", "mknod", "chown", "fchown", "lchown", "chroot",
    "getpgid", "killpg", "setsid", "sysconf", "sysconf_names", "getloadavg", "openpty", "nice",
    "O_DIRECTORY", "O_NONBLOCK", "O_NOFOLLOW", "O_CLOEXEC", "fchmod", "wait3", "wait4", "sync",
)  # fmt: skip
SIGNALS = (
    "SIGKILL", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGPIPE", "SIGCHLD", "SIGSTOP",
    "SIGTSTP", "SIGQUIT", "pthread_kill", "pthread_sigmask", "setitimer", "alarm", "pause",
)  # fmt: skip
DEVICE = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9¹²³])(\..*)?", re.IGNORECASE)


def become_windows() -> None:
    """Turn this process into one; there is no way back."""
    loaded = [name for name in sys.modules if name.split(".")[0] == "tunesmith"]
    assert not loaded, f"imported before: {loaded}"
    _lock_by_msvcrt()
    _hide_modules()
    _refuse_names()
    _refuse_open_files()
    _open_as_text_of_windows()
    for name in ("LANG", "LC_ALL", "LC_MESSAGES", "XDG_CACHE_HOME"):
        os.environ.pop(name, None)


def _hide_modules() -> None:
    """From tunesmith alone: other libraries decide by the name of the system, which is Linux."""
    partial = {"os": _Without(os, FUNCTIONS), "signal": _Without(signal, SIGNALS)}
    real, by_name = builtins.__import__, importlib.import_module

    def hidden(name: str, globals: Any = None, *rest: Any, **more: Any) -> Any:
        if (globals or {}).get("__name__", "").startswith("tunesmith"):
            if name in MODULES:
                raise ImportError(f"No module named {name}")
            if name in partial:
                return partial[name]
        return real(name, globals, *rest, **more)

    def hidden_by_name(name: str, package: str | None = None) -> Any:
        caller = sys._getframe(1).f_globals.get("__name__", "")
        if name in MODULES and caller.startswith("tunesmith"):
            raise ImportError(f"No module named {name}")
        return by_name(name, package)

    builtins.__import__, importlib.import_module = hidden, hidden_by_name  # type: ignore[assignment]


class _Without(types.ModuleType):
    """A module without some of its names."""

    def __init__(self, module: types.ModuleType, names: Sequence[str]) -> None:
        super().__init__(module.__name__)
        self._whole, self._names = module, names

    def __getattr__(self, name: str) -> Any:
        if (self.__name__, name) == ("os", "name"):
            return "nt"
        if name in self._names:
            raise AttributeError(f"module {self.__name__} has no attribute {name}")
        return getattr(self._whole, name)


def _lock_by_msvcrt() -> None:
    import fcntl

    def locking(descriptor: int, mode: int, count: int) -> None:
        assert (mode, count) == (2, 1)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from None

    msvcrt = types.ModuleType("msvcrt")
    vars(msvcrt).update(locking=locking, LK_UNLCK=0, LK_LOCK=1, LK_NBLCK=2, LK_RLCK=3, LK_NBRLCK=4)
    sys.modules["msvcrt"] = msvcrt


def _denied(path: object, number: int = errno.EACCES) -> OSError:
    return OSError(number, os.strerror(number), str(path))


def _is_ours(path: object) -> bool:
    """Files of the system have no rules here."""
    return isinstance(path, str | os.PathLike) and not str(path).startswith(("/proc", "/dev"))


def _check_name(path: object) -> None:
    if not _is_ours(path):
        return
    for part in Path(str(path)).parts[1 if str(path).startswith("/") else 0 :]:
        if part not in (".", "..") and (
            DEVICE.fullmatch(part) or re.search(r'[<>:"|?*\x00-\x1f]|[. ]$', part)
        ):
            raise _denied(path, errno.EINVAL)


def _refuse_names() -> None:
    for name in ("mkdir", "open", "rename", "replace", "link"):
        _wrap(name, _named)
    _wrap("symlink", lambda _real, path, *_more, **_keywords: _raise(_denied(path, errno.EPERM)))


def _named(real: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
    for path in arguments[:2]:
        _check_name(path)
    return real(*arguments, **more)


def _raise(error: BaseException) -> None:
    raise error


def _wrap(name: str, call: Callable[..., Any]) -> None:
    real = getattr(os, name)
    setattr(os, name, lambda *arguments, **more: call(real, *arguments, **more))


def _in_use() -> set[str]:
    """The files that this process has open or mapped, and the folder that it works in."""
    used = {_getcwd()}
    for link in _listdir("/proc/self/fd"):
        try:
            used.add(str(Path(f"/proc/self/fd/{link}").readlink()))
        except OSError:
            continue
    with _open("/proc/self/maps", encoding="utf-8") as maps:
        used |= {line.split(maxsplit=5)[5].rstrip("\n") for line in maps if "/" in line}
    return used


_open, _listdir, _getcwd = builtins.open, os.listdir, os.getcwd


def _check_free(path: object) -> None:
    if not _is_ours(path):
        return
    real = os.path.realpath(str(path))
    for used in _in_use():
        if used == real or used.startswith(f"{real}/"):
            raise _denied(path)


def _refuse_open_files() -> None:
    def rename(real: Callable[..., Any], path: Any, target: Any, **more: Any) -> None:
        _check_free(path)
        if os.path.lexists(target):
            raise _denied(target, errno.EEXIST)
        real(path, target, **more)

    def replace(real: Callable[..., Any], path: Any, target: Any, **more: Any) -> None:
        _check_free(path)
        _check_free(target)
        if Path(target).is_dir():
            raise _denied(target)
        real(path, target, **more)

    def delete(real: Callable[..., Any], path: Any, **more: Any) -> None:
        _check_free(path)
        real(path, **more)

    def open_file(real: Callable[..., Any], path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if _is_ours(path) and Path(path).is_dir():
            raise _denied(path)
        return int(real(path, flags, *rest, **more))

    def kill(real: Callable[..., Any], pid: int, number: int) -> None:
        assert number != 0, "on Windows this is CTRL_C_EVENT"
        real(pid, number)

    _wrap("rename", rename)
    _wrap("replace", replace)
    for name in ("unlink", "remove", "rmdir"):
        _wrap(name, delete)
    _wrap("open", open_file)
    _wrap("kill", kill)
    vars(shutil)["_use_fd_functions"] = False  # as there; these calls name whole paths


def _open_as_text_of_windows() -> None:
    def opened(file: Any, mode: str = "r", *rest: Any, **more: Any) -> Any:
        if _is_ours(file):
            if set(mode) & set("wax+"):
                _check_name(file)
            if Path(file).is_dir():
                raise _denied(file)
        frame = sys._getframe(1)
        while frame.f_back and frame.f_globals.get("__name__", "").startswith("pathlib"):
            frame = frame.f_back
        caller = frame.f_globals.get("__name__", "")
        if "b" not in mode and caller.startswith("tunesmith") and len(rest) < 2:
            if more.get("encoding") in (None, "locale"):
                more["encoding"] = CODE_PAGE
            if set(mode) & set("wax") and more.get("newline") is None and len(rest) < 4:
                more["newline"] = "\r\n"
        return _open(file, mode, *rest, **more)

    builtins.open = io.open = opened  # type: ignore[assignment]
