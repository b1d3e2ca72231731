"""The real client of the Hub, talking to a stand-in on 127.0.0.1."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hub_server import Hub, serve
from tunesmith.storage import hub

CLIENT = """
import sys, json
from tunesmith.storage import hub
from tunesmith.errors import TunesmithError
hub.RETRY_SECONDS = (0.01, 0.01, 0.01)
try:
    {call}
except TunesmithError as error:
    print(json.dumps([type(error).__name__, error.exit_code, str(error)]))
"""


@pytest.fixture
def server() -> Iterator[Hub]:
    with serve() as running:
        yield running


Client = Callable[..., str]


@pytest.fixture
def client(server: Hub, tmp_path: Path) -> Client:
    """Run a call in a process of its own: the client reads its variables when it is loaded."""

    def run(call: str, **variables: str) -> str:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
        environment |= {
            "HF_ENDPOINT": server.url,
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            **variables,
        }
        done = subprocess.run(
            [sys.executable, "-c", CLIENT.format(call=call)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


RESOLVE = 'print(hub.resolve_commit("owner/{name}", kind="{kind}", revision={revision!r}))'
DOWNLOAD = 'print(hub.download_model("owner/{name}", revision=None))'


def test_a_name_is_resolved_and_downloaded_once(
    server: Hub, client: Client, tiny_bert: Path
) -> None:
    model = server.add("model", "owner/bert", tiny_bert)
    assert client(RESOLVE.format(name="bert", kind="model", revision=None)) == model.commit
    folder = client(DOWNLOAD.format(name="bert"))
    assert Path(folder).name == model.commit
    assert (Path(folder) / "model.safetensors").is_file()
    server.requests.clear()
    assert client(DOWNLOAD.format(name="bert")) == folder
    assert not [r for r in server.requests if r.startswith("GET") and "resolve" in r]


def test_offline_the_cache_answers(server: Hub, client: Client, tiny_bert: Path) -> None:
    model = server.add("model", "owner/bert", tiny_bert)
    folder = client(DOWNLOAD.format(name="bert"))
    server.requests.clear()
    assert client(DOWNLOAD.format(name="bert"), HF_HUB_OFFLINE="1") == folder
    resolved = client(RESOLVE.format(name="bert", kind="model", revision=None), HF_HUB_OFFLINE="1")
    assert resolved == model.commit
    assert server.requests == []
    missing = client(DOWNLOAD.format(name="other"), HF_HUB_OFFLINE="1")
    assert '"ResourceError", 4' in missing
    assert "M104" in missing
    assert "HF_HUB_OFFLINE is set" in missing
    assert "embedded:mini" in missing


def test_an_unknown_name_has_a_nearest(server: Hub, client: Client, tiny_bert: Path) -> None:
    server.add("model", "owner/bert-small", tiny_bert)
    output = client(DOWNLOAD.format(name="bert-smal"))
    assert '"ModelError", 2' in output
    assert "M107" in output
    assert "owner/bert-small" in output


def test_an_unknown_revision(server: Hub, client: Client, tiny_bert: Path) -> None:
    server.add("model", "owner/bert", tiny_bert)
    output = client(RESOLVE.format(name="bert", kind="model", revision="v9"))
    assert "M108" in output


def test_a_restricted_repository_wants_a_token(
    server: Hub, client: Client, tiny_bert: Path
) -> None:
    server.add("model", "owner/secret", tiny_bert, private=True)
    output = client(DOWNLOAD.format(name="secret"))
    assert '"ResourceError", 4' in output
    assert "M106" in output
    assert "HF_TOKEN" in output
    folder = client(DOWNLOAD.format(name="secret"), HF_TOKEN=server.token)
    assert Path(folder).is_dir()


def test_a_busy_hub_is_retried(server: Hub, client: Client, tiny_bert: Path) -> None:
    model = server.add("model", "owner/bert", tiny_bert)
    server.failures = [503, 429, 503]
    resolved = client(RESOLVE.format(name="bert", kind="model", revision=None))
    assert resolved == model.commit
    server.failures = [503] * 50
    output = client(
        RESOLVE.format(name="bert", kind="model", revision=None), HF_HOME="/nonexistent"
    )
    assert "M104" in output
    assert "503" in output


def test_no_answer(client: Client, tiny_bert: Path) -> None:
    output = client(
        RESOLVE.format(name="bert", kind="dataset", revision=None),
        HF_ENDPOINT="http://127.0.0.1:9",
    )
    assert '"ResourceError", 4' in output
    assert "M104" in output
    assert "http://127.0.0.1:9" in output
    assert "HF_ENDPOINT" in output


def test_a_mirror_goes_without_xet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_DISABLE_XET", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "https://me:pa55@mirror.example")
    said = str(hub.prepare_environment())
    assert "https://…@mirror.example" in said and "pa55" not in said
    assert os.environ["HF_HUB_DISABLE_XET"] == "1"
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "0")
    assert hub.prepare_environment() is None
    assert os.environ["HF_HUB_DISABLE_XET"] == "0"
    monkeypatch.delenv("HF_ENDPOINT")
    monkeypatch.delenv("HF_HUB_DISABLE_XET")
    assert hub.prepare_environment() is None
    assert "HF_HUB_DISABLE_XET" not in os.environ


def test_errors_of_ours_pass_through() -> None:
    with pytest.raises(ZeroDivisionError):
        hub.with_retries(lambda: 1 // 0, "x", kind="model")
    assert not hub.is_cached("nobody/nothing")
