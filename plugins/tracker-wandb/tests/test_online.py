"""Online, against a stand-in for W&B's server (which no wheel brings) that answers what a run asks and keeps what it is sent."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pytest

from mlops_core.exceptions import MLOpsError
from mlops_core.records import Metric, RunStatus, TrackBatch
from mlops_core.testing.tracker_suite import _AT, _R1, _start
from mlops_tracker_wandb import WandbTracker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "k3y" * 14


class Server(BaseHTTPRequestHandler):
    """GraphQL, the stream of a run's files, and uploads."""

    protocol_version = "HTTP/1.1"
    streams: ClassVar[list[dict[str, Any]]] = []
    keys: ClassVar[set[str]] = set()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/graphql":
            self.keys.add(base64.b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode())
            self.reply({"data": self.data(json.loads(body))})
            return
        if self.path.endswith("/file_stream"):
            self.streams.append(json.loads(body))
        self.reply({"exitcode": None, "limits": {}})

    do_PUT = do_POST  # noqa: N815  the server's name for it

    def data(self, asked: dict[str, Any]) -> dict[str, Any]:
        found = re.search(r"(?:query|mutation)\s+(\w+)", asked["query"])
        given = asked.get("variables") or {}
        match found and found[1]:
            case "UpsertBucket":
                project = {"id": "P", "name": given["project"], "entity": {"id": "E", "name": "me"}}
                return {"upsertBucket": {"inserted": True, "bucket": {"id": "B", "name": given["name"], "project": project}}}
            case "CreateRunFiles":
                host = self.headers["Host"]
                files = [{"name": name, "uploadUrl": f"http://{host}/upload/{name}"} for name in given["files"]]
                return {"createRunFiles": {"runID": "B", "uploadHeaders": [], "files": files}}
            case "RunResumeStatus":
                return {"model": {"bucket": self.resumed(given["name"])}}
        none: dict[str, list[Any]] = {"edges": []}
        me = {**dict.fromkeys(("id", "name", "username", "email", "entity"), "me"), "admin": False, "flags": "{}", "deletedAt": None}
        return {"viewer": {**me, "__typename": "User", "apiKeys": none, "teams": none}}

    def resumed(self, name: str) -> dict[str, Any] | None:
        """How far the server has the run: a client that resumes it goes on from there."""
        if not history():
            return None
        last = json.dumps([json.dumps(history()[-1])])
        tails = {"historyTail": last, "eventsTail": "[]", "summaryMetrics": "{}", "config": "{}", "wandbConfig": '{"t": {}}'}
        return {"name": name, "historyLineCount": len(history()), "eventsLineCount": 0, "logLineCount": 0, "tags": [], **tails}

    def reply(self, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


class Quiet(ThreadingHTTPServer):
    """W&B's service leaves without closing its connections."""

    def handle_error(self, *_: object) -> None:
        """It has left."""


def history() -> list[dict[str, Any]]:
    """The rows as the server keeps them: each chunk says at which line it begins."""
    lines: list[dict[str, Any]] = []
    for stream in Server.streams:
        if chunk := stream.get("files", {}).get("wandb-history.jsonl"):
            lines[chunk["offset"] :] = [json.loads(line) for line in chunk["content"]]
    return lines


@pytest.fixture
def server() -> Iterator[str]:
    Server.streams.clear()
    Server.keys.clear()
    with Quiet(("127.0.0.1", 0), Server) as found:
        thread = threading.Thread(target=found.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{found.server_port}"
        found.shutdown()
        thread.join()


def test_a_run_arrives(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    tracker = WandbTracker(mode="online", dir=str(tmp_path / "wandb"), base_url=server, api_key=KEY)
    tracker.check()
    tracker.start_run(_start())
    tracker.write(_R1, TrackBatch("w", 1, metrics=tuple(Metric("loss", 1 / (1 + step), step, _AT) for step in (7, 3))))
    tracker.end_run(_R1, RunStatus.INTERRUPTED, _AT)
    tracker.close()
    found = [(row["mlops_step"], row["loss"], row["_timestamp"]) for row in history()]
    assert found == [(step, 1 / (1 + step), _AT.timestamp()) for step in (7, 3)]
    assert [one["exitcode"] for one in Server.streams if one.get("complete")] == [255]
    assert Server.keys == {f"api:{KEY}"}
    assert list(home.iterdir()) == []
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in written if KEY.encode() in path.read_bytes()] == []


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_a_run_in_several_logs_arrives_whole(server: str, tmp_path: Path, mode: Literal["online", "offline"]) -> None:
    """As the program, killed after each batch, would leave it; offline by W&B's own command."""
    tracker = WandbTracker(mode=mode, dir=str(tmp_path), base_url=server, api_key=KEY)
    for sequence in (1, 2, 3):
        tracker.start_run(_start())
        steps = range(10 * sequence, 10 * sequence + 10)
        tracker.write(_R1, TrackBatch("w", sequence, metrics=tuple(Metric("loss", float(step), step, _AT) for step in steps)))
        if sequence in {1, 3} or mode == "online":
            tracker.end_run(_R1, RunStatus.FINISHED, _AT)
        tracker.close()
    if mode == "offline":
        assert Server.streams == []
        found = (tmp_path / "acme" / "e" / "wandb").iterdir()
        logs = [str(path) for path in found if path.name.startswith("offline-run-")]
        environ = {**os.environ, "WANDB_BASE_URL": server, "WANDB_API_KEY": KEY, "WANDB_RESUME": "allow", "WANDB_ERROR_REPORTING": "false"}
        subprocess.run([sys.executable, "-m", "wandb", "sync", *logs], env=environ, cwd=tmp_path, check=True, capture_output=True)
    assert [(row["mlops_step"], row["loss"], row["_step"]) for row in history()] == [(step + 10, step + 10.0, step) for step in range(30)]


def test_a_server_that_is_away_is_an_outage_in_one_line_without_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops_tracker_wandb.tracker._PATIENCE", 4.0)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    key = "k3y" * 14
    tracker = WandbTracker(mode="online", dir=str(tmp_path), base_url=f"http://me:pass@127.0.0.1:{port}", api_key=key)
    assert key not in repr(tracker)
    assert tracker.location() == f"http://me:***@127.0.0.1:{port}"
    with pytest.raises(MLOpsError, match=r"W&B cannot be used \(.*\) - check 'api_key' and 'base_url', or set 'mode: offline'$") as caught:
        tracker.start_run(_start())
    tracker.close()
    assert key not in caught.value.message
    assert "\n" not in caught.value.message


def test_no_key_is_an_outage_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    tracker = WandbTracker(mode="online", dir=str(tmp_path))
    with pytest.raises(MLOpsError, match="No API key configured"):
        tracker.start_run(_start())
    tracker.close()
