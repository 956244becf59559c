import logging
from datetime import UTC, datetime

import pytest

from mlops_core.exceptions import ConfigError, PluginError
from mlops_core.records import EndpointKey, GateRequest, RunFinished, RunStarted
from mlops_core.records.pipeline import PipelineStatus
from mlops_core.stack import locate
from tests.unit.stack.conftest import Calls, Configure

AT = datetime(2024, 1, 1, tzinfo=UTC)
STARTED = RunStarted("acme", "p", "run-1", AT, ("a",))
FINISHED = RunFinished("acme", "p", "run-1", AT, PipelineStatus.SUCCEEDED)
REQUEST = GateRequest("acme", AT, "d-1", EndpointKey("acme", "production", "m"), "1", "deploy", 1.0)


def observers(*names: str) -> str:
    return "version: 1\nobservers:\n" + "".join(f"  - {name}\n" for name in names)


def listens(name: str) -> str:
    return f"{{use: 'backends.py:Listens', name_: {name}}}"


def gate(answer: str) -> str:
    return f"{{use: 'backends.py:Gate', answer: '{answer}'}}"


def test_observers_hear_an_event_in_the_order_of_the_configuration(configure: Configure, calls: Calls) -> None:
    configure(observers(listens("first"), listens("second"), listens("third")))
    stack = locate()
    stack.parts.emit(STARTED)
    assert [one for one in calls(stack) if one[1] == "run-1"] == [("first", "run-1"), ("second", "run-1"), ("third", "run-1")]


def test_a_hook_may_leave_its_argument_out(configure: Configure, calls: Calls) -> None:
    configure(observers(listens("first")))
    stack = locate()
    stack.parts.emit(FINISHED)
    assert ("first", "finished") in calls(stack)


def test_an_observer_that_raises_is_named_and_stops_nobody(configure: Configure, calls: Calls, caplog: pytest.LogCaptureFixture) -> None:
    configure(observers("backends.py:Raises", listens("after")))
    stack = locate()
    with caplog.at_level(logging.ERROR, "mlops_core.stack.listening"):
        stack.parts.emit(STARTED)
    assert "observer Raises: its run_started raised ValueError: no" in caplog.text
    assert ("after", "run-1") in calls(stack)


def test_an_observer_that_exits_ends_nobody(configure: Configure, calls: Calls, caplog: pytest.LogCaptureFixture) -> None:
    configure(observers("backends.py:Raises", listens("after")))
    stack = locate()
    stack.parts.emit(FINISHED)
    assert "observer Raises: its run_finished raised SystemExit: 4" in caplog.text
    assert ("after", "finished") in calls(stack)


def test_without_observers_nothing_is_loaded(configure: Configure, calls: Calls) -> None:
    configure("version: 1\n")
    stack = locate()
    stack.parts.emit(STARTED)
    assert stack.parts.gate(REQUEST).allow
    assert calls(stack) == []


def test_an_observer_is_built_once_and_closed_with_the_stack(configure: Configure, calls: Calls) -> None:
    configure(observers(listens("first")))
    stack = locate()
    stack.parts.emit(STARTED)
    stack.parts.emit(FINISHED)
    stack.parts.close()
    assert [one[1] for one in calls(stack) if one[0] == "Listens"] == ["built", "closed"]


def test_an_observer_that_cannot_be_composed_is_an_error_before_anything_happens(configure: Configure, calls: Calls) -> None:
    configure(observers(listens("first"), "backends.py:Misspelled"))
    stack = locate()
    for _ in range(2):
        with pytest.raises(PluginError, match=r"observer\.Misspelled: there is no hook 'run_startd' - did you mean 'run_started'"):
            stack.parts.emit(STARTED)
    assert ("first", "run-1") not in calls(stack)
    configure(observers("{use: 'backends.py:Listens', nme_: x}"), "other.yaml")
    with pytest.raises(ConfigError, match="unknown key 'nme_' - did you mean 'name_'"):
        locate("other.yaml").parts.gate(REQUEST)


@pytest.mark.parametrize(
    ("answers", "allow", "reason"),
    [
        ([], True, ""),
        ([""], True, ""),
        (["allow", ""], True, ""),
        (["allow", "veto"], False, "too late"),
        (["silent"], False, "gate Gate gave no reason"),
        (["true"], False, "gate Gate answered bool instead of a GateDecision"),
        (["text"], False, "gate Gate raised TypeError: allow: expected True or False, got str - write bool(...)"),
        (["loose"], False, "gate Gate gave no reason"),
        (["exit"], False, "gate Gate raised SystemExit: 4"),
    ],
)
def test_one_veto_is_enough(configure: Configure, answers: list[str], allow: object, reason: str) -> None:
    configure(observers(*map(gate, answers)) if answers else "version: 1\n")
    decision = locate().parts.gate(REQUEST)
    assert (decision.allow, decision.reason) == (allow, reason)


def test_a_gate_that_raises_vetoes(configure: Configure, calls: Calls, caplog: pytest.LogCaptureFixture) -> None:
    configure(observers(gate("allow"), "backends.py:Raises", gate("veto")))
    stack = locate()
    decision = stack.parts.gate(REQUEST)
    assert (decision.allow, decision.reason) == (False, "gate Raises raised ValueError: no")
    assert [one for one in calls(stack) if one[0] == "gate"] == [("gate", "allow")]
    assert "observer Raises: its deployment_gate raised" in caplog.text
