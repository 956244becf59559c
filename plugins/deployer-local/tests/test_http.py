"""The server's protocols, over real connections."""

from __future__ import annotations

import json
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from mlops_core.exceptions import DeploymentError
from mlops_core.records import EndpointKey, Variant

if TYPE_CHECKING:
    from collections.abc import Iterator

INFER = "/v2/models/delays/infer"
CALL = "/endpoints/delays/invocations"
DEEP = json.loads("[" * 900 + "]" * 900)
GLOBEX = EndpointKey("globex", "staging", "delays")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, rig_in: Any) -> Iterator[Any]:
    """One server for all tests that change nothing: acme has one model, globex two, one of them in two versions."""
    with rig_in(tmp_path_factory.mktemp("server"), body_limit=100_000, request_timeout=1.0) as rig:
        (rig.folder / "record").touch()
        rig.serve("1.0.0")
        for name, versions in (("delays", ("1.0.0", "2.0.0")), ("cancellations", ("2.0.0",))):
            key = EndpointKey("globex", "staging", name)
            for version in versions:
                rig.deployer.load(key, rig.version(version), rig.context)
            rig.route(*((version, 1 / len(versions)) for version in versions), endpoint=key)
        yield rig


def tensor(name: str, datatype: str, data: list[Any], shape: list[int] | None = None) -> dict[str, Any]:
    return {"name": name, "shape": [len(data)] if shape is None else shape, "datatype": datatype, "data": data}


def infer(x: Any = 1.5, carrier: Any = "UA", **more: Any) -> dict[str, Any]:
    return {"inputs": [tensor("x", "FP64", [x]), tensor("carrier", "BYTES", [carrier])], **more}


# --- Open Inference Protocol v2


def test_infer_answers_tensors_with_version_and_prediction_id(server: Any) -> None:
    body = {"inputs": [tensor("x", "FP32", [[1.5], [2.0]], [2, 1]), tensor("carrier", "BYTES", ["UA", None])]}
    status, answer, headers = server.post(INFER, body)

    assert status == 200
    prediction = headers["x-mlops-prediction-id"]
    assert answer == {
        "model_name": "delays",
        "model_version": "1.0.0",
        "id": prediction,
        "parameters": {"prediction_id": prediction},
        "outputs": [
            {"name": "version", "shape": [2], "datatype": "BYTES", "data": ["1.0.0", "1.0.0"]},
            {"name": "double", "shape": [2], "datatype": "FP64", "data": [3.0, 4.0]},
        ],
    }
    assert headers["x-mlops-version"] == "1.0.0"
    assert headers["content-type"] == "application/json"


def test_the_clients_own_id_comes_back(server: Any) -> None:
    assert server.post(INFER, infer(id="mine"))[1]["id"] == "mine"


def test_metadata_and_health(server: Any) -> None:
    assert server.get("/v2/models/delays")[1] == {
        "name": "delays",
        "versions": ["1.0.0"],
        "platform": "mlops_scripted",
        "inputs": [{"name": "x", "datatype": "FP64", "shape": [-1]}, {"name": "carrier", "datatype": "BYTES", "shape": [-1]}],
        "outputs": [{"name": "version", "datatype": "BYTES", "shape": [-1]}, {"name": "double", "datatype": "FP64", "shape": [-1]}],
    }
    assert server.get("/v2/models/delays/versions/2.0.0", x_mlops_tenant="globex")[1]["versions"] == ["1.0.0", "2.0.0"]
    assert server.get("/v2/health/live")[:2] == (200, {"live": True})
    assert server.get("/v2/health/ready")[:2] == (200, {"ready": True})
    assert server.get("/ping")[0] == 200
    assert server.get("/v2/models/delays/ready")[:2] == (200, {"name": "delays", "ready": True})
    assert server.get("/v2/models/delays/versions/1.0.0/ready")[0] == 200
    assert server.get("/v2")[1]["name"] == "motadata-mlops-deployer-local"
    assert server.request("HEAD", "/v2/health/live", None)[0] == 200


@pytest.mark.parametrize("datatype", ["BYTES", "FP64", "INT8", "BOOL"])
def test_a_column_of_nothing_but_missing_values_may_be_of_any_datatype(server: Any, datatype: str) -> None:
    body = {"inputs": [tensor("x", "FP64", [1.5, 2.0]), tensor("carrier", datatype, [[None], [None]], [2, 1])]}
    assert server.post(INFER, body)[1]["outputs"][1]["data"] == [3.0, 4.0]
    missing = {"inputs": [tensor("x", datatype, [None]), tensor("carrier", "BYTES", ["UA"])]}
    assert refused(server, INFER, missing)[1].startswith("column 'x': a value is missing")


# --- MLflow's forms


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": ["carrier", "x"], "data": [["UA", 1.5], ["DL", 2]]}},
        {"dataframe_split": {"columns": ["carrier", "x"], "index": [0, 1], "data": [["UA", 1.5], ["DL", 2]]}},
        {"dataframe_records": [{"x": 1.5, "carrier": "UA"}, {"carrier": "DL", "x": 2}]},
        {"instances": [{"x": 1.5, "carrier": "UA"}, {"carrier": None, "x": 2}]},
        {"inputs": {"x": [1.5, 2], "carrier": ["UA", "DL"]}},
        {"inputs": [{"x": 1.5, "carrier": "UA"}, {"carrier": "DL", "x": 2}]},
    ],
)
def test_invocations_take_all_forms(server: Any, body: Any) -> None:
    status, answer, headers = server.post(CALL, body)

    assert status == 200
    assert answer["predictions"] == [{"version": "1.0.0", "double": 3.0}, {"version": "1.0.0", "double": 4.0}]
    assert (answer["model"], answer["version"]) == ("delays", "1.0.0")
    assert answer["prediction_id"] == headers["x-mlops-prediction-id"]


def test_the_bare_path_works_while_one_endpoint_is_live(server: Any) -> None:
    body = {"inputs": {"x": [1.5], "carrier": ["UA"]}}

    assert server.post("/invocations", body)[0] == 200
    status, answer, _ = server.post("/invocations", body, x_mlops_tenant="globex")
    assert (status, answer["error"]) == (409, "several models are deployed here: cancellations, delays - use /endpoints/MODEL/invocations")
    assert server.post("/invocations", body, x_mlops_tenant="initech")[0] == 404


# --- who asks


def test_tenants_see_their_own_models_only(server: Any) -> None:
    assert {server.post(INFER, infer(), x_mlops_tenant="globex")[1]["model_version"] for _ in range(40)} == {"1.0.0", "2.0.0"}
    assert server.post("/v2/models/cancellations/infer", infer(), x_mlops_tenant="globex")[0] == 200
    mine = server.post("/v2/models/cancellations/infer", infer())
    nobodys = server.post("/v2/models/nothing/infer", infer())
    assert mine[0] == nobodys[0] == 404
    assert mine[1]["error"].replace("cancellations", "nothing") == nobodys[1]["error"], "another tenant's model is as good as none"


def test_a_unit_meets_the_same_version(server: Any) -> None:
    answers = {
        unit: {server.post(INFER, infer(), x_mlops_tenant="globex", x_mlops_unit=unit)[1]["model_version"] for _ in range(4)}
        for unit in "abcdefgh"
    }

    assert {len(versions) for versions in answers.values()} == {1}
    assert set.union(*answers.values()) == {"1.0.0", "2.0.0"}


def test_a_token_is_the_tenant_and_every_request_needs_one(rig: Any) -> None:
    (rig.folder / "tokens.json").write_text(json.dumps({"token-of-acme": "acme", "token-of-globex": "globex"}))
    rig.serve()

    def answered(path: str = INFER, **headers: str) -> tuple[int, str]:
        status, answer, _ = rig.post(path, infer(), **headers)
        return status, answer.get("error", "")

    assert answered(authorization="Bearer token-of-acme")[0] == 200
    assert answered(authorization="bearer token-of-acme", x_mlops_tenant="acme")[0] == 200
    assert answered(authorization="Bearer token-of-globex")[0] == 404
    assert answered(authorization="Bearer token-of-globex", x_mlops_tenant="acme")[0] == 403
    for wrong in ({}, {"authorization": "Bearer nothing"}, {"authorization": "Basic token-of-acme"}, {"x_mlops_tenant": "acme"}):
        assert answered(**wrong) == (401, "token: missing or wrong - send Authorization: Bearer TOKEN")
    status, _, headers = rig.get("/v2/health/live")
    assert (status, headers["www-authenticate"]) == (401, "Bearer")


def test_an_open_address_without_tokens_is_refused(make_rig: Any) -> None:
    rig = make_rig(host="0.0.0.0")  # noqa: S104  that is what is refused
    with pytest.raises(DeploymentError, match=r"environment staging: host 0\.0\.0\.0 is open to other machines, and no tokens are set"):
        rig.serve()
    with pytest.raises(DeploymentError, match="is open to other machines"):
        rig.deployer.check()
    assert not (rig.context.workdir / "server" / "server.json").exists()
    rig.context.guarded = True
    with pytest.raises(DeploymentError, match="the serving process ended while it loaded"):
        rig.serve()
    assert "host 0.0.0.0 is open to other machines" in rig.log(), "the serving process looks for itself"


# --- what is refused


def refused(server: Any, path: str, body: Any, **headers: str) -> tuple[int, str]:
    """Status and message; every refusal is one JSON line, and the server lives on."""
    status, answer, _ = server.post(path, body, **headers)
    assert set(answer) == {"error"}, answer
    assert "\n" not in answer["error"]
    assert "Traceback" not in answer["error"]
    assert server.get("/v2/health/live")[0] == 200
    return status, answer["error"]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 400, "the body is not JSON"),
        (b"{", 400, "the body is not JSON"),
        (b"\xff\xfe", 400, "the body is not JSON"),
        (b'{"inputs": [NaN]}', 400, "the body is not JSON"),
        (b"[" * 50_000, 400, "the body is not JSON"),
        ([], 400, "the body is not a JSON object"),
        ({}, 400, "'inputs' is not a list of tensors"),
        ({"inputs": []}, 400, "'inputs' is not a list of tensors"),
        ({"inputs": [1]}, 400, "'inputs' is not a list of tensors"),
        ({"inputs": [{"shape": [1]}]}, 400, "a tensor has no 'name'"),
        ({"inputs": [tensor("x", "FP64", [1.0]), tensor("x", "FP64", [1.0])]}, 400, "tensor 'x' is there twice"),
        ({"inputs": [tensor("x", "FLOAT", [1.0])]}, 400, "tensor 'x': unknown datatype 'FLOAT'"),
        ({"inputs": [{**tensor("x", "", [1.0]), "datatype": DEEP}]}, 400, "tensor 'x': unknown datatype [[[...]]]"),
        ({"inputs": [tensor("x", "FP64", [1.0], [1] * 3000)]}, 400, "tensor 'x': 'shape' has 3000 sizes - give at most 8"),
        (infer(DEEP), 422, "column 'x': [[[...]]] is not of type float64 - give numbers"),
        (infer(1.5, DEEP), 422, "column 'carrier': [[[...]]] is not of type str - give text"),
        ({"inputs": [tensor("x", "FP64", [1.0], [-1])]}, 400, "tensor 'x': 'shape' is not a list of sizes above zero"),
        ({"inputs": [tensor("x", "FP64", [1.0], [])]}, 400, "tensor 'x': 'shape' is not a list of sizes above zero"),
        ({"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": 1.0}]}, 400, "tensor 'x': 'data' is not a list"),
        ({"inputs": [tensor("x", "FP64", [1.0, 2.0], [3])]}, 422, "tensor 'x': shape [3] needs 3 values, there are 2"),
        ({"inputs": [tensor("x", "BYTES", ["1"])]}, 422, "tensor 'x': datatype BYTES does not fit the column, which holds float values"),
        ({"inputs": [tensor("x", "FP64", [1.0])]}, 422, "column 'carrier' is missing - the model takes x, carrier"),
        (infer("one"), 422, "column 'x': 'one' is not of type float64 - give numbers"),
        (infer(None), 422, "column 'x': a value is missing, and the model was trained without missing ones"),
        (infer(x=True), 422, "column 'x': True is not of type float64 - give numbers"),
        (infer(carrier=7), 422, "column 'carrier': 7 is not of type str - give text"),
        ({"inputs": [*infer()["inputs"], tensor("carier", "BYTES", ["UA"])]}, 422, "column 'carier' is unknown - did you mean 'carrier'?"),
        ({"inputs": [tensor("x", "FP64", [1.0, 2.0]), tensor("carrier", "BYTES", ["UA"])]}, 422, "the columns have unlike lengths"),
    ],
)
def test_a_request_that_cannot_be_read_is_one_line(server: Any, body: Any, status: int, said: str) -> None:
    found, message = refused(server, INFER, body)
    assert (found, message[: len(said)]) == (status, said)


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 400, "give exactly one of dataframe_split, dataframe_records, inputs, instances - the body has none"),
        ({"inputs": {}, "instances": []}, 400, "give exactly one of dataframe_split"),
        ({"inputs": {}}, 422, "there are no rows"),
        ({"inputs": {"x": 1.5, "carrier": "UA"}}, 400, "'inputs' has a column that is not a list"),
        ({"inputs": 5}, 400, "'inputs' is not a list of rows"),
        ({"instances": [1.5]}, 400, "'instances' is not a list of objects"),
        ({"instances": [{"x": 1.5, "carrier": "UA"}, {"x": 2.0}]}, 422, "row 1: column 'carrier' is not in every row"),
        ({"dataframe_split": [[1.5]]}, 400, "'dataframe_split' needs 'columns'"),
        ({"dataframe_split": {"columns": ["x", "x"], "data": []}}, 400, "'dataframe_split' names a column twice"),
        ({"dataframe_split": {"columns": ["x", "carrier"], "data": [[1.5]]}}, 422, "'dataframe_split': row 0 is not a list of 2 values"),
        ({"dataframe_split": {"columns": ["x", "carrier"], "data": []}}, 422, "there are no rows"),
        ({"inputs": {"x": [DEEP], "carrier": ["UA"]}}, 422, "column 'x': [[[...]]] is not of type float64"),
        ({"dataframe_records": [5]}, 400, "'dataframe_records' is not a list of objects"),
    ],
)
def test_an_invocation_that_cannot_be_read_is_one_line(server: Any, body: Any, status: int, said: str) -> None:
    found, message = refused(server, CALL, body)
    assert (found, message[: len(said)]) == (status, said)


def test_paths_and_methods_that_are_not_there(server: Any) -> None:
    assert refused(server, "/predict", infer()) == (404, "no such path: /predict - predictions are at /v2/models/MODEL/infer")
    assert refused(server, "/v2/models/delays/explain", infer())[0] == 404
    assert refused(server, "/v2/models/delays/versions/9.9.9", infer())[0] == 404
    assert refused(server, "/v2/health/live", infer()) == (405, "method POST is not for this path - use GET")
    status, answer, headers = server.get(INFER)
    assert (status, headers["allow"], answer["error"]) == (405, "POST", "method GET is not for this path - use POST")
    assert refused(server, INFER, infer(), content_type="text/plain")[0] == 415


def test_a_body_beyond_the_limit_is_refused_and_not_kept(server: Any) -> None:
    large = json.dumps(infer(carrier="A" * 200_000)).encode()
    assert refused(server, INFER, large) == (413, "the body is larger than 100000 bytes - send fewer rows at a time")
    connection = server.connect()
    connection.request("POST", INFER, iter([large[:90_000], large[90_000:]]), {"Content-Type": "application/json"}, encode_chunked=True)
    answer = connection.getresponse()
    assert (answer.status, answer.headers["connection"]) == (413, "close")
    connection.close()


def test_a_body_of_100_mb_is_read_past_and_refused(server: Any) -> None:
    connection = server.connect()
    connection.putrequest("POST", INFER)
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(100 << 20))
    connection.endheaders()
    try:
        for _ in range(100):
            connection.send(b" " * (1 << 20))
        assert connection.getresponse().status == 413
    except (BrokenPipeError, ConnectionResetError):  # it was cut off after the time that a request may take
        pass
    connection.close()
    assert server.get("/v2/health/live")[0] == 200


def test_a_client_that_asks_first_is_told_without_sending(server: Any) -> None:
    with socket.create_connection(server.address) as client:
        head = (
            f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 200000\r\nExpect: 100-continue\r\n\r\n"
        )
        client.sendall(head.encode())
        assert b"413" in client.recv(4096).split(b"\r\n")[0]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"POST " + INFER.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{", b"408"),
        (b"POST " + INFER.encode() + b" HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"408"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /%zz\xff HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nX-Long: " + b"a" * 1_000_000, b"431"),
    ],
)
def test_slow_and_broken_clients_get_an_answer_and_are_let_go(server: Any, sent: bytes, status: bytes) -> None:
    with socket.create_connection(server.address, timeout=20) as client:
        client.sendall(sent)
        answer = b""
        try:
            while part := client.recv(65536):
                answer += part
        except ConnectionResetError:  # after its answer: what we sent too much was never read
            pass
    assert answer.split(b" ", 2)[1] == status
    assert json.loads(answer.rpartition(b"\r\n\r\n")[2])["error"]


def test_a_client_that_says_nothing_is_let_go(server: Any) -> None:
    with socket.create_connection(server.address, timeout=20) as client:
        assert client.recv(1) == b""


def test_connections_are_kept_and_pipelined_requests_answered_in_order(server: Any) -> None:
    connection = server.connect()
    for _ in range(3):
        connection.request("POST", INFER, json.dumps(infer()), {"Content-Type": "application/json"})
        assert connection.getresponse().read()
    connection.close()
    with socket.create_connection(server.address, timeout=20) as client:
        client.sendall(
            b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\nGET /v2/health/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        answer = b""
        while part := client.recv(65536):
            answer += part
    assert answer.index(b'"live"') < answer.index(b'"ready"')


# --- the model's failures


def test_a_model_that_raises_is_a_500_of_one_line(server: Any) -> None:
    status, answer, headers = server.post(INFER, infer(-1.0))
    assert (status, headers["x-mlops-version"]) == (500, "1.0.0")
    assert answer["error"] == "model delays: version 1.0.0 failed: ValueError: this model never works and says so in two lines"


def test_an_answer_that_json_has_no_form_for_is_the_models_failure(make_rig: Any) -> None:
    rig = make_rig()
    (rig.folder / "record").touch()
    rig.serve("1.0.0")
    for path, body in ((INFER, infer(-4.0)), (CALL, {"inputs": {"x": [-4.0], "carrier": ["UA"]}})):
        status, message = refused(rig, path, body)
        assert (status, message[:44]) == (500, "model delays: version 1.0.0 failed: TypeErro")

    lines = [json.loads(line) for line in (rig.folder / "records.jsonl").read_text().splitlines()]
    assert [line[-2:] for line in lines] == [[False, "TypeError"]] * 2
    failures = [json.loads(line) for line in (rig.folder / "records.failures").read_text().splitlines()]
    assert [line[1:] for line in failures] == [[["carrier", "x"], "TypeError"]] * 2


def test_a_failure_of_the_server_itself_is_an_answer_as_well(rig: Any) -> None:
    (rig.folder / "record").touch()
    (rig.folder / "records.jsonl").mkdir()
    rig.serve("1.0.0")

    assert refused(rig, INFER, infer()) == (500, "the server failed: IsADirectoryError - its log says more")
    assert "IsADirectoryError" in rig.log()


def test_a_slow_prediction_holds_up_nobody_else(server: Any) -> None:
    slow = threading.Thread(target=server.post, args=(INFER, infer(-3.0)))
    slow.start()
    try:
        assert server.get("/v2/health/live")[0] == 200
        assert server.post("/v2/models/cancellations/infer", infer(), x_mlops_tenant="globex")[0] == 200
        assert slow.is_alive()
    finally:
        (server.folder / "go-on").touch()
        slow.join()


def test_predictions_are_counted_and_the_clients_mistakes_are_not(make_rig: Any) -> None:
    rig = make_rig()
    (rig.folder / "record").touch()
    rig.serve()
    rig.post(INFER, infer())
    rig.post(INFER, infer(-1.0))
    rig.post(INFER, infer("one"))
    rig.load("2.0.0")
    rig.deployer.set_routes(rig.endpoint, (Variant("2-2.0.0", "2.0.0", 1.0),), None, 1)
    rig.post(CALL, {"inputs": {"x": [1.0, 2.0], "carrier": ["UA", "DL"]}})

    lines = [json.loads(line) for line in (rig.folder / "records.jsonl").read_text().splitlines()]
    assert lines == [
        ["acme", "staging", "delays", "1.0.0", 1, True, None],
        ["acme", "staging", "delays", "1.0.0", 1, False, "ValueError"],
        ["acme", "staging", "delays", "2.0.0", 2, True, None],
    ]


def test_nothing_deployed_is_a_404(rig: Any) -> None:
    rig.load("1.0.0")
    assert rig.post("/invocations", infer())[:2] == (404, {"error": "no model is deployed here - deploy one first"})
    assert rig.post(INFER, infer())[0] == 404


def test_a_model_that_was_withdrawn_is_gone_for_those_who_used_it(rig: Any) -> None:
    rig.serve()
    assert [rig.post(path, infer())[0] for path in (INFER, INFER)] == [200, 200]
    rig.deployer.set_routes(rig.endpoint, (), None, 1)

    assert rig.post(INFER, infer())[0] == 404
    assert rig.post(INFER, b"{")[0] == 404


def test_the_control_port_answers_nobody_without_its_secret(rig: Any) -> None:
    rig.serve()
    info = json.loads((rig.context.workdir / "server" / "server.json").read_text())
    for question in ({"op": "stop", "secret": "guess"}, {"op": "stop"}, "noise"):
        with socket.create_connection(("127.0.0.1", info["control"]), timeout=20) as client:
            client.sendall((json.dumps(question) if isinstance(question, dict) else question).encode() + b"\n")
            assert b"ok" not in client.recv(4096)
    assert rig.ask(rig.endpoint) == "1.0.0"


def test_the_files_of_the_server_are_private(rig: Any) -> None:
    rig.serve()
    folder = rig.context.workdir / "server"
    assert folder.stat().st_mode & 0o077 == 0
    assert [path.name for path in folder.iterdir() if path.stat().st_mode & 0o077 and path.name != "server.lock"] == []


def test_a_long_answer_is_one_piece(server: Any) -> None:
    status, answer, _ = server.post(CALL, {"inputs": {"x": list(range(5000)), "carrier": ["UA"] * 5000}})
    assert status == 200
    assert [row["double"] for row in answer["predictions"]] == [2.0 * x for x in range(5000)]


def test_http_1_0_is_answered_and_closed(server: Any) -> None:
    with socket.create_connection(server.address, timeout=20) as client:
        client.sendall(b"GET /v2/health/live HTTP/1.0\r\n\r\n")
        answer = b""
        while part := client.recv(4096):
            answer += part
    assert answer.startswith(b"HTTP/1.1 200")


def exchange(server: Any, sent: bytes) -> bytes:
    """Send, and read until the server has closed the connection."""
    with socket.create_connection(server.address, timeout=20) as client:
        client.sendall(sent)
        answer = b""
        while part := client.recv(65536):
            answer += part
    return answer


@pytest.mark.parametrize("wish", ["h2c", "websocket"])
def test_a_wish_for_another_protocol_is_passed_over(server: Any, wish: str) -> None:
    """Java's client wishes for HTTP/2 with each of its requests."""
    body = json.dumps(infer()).encode()
    head = (
        f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: {wish}\r\n"
    )
    whole = head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body
    pieces = head.encode() + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
    last = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = exchange(server, whole + pieces + last)

    assert answer.count(b"HTTP/1.1 200") == 3
    assert answer.count(b'"double"') == 2
    with socket.create_connection(server.address, timeout=20) as client:
        for at in range(0, len(whole), 50):
            client.sendall(whole[at : at + 50])
        assert client.recv(65536).startswith(b"HTTP/1.1 200")


def test_a_tunnel_is_refused(server: Any) -> None:
    answer = exchange(server, b"CONNECT elsewhere:80 HTTP/1.1\r\nHost: elsewhere\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400")
    assert server.get("/v2/health/live")[0] == 200


def test_the_address_is_told(server: Any) -> None:
    host, port = server.address
    assert server.deployer.observe(server.endpoint).url == f"http://{host}:{port}/v2/models/delays"
