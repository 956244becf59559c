"""Models that hang and requests that are joined, over real connections."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from mlops_core.exceptions import DeploymentError
from mlops_core.records import EndpointKey
from mlops_deployer_local.deployer import LocalDeployer

if TYPE_CHECKING:
    import http.client
    from collections.abc import Callable

CALL = "/endpoints/delays/invocations"
GLOBEX = EndpointKey("globex", "staging", "delays")


def rows(*values: float) -> dict[str, Any]:
    return {"inputs": {"x": list(values), "carrier": ["UA"] * len(values)}}


def records(rig: Any) -> list[list[Any]]:
    """What was counted: success and error of each prediction."""
    return [json.loads(line)[-2:] for line in (rig.folder / "records.jsonl").read_text().splitlines()]


def told(client: http.client.HTTPConnection) -> tuple[int, dict[str, Any], dict[str, str]]:
    answer = client.getresponse()
    body = json.loads(answer.read())
    client.close()
    return answer.status, body, {name.lower(): value for name, value in answer.getheaders()}


def wait(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_model_that_hangs_is_told_and_harms_no_other(make_rig: Any) -> None:
    rig = make_rig(deadline=0.5)
    (rig.folder / "record").touch()
    rig.serve("1.0.0")
    rig.load("2.0.0", endpoint=GLOBEX)
    rig.route(("2.0.0", 1.0), endpoint=GLOBEX)
    try:
        status, answer, headers = rig.post(CALL, rows(-3.0))
        assert (status, headers["x-mlops-version"]) == (504, "1.0.0")
        assert answer == {"error": "model delays: version 1.0.0 took too long - ask for fewer rows, or for more time"}
        status, answer, headers = rig.post(CALL, rows(1.0))
        assert (status, headers["retry-after"]) == (503, "1"), "it is refused at once, since it would only wait"
        assert rig.post(CALL, b"{")[0] == 503, "and is not read, since that costs those who can be served"
        assert answer["error"] == (
            "model delays: version 1.0.0 takes no more now: it is busy with predictions that take too long - try again later"
        )
        assert rig.get("/v2/models/delays/ready")[:2] == (
            503,
            {"ready": False, "error": "version 1.0.0 is busy with predictions that take too long"},
        )
        assert rig.ask(GLOBEX) == "2.0.0"
        assert rig.get("/v2/health/live")[0] == 200
    finally:
        (rig.folder / "go-on").touch()
    wait(lambda: rig.post(CALL, rows(1.0))[0] == 200)
    assert [one for one in records(rig) if not one[0]][:2] == [[False, "DeadlineError"], [False, "OverloadError"]]


def test_a_server_whose_model_hangs_for_good_ends_when_it_is_told_to(make_rig: Any) -> None:
    rig = make_rig(deadline=0.2)
    rig.serve("1.0.0")
    assert rig.post(CALL, rows(-3.0))[0] == 504
    rig.deployer.shutdown()
    assert not [line for line in rig.log().splitlines() if "still" in line], "the thread that hangs is left behind, not waited for"


def test_a_client_may_ask_for_less_time_and_harms_neither_others_nor_the_version(make_rig: Any) -> None:
    rig = make_rig(deadline=600.0)
    (rig.folder / "record").touch()
    rig.serve("1.0.0")
    assert rig.post(CALL, rows(5.0), x_mlops_timeout="500")[0] == 200
    with ThreadPoolExecutor(1) as clients:
        try:
            first = clients.submit(rig.post, CALL, rows(-3.0), x_mlops_timeout="5")
            wait((rig.folder / "begun").exists)
            assert [rig.post(CALL, rows(1.0), x_mlops_timeout="0.001")[0] for _ in range(3)] == [504] * 3, "they wait for the thread"
            assert first.result()[0] == 504
            assert rig.get("/v2/models/delays/ready")[0] == 200, "it is busy, not stuck"
            other = clients.submit(rig.post, CALL, rows(1.0))
        finally:
            (rig.folder / "go-on").touch()
        assert other.result()[0] == 200
    assert records(rig) == [[True, None]] * 3, "what had begun is counted as it ended, and once; what had not is not"
    for wrong in ("0", "-1", "nan", "inf", "soon"):
        status, answer, _ = rig.post(CALL, rows(1.0), x_mlops_timeout=wrong)
        assert (status, answer["error"]) == (400, "X-MLOps-Timeout is no number of seconds above zero - give one such as 0.5")


def test_joined_requests_are_counted_and_answered_one_by_one(make_rig: Any) -> None:
    rig = make_rig(batch=64)
    (rig.folder / "record").touch()
    rig.serve("1.0.0")
    held = threading.Thread(target=rig.post, args=(CALL, rows(-3.0)))
    held.start()
    wait((rig.folder / "begun").exists)
    values = [[float(number), number + 0.5][: 1 + number % 2] for number in range(19)]
    values[7] = [-1.0]
    clients = [rig.connect() for _ in values]
    for client, some in zip(clients, values, strict=True):
        client.request("POST", CALL, json.dumps(rows(*some)), {"Content-Type": "application/json"})
    for _ in range(2):
        assert rig.get("/v2/health/live")[0] == 200  # whoever came before has been read by now
    (rig.folder / "go-on").touch()
    answers = [told(client) for client in clients]
    held.join()

    assert max(map(int, (rig.folder / "calls").read_text().split())) > 2, "some were joined"
    assert [status for status, _, _ in answers] == [500 if some == [-1.0] else 200 for some in values]
    good = [(some, answer, headers) for some, (status, answer, headers) in zip(values, answers, strict=True) if status == 200]
    assert [[row["double"] for row in answer["predictions"]] for _, answer, _ in good] == [[2 * one for one in some] for some, _, _ in good]
    assert len({answer["prediction_id"] for _, answer, _ in good}) == len(good)
    assert all(answer["prediction_id"] == headers["x-mlops-prediction-id"] for _, answer, headers in good)
    assert sorted(map(str, records(rig))) == sorted(map(str, [[True, None]] * 19 + [[False, "ValueError"]]))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("batch", 0, "batch is 0 - give 1 to 10000"),
        ("deadline", 0.0, "deadline is 0.0 - give 0.001 to 86400"),
        ("backlog", 0, "backlog is 0 - give 1 to"),
    ],
)
def test_options_out_of_bounds_are_one_line(name: str, value: Any, said: str) -> None:
    with pytest.raises(DeploymentError, match=f"deployer local: {said}"):
        LocalDeployer(**{name: value})
