import logging
import threading
import time
from typing import Any

import pytest
from attrs import define, field

from mlops_core.exceptions import ConfigError
from mlops_core.roles import Backend
from mlops_core.stack.built import Lazy, Shelf


@define(eq=False)
class Part(Backend):
    contract = 1
    name: str
    log: list[str]
    broken: bool = field(default=False)

    def close(self) -> None:
        if self.broken:
            raise OSError("still open")
        self.log.append(self.name)


def test_a_backend_is_built_by_the_first_who_asks() -> None:
    shelf, made = Shelf(), list[Part]()

    def slow() -> Part:
        time.sleep(0.02)
        made.append(Part("a", []))
        return made[-1]

    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(shelf.get("tracker", "a", slow))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert all(one is made[0] for one in found)
    assert len(found) == 8


def test_one_name_in_two_roles_is_two_backends() -> None:
    shelf = Shelf()
    assert shelf.get("tracker", "a", lambda: Part("t", [])) is not shelf.get("sink", "a", lambda: Part("s", []))


def test_what_failed_to_be_built_is_tried_again() -> None:
    shelf = Shelf()

    def fails() -> Part:
        raise ConfigError("no")

    with pytest.raises(ConfigError):
        shelf.get("tracker", "a", fails)
    assert shelf.get("tracker", "a", lambda: Part("a", [])).name == "a"


def test_the_newest_is_closed_first_and_one_that_fails_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    shelf, log = Shelf(), list[str]()
    for name in ("a", "b", "c"):
        shelf.get("sink", name, lambda name=name: Part(name, log, name == "b"))  # type: ignore[misc]  # bound at once
    with caplog.at_level(logging.WARNING, "mlops_core.stack.built"):
        shelf.close()
    assert log == ["c", "a"]
    assert "sink.b: could not be closed: OSError: still open" in caplog.text


def test_names_are_known_before_anything_is_built() -> None:
    made = list[str]()

    def make(name: str) -> str:
        made.append(name)
        return name.upper()

    lazy = Lazy("environments", {"staging": 1, "production": 2}, make)
    assert list(lazy) == ["staging", "production"]
    assert len(lazy) == 2
    assert "staging" in lazy
    assert "nowhere" not in lazy
    assert lazy.get("nowhere") is None
    assert lazy.get("nowhere", "x") == "x"
    assert repr(lazy) == "<environments: staging, production>"
    assert made == []
    assert lazy.get("staging") == "STAGING"
    assert dict(lazy) == {"staging": "STAGING", "production": "PRODUCTION"}


def test_a_name_that_is_not_there_is_told_with_the_nearest() -> None:
    lazy = Lazy("environments", {"staging": 1}, lambda name: name)
    with pytest.raises(ConfigError, match=r"environments: nothing is called 'stagin' - did you mean 'staging'\?"):
        lazy["stagin"]
    assert repr(Lazy("sinks", {}, str)) == "<sinks: none>"
