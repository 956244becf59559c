"""A prediction over HTTP."""

from __future__ import annotations

import json
import socket
import threading
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
import pytest

from mlops_core.deployment.client import Client, columns_as_lists
from mlops_core.exceptions import DeploymentError

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWER = {
    "model_name": "delays",
    "model_version": "1.0.0",
    "parameters": {"prediction_id": "p-1"},
    "outputs": [
        {"name": "late", "shape": [2], "datatype": "INT64", "data": [1, 0]},
        {"name": "probability", "shape": [2, 2], "datatype": "FP64", "data": [0.1, 0.9, 0.8, 0.2]},
    ],
}


class Server(HTTPServer):
    """Answers what it is told, after breaking so many connections; keeps what it was sent."""

    status = 200
    answer: bytes = json.dumps(ANSWER).encode()
    breaking = 0
    asked: ClassVar[list[tuple[str, Any, Any]]] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, self.headers, json.loads(body)))
        if self.server.breaking:
            self.server.breaking -= 1
            return
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as found:
        found.asked = []  # type: ignore[misc]  # one list per server
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def client(server: Server, token: str | None = None) -> Client:
    return Client(f"http://127.0.0.1:{server.server_port}/v2/models/delays", "acme", token)


def test_columns_go_as_tensors_and_rows_come_back(server: Server) -> None:
    columns: dict[str, list[Any]] = {
        "hour": [7, 8],
        "delay": [0.5, None],
        "night": [True, False],
        "carrier": ["UA", "DL"],
        "wind": [[1, 2.5], [3, 4]],
    }
    found = client(server, "a-long-enough-token").predict(columns, unit="user-7")

    assert found.outputs == {"late": [1, 0], "probability": [[0.1, 0.9], [0.8, 0.2]]}
    assert (found.version, found.prediction_id) == ("1.0.0", "p-1")
    path, headers, body = server.asked[0]
    assert path == "/v2/models/delays/infer"
    assert {name: headers[name] for name in ("X-MLOps-Tenant", "X-MLOps-Unit", "Authorization")} == {
        "X-MLOps-Tenant": "acme",
        "X-MLOps-Unit": "user-7",
        "Authorization": "Bearer a-long-enough-token",
    }
    assert [(one["name"], one["datatype"], one["shape"]) for one in body["inputs"]] == [
        ("hour", "INT64", [2]),
        ("delay", "FP64", [2]),
        ("night", "BOOL", [2]),
        ("carrier", "BYTES", [2]),
        ("wind", "FP64", [2, 2]),
    ]
    assert body["inputs"][4]["data"] == [1, 2.5, 3, 4]


def test_a_connection_that_breaks_is_replaced_once(server: Server) -> None:
    server.breaking = 1
    assert client(server).predict({"x": [1.0]}).version == "1.0.0"
    assert len(server.asked) == 2
    server.breaking = 2
    with pytest.raises(DeploymentError, match="the connection broke twice"):
        client(server).predict({"x": [1.0]})
    assert len(server.asked) == 4


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        (422, b'{"error": "column \'x\' is missing"}', "column 'x' is missing (422)"),
        (502, b"<html>\nBad Gateway</html>", "<html> Bad Gateway</html> (502)"),
        (500, b"[]", "the answer is not a JSON object (500)"),
    ],
)
def test_a_refusal_is_one_line(server: Server, status: int, answer: bytes, said: str) -> None:
    server.status, server.answer = status, answer
    with pytest.raises(DeploymentError) as raised:
        client(server).predict({"x": [1.0]})
    assert raised.value.message == f"endpoint {client(server).url}: {said}"


def test_nobody_there_is_told_apart_from_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/v2/models/delays"
        with pytest.raises(DeploymentError, match="no answer"):
            Client(url, "acme", timeout=0.1).predict({"x": [1.0]})
    with pytest.raises(ConnectionRefusedError):
        Client(url, "acme").predict({"x": [1.0]})


def test_columns_of_any_kind_become_lists() -> None:
    class Frame:
        def items(self) -> Any:
            return {"x": np.array([1.5, np.nan]), "t": np.array(["2013-07-01", "NaT"], "datetime64[s]"), "v": np.ones((2, 2))}.items()

    assert columns_as_lists(Frame()) == {"x": [1.5, None], "t": ["2013-07-01T00:00:00", None], "v": [[1.0, 1.0], [1.0, 1.0]]}
    assert columns_as_lists({"n": [np.int64(3)], "s": ("a",), "b": [np.True_]}) == {"n": [3], "s": ["a"], "b": [True]}


def test_times_and_missing_values_keep_their_meaning() -> None:
    at = np.array(["2024-05-01T12:00:00.000000001", "2024-05-01T12:00:00", "NaT"], "datetime64[ns]")
    text = ["2024-05-01T12:00:00.000000001", "2024-05-01T12:00:00", None]
    assert columns_as_lists({"t": at, "s": list(at), "p": pd.Series(at)}) == {"t": text, "s": text, "p": text}
    mixed = [datetime(2024, 5, 1, tzinfo=UTC), date(2024, 5, 1), time(12), pd.NA, pd.NaT, None, float("nan")]
    assert columns_as_lists({"m": mixed})["m"] == ["2024-05-01T00:00:00+00:00", "2024-05-01", "12:00:00", *[None] * 4]
    assert columns_as_lists(pd.DataFrame({"c": ["NaT", None]}))["c"] == ["NaT", None]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Decimal("3.5"), "a Decimal"),
        (b"ab", "a bytes"),
        (timedelta(1), "a timedelta"),
        (1j, "a complex"),
        (np.timedelta64(1, "h"), "a timedelta"),
        (np.array([1], "timedelta64[ns]"), "a timedelta"),
        (np.longdouble(1), "a longdouble"),
        (np.bytes_(b"ab"), "a bytes"),
        (pd.Timedelta(1, "h"), "a Timedelta"),
        ([Decimal(1)], "a Decimal"),
        ({}, "a dict"),
    ],
)
def test_what_the_protocol_cannot_tell_is_refused_by_name(value: Any, said: str) -> None:
    with pytest.raises(DeploymentError) as raised:
        columns_as_lists({"x": [1.0, value]})
    assert raised.value.message == f"columns: 'x' has {said} - give numbers, text, truth values or times"


@pytest.mark.parametrize(
    ("unit", "sent"), [("李", "%E6%9D%8E"), ("a b@c/d%", "a b@c/d%"), ("a\r\nX-MLOps-Tenant: b", "a%0D%0AX-MLOps-Tenant: b")]
)
def test_a_unit_may_be_any_text(server: Server, unit: str, sent: str) -> None:
    client(server).predict({"x": [1.0]}, unit=unit)
    assert server.asked[0][1]["X-MLOps-Unit"] == sent
    assert server.asked[0][1].get_all("X-MLOps-Tenant") == ["acme"]


def test_a_unit_is_text(server: Server) -> None:
    with pytest.raises(DeploymentError, match="unit: expected text, got int"):
        client(server).predict({"x": [1.0]}, unit=7)  # type: ignore[arg-type]  # what is refused
    assert server.asked == []


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ([1.0], "columns: expected a mapping of names to values, got list"),
        ({}, "columns: there is none"),
        ({"x": 1.0}, "columns: 'x' is not a name with a list of values"),
        ({7: [1.0]}, "columns: 7 is not a name with a list of values"),
    ],
)
def test_what_are_no_columns_is_refused(columns: Any, said: str) -> None:
    with pytest.raises(DeploymentError, match=said):
        columns_as_lists(columns)


def test_a_ragged_column_is_refused_before_it_is_sent(server: Server) -> None:
    with pytest.raises(DeploymentError, match="columns: 'x' is ragged"):
        client(server).predict({"x": [[1.0], [1.0, 2.0]]})
    assert server.asked == []
