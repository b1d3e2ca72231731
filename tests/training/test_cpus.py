from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tunesmith.training import cpus
from tunesmith.training.cpus import Quota, cpu_quota, limit_threads, set_environment

V2 = "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = (
    "33 32 0:29 {root} /sys/fs/cgroup/cpu,cpuacct rw shared:16 - cgroup cgroup rw,cpu,cpuacct\n"
    "34 32 0:30 {root} /sys/fs/cgroup/memory rw,nosuid shared:17 - cgroup cgroup rw,memory\n"
)


def system(root: Path, *, cgroup: str, mounts: str, **files: str) -> Path:
    """A root folder with the files of control groups; "a/b cpu.max" is a file in a group."""
    own = root / "proc/self"
    own.mkdir(parents=True)
    (own / "cgroup").write_text(cgroup, encoding="utf-8", newline="\n")
    (own / "mountinfo").write_text(mounts, encoding="utf-8", newline="\n")
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    return root


def v2(root: Path, path: str = "/", **files: str) -> Path:
    return system(root, cgroup=f"0::{path}\n", mounts=V2, **files)


def v1(root: Path, path: str, mounted: str = "/", **files: str) -> Path:
    lines = f"9:memory:{path}\n4:cpu,cpuacct:{path}\n0::/\n"
    return system(root, cgroup=lines, mounts=V1.format(root=mounted), **files)


def quota(root: Path) -> float | None:
    smallest = cpu_quota(root)
    return None if smallest is None else smallest.cpus


def test_version_2(tmp_path: Path) -> None:
    assert quota(v2(tmp_path, **{"cpu.max": "150000 100000\n"})) == 1.5


def test_the_smallest_quota_of_nested_groups_counts(tmp_path: Path) -> None:
    files = {
        "a/b/c/cpu.max": "max 100000\n",
        "a/b/cpu.max": "200000 50000\n",
        "a/cpu.max": "300000 100000\n",
        "other/cpu.max": "1000 100000\n",
    }
    assert quota(v2(tmp_path, "/a/b/c", **files)) == 3.0


@pytest.mark.parametrize(("path", "mounted"), [
    ("/docker/abc", "/"),  # of the host
    ("/docker/abc", "/docker/abc"),  # a container without a namespace of its own
    ("/", "/"),  # one with it
    ("/../..", "/"),  # a process that moved out of its namespace
    ("/elsewhere", "/docker/abc"),
])  # fmt: skip
def test_version_1(path: str, mounted: str, tmp_path: Path) -> None:
    folder = "cpu,cpuacct/docker/abc" if (path, mounted) == ("/docker/abc", "/") else "cpu,cpuacct"
    files = {f"{folder}/cpu.cfs_quota_us": "400000\n", f"{folder}/cpu.cfs_period_us": "100000\n"}
    assert quota(v1(tmp_path, path, mounted, **files)) == 4.0


def test_both_versions_mounted(tmp_path: Path) -> None:
    """As systemd does in its hybrid mode: groups of version 2 without controllers."""
    mounts = V1.format(root="/") + V2.replace("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
    files = {
        "cpu,cpuacct/app/cpu.cfs_quota_us": "50000", "cpu,cpuacct/app/cpu.cfs_period_us": "100000",
        "unified/app/cgroup.procs": "1",
    }  # fmt: skip
    root = system(tmp_path, cgroup="2:cpu,cpuacct:/app\n0::/app\n", mounts=mounts, **files)
    assert quota(root) == 0.5


def test_a_space_in_a_path(tmp_path: Path) -> None:
    mounts = V2.replace("/sys/fs/cgroup", "/sys/fs/cgroup/my\\040groups")
    files = {"my groups/cpu.max": "100000 100000"}
    assert quota(system(tmp_path, cgroup="0::/\n", mounts=mounts, **files)) == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "max 100000",
        "max",
        "100000",
        "0 100000",
        "100000 0",
        "-1 100000",
        "a b",
        "1 2 3",
        "\0\n",
    ],
)
def test_nonsense_is_no_quota(text: str, tmp_path: Path) -> None:
    assert quota(v2(tmp_path, **{"cpu.max": text})) is None


@pytest.mark.parametrize("value", ["-1", "", "abc", "0"])
def test_no_quota_of_version_1(value: str, tmp_path: Path) -> None:
    files = {"cpu,cpuacct/cpu.cfs_quota_us": value, "cpu,cpuacct/cpu.cfs_period_us": "100000"}
    assert quota(v1(tmp_path, "/", **files)) is None


@pytest.mark.parametrize(("cgroup", "mounts"), [
    ("", ""), ("nonsense", "nonsense"), ("0::/", "1 2 3 - cgroup2"), (":::", " - - - "),
    ("4:cpu:/a", V2), ("0::/a", "1 2 0:3 / /sys rw - tmpfs tmpfs rw\n"),
])  # fmt: skip
def test_nonsense_in_proc(cgroup: str, mounts: str, tmp_path: Path) -> None:
    files = {"cpu.max": "100000 100000", "a/cpu.max": "x"}
    expected = None
    assert quota(system(tmp_path, cgroup=cgroup, mounts=mounts, **files)) == expected


def test_without_such_files(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path) is None


@pytest.mark.parametrize(("limit", "threads"), [(0.1, 1), (1, 1), (1.9, 1), (2, 2), (7.99, 7)])
def test_threads_that_run_all_the_time(limit: float, threads: int) -> None:
    assert Quota(limit, Path()).threads == threads


@pytest.mark.parametrize(("text", "seconds"), [
    ("usage_usec 5\nnr_throttled 3\nthrottled_usec 2500000\n", 2.5),
    ("nr_periods 9\nnr_throttled 3\nthrottled_time 2500000000\n", 2.5),
    ("throttled_usec\nthrottled_time x\n", 0.0),
    (None, 0.0),
])  # fmt: skip
def test_how_long_the_quota_stopped_us(text: str | None, seconds: float, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "cpu.stat").write_text(text, encoding="utf-8", newline="\n")
    assert Quota(1, tmp_path).stopped_seconds() == seconds


@pytest.fixture
def of_64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A container that may use one and a half of 64 CPUs."""
    monkeypatch.setattr(cpus, "usable_cpus", lambda: 64)
    monkeypatch.setattr(cpus, "_set_here", [])
    for name in cpus.ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    return v2(tmp_path, **{"cpu.max": "150000 100000"})


@pytest.mark.parametrize(("before", "expected"), [
    ({}, {"OMP_NUM_THREADS": "1"}),
    ({"OMP_NUM_THREADS": ""}, {"OMP_NUM_THREADS": "1"}),
    ({"OMP_NUM_THREADS": "8"}, {"OMP_NUM_THREADS": "8"}),
    ({"MKL_NUM_THREADS": "8"}, {"MKL_NUM_THREADS": "8"}),
])  # fmt: skip
def test_a_quota_sets_the_threads_unless_the_user_has(
    before: dict[str, str], expected: dict[str, str], of_64: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "torch")
    environment = dict(before)
    set_environment(environment, root=of_64)
    assert environment == expected


def test_what_torch_has_read_is_not_set_anymore(of_64: Path) -> None:
    environment: dict[str, str] = {}
    set_environment(environment, root=of_64)
    assert environment == {}


def test_a_quota_above_the_cpus_changes_nothing(
    of_64: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(cpus, "usable_cpus", lambda: 1)
    environment: dict[str, str] = {}
    set_environment(environment, root=of_64)
    assert environment == {}


@pytest.mark.parametrize(("threads", "variable", "expected"), [
    (64, None, 1),
    (3, None, 3),  # set by the user: torch chooses 64
    (64, "64", 64),
])  # fmt: skip
def test_a_torch_that_was_loaded_before_gets_fewer_threads(
    threads: int, variable: str | None, expected: int, of_64: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = [threads]
    monkeypatch.setattr(torch, "get_num_threads", lambda: held[0])
    monkeypatch.setattr(torch, "set_num_threads", lambda number: held.__setitem__(0, number))
    if variable:
        monkeypatch.setenv("OMP_NUM_THREADS", variable)
    limit_threads(root=of_64)
    assert held == [expected]


def test_threads_that_the_user_sets_later_stay(
    of_64: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = [64]
    monkeypatch.setattr(torch, "get_num_threads", lambda: held[0])
    monkeypatch.setattr(torch, "set_num_threads", lambda number: held.__setitem__(0, number))
    limit_threads(root=of_64)
    assert held == [1]
    held[0] = 64
    limit_threads(root=of_64)
    assert held == [64]


def test_the_package_sets_them_before_torch_is_loaded() -> None:
    code = (
        "import sys; from tunesmith.training import cpus; cpus.usable_cpus = lambda: 64; "
        "cpus.cpu_quota = lambda _root: cpus.Quota(2.5, None); del sys.modules['tunesmith']; "
        "import tunesmith, os; assert 'torch' not in sys.modules; "
        "print(os.environ['OMP_NUM_THREADS'])"
    )
    environment = {name: value for name, value in os.environ.items() if "_NUM_THREADS" not in name}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout == "2\n"
