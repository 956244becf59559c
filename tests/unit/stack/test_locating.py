import os
import threading
from pathlib import Path

import pytest

from mlops_core.config.settings import Settings, Use
from mlops_core.exceptions import ConfigError, NameRuleError
from mlops_core.stack import Stack, compose, locate, release
from tests.unit.stack.conftest import Calls, Configure


def project(folder: Path, text: str = "version: 1\n", name: str = "mlops.yaml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_a_file_or_its_folder_is_taken_as_named(tmp_path: Path) -> None:
    file = project(tmp_path / "a", "version: 1\ntenant: one\n")
    assert locate(file).tenant == locate(tmp_path / "a").tenant == locate("a").tenant == "one"
    assert locate("a").root == tmp_path / "a"


def test_a_configuration_may_have_another_name(tmp_path: Path) -> None:
    project(tmp_path, "version: 1\ntenant: other\n", "flights.yaml")
    project(tmp_path, "tenant: laid-over\n", "flights.big.yaml")
    assert locate("flights.yaml").tenant == "other"
    assert locate("flights.yaml", "big").tenant == "laid-over"


def test_else_the_variable_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project(tmp_path / "named", "version: 1\ntenant: named\n")
    project(tmp_path, "version: 1\ntenant: here\n")
    monkeypatch.setenv("MLOPS_PROJECT", str(tmp_path / "named"))
    assert locate().tenant == "named"
    assert locate(tmp_path).tenant == "here"
    monkeypatch.setenv("MLOPS_PROJECT", "")
    assert locate().tenant == "here"


def test_else_the_nearest_one_upwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project(tmp_path / "a", "version: 1\ntenant: upwards\n")
    (tmp_path / "a" / "b").mkdir()
    monkeypatch.chdir(tmp_path / "a" / "b")
    assert (locate().tenant, locate().root) == ("upwards", tmp_path / "a")


def test_else_the_default_one_below_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = locate()
    assert stack.tenant == "default"
    monkeypatch.chdir("/")
    assert stack.workdir == tmp_path / ".mlops"
    assert not stack.workdir.exists()


def test_a_project_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"^project: 'nowhere': no such file or folder - name a configuration file or its folder"):
        locate("nowhere")
    with pytest.raises(ConfigError, match=r"^project: 'empty': no mlops\.yaml in it"):
        locate("empty")
    monkeypatch.setenv("MLOPS_PROJECT", "gone")
    with pytest.raises(ConfigError, match=r"^MLOPS_PROJECT: 'gone': no such file or folder"):
        locate()


def test_a_profile_needs_a_file_to_lie_over() -> None:
    with pytest.raises(ConfigError, match=r"profile 'production': there is no mlops\.yaml here or above"):
        locate(profile="production")


def test_a_wrong_configuration_is_not_located(tmp_path: Path) -> None:
    project(tmp_path, "version: 1\ntracler: x\n")
    with pytest.raises(ConfigError, match=r"^mlops\.yaml:2:1: unknown key 'tracler' - did you mean 'tracker'\?$"):
        locate()


def test_whoever_asks_for_one_project_shares_one_stack(tmp_path: Path) -> None:
    project(tmp_path / "a")
    project(tmp_path / "a", "tenant: x\n", "mlops.big.yaml")
    project(tmp_path / "b")
    first = locate("a")
    assert locate("a").parts is first.parts
    assert locate(tmp_path / "a" / "mlops.yaml").parts is first.parts
    assert locate("a", tenant="other").parts is first.parts
    assert locate("a", tenant="other").tenant == "other"
    assert locate("b").parts is not first.parts
    assert locate("a", "big").parts is not first.parts


def test_a_link_to_a_project_is_the_project(tmp_path: Path) -> None:
    project(tmp_path / "a")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    first = locate("a")
    assert locate("link").parts is first.parts


def test_a_changed_file_is_seen_by_who_asks_next(tmp_path: Path) -> None:
    project(tmp_path, "version: 1\ntenant: one\n")
    first = locate()
    project(tmp_path, "version: 1\ntenant: two\n")
    second = locate()
    assert (first.tenant, second.tenant) == ("one", "two")
    assert locate().parts is second.parts
    assert first.settings.tenant == "one"
    project(tmp_path, "version: 1\ntenant: two\n")
    assert locate().parts is second.parts, "written again with the same text"
    project(tmp_path, "version: 1\ntennant: two\n")
    with pytest.raises(ConfigError, match="did you mean 'tenant'"):
        locate()


def test_a_changed_overlay_is_seen_by_who_asks_next(tmp_path: Path) -> None:
    project(tmp_path)
    project(tmp_path, "tenant: one\n", "mlops.big.yaml")
    plain, first = locate(), locate(profile="big")
    project(tmp_path, "tenant: two\n", "mlops.big.yaml")
    assert (first.tenant, locate(profile="big").tenant) == ("one", "two")
    assert locate().parts is plain.parts


def test_where_the_caller_stands_is_no_change_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project(tmp_path / "a")
    first = locate("a")
    monkeypatch.chdir(tmp_path / "a")
    assert locate().parts is first.parts


def test_the_last_user_closes(configure: Configure, calls: Calls) -> None:
    configure("version: 1\ntracker: backends.py:Tracks\n")
    first, second = locate(), locate(tenant="other")
    made = first.for_tenant("third")
    _ = first.parts.trackers["Tracks"]

    def told() -> list[str]:
        return [one[1] for one in calls(second)]

    release(first)
    release(first)
    release(made)
    assert told() == ["built"]
    assert locate().parts is first.parts, "it is still in use"
    release(second)
    assert told() == ["built", "closed"]
    assert locate().parts is not first.parts


def test_a_user_who_is_gone_keeps_nothing_open(configure: Configure, calls: Calls) -> None:
    configure("version: 1\ntracker: backends.py:Tracks\n")
    stack = locate()
    heard = calls(stack)
    other = locate().for_tenant("other")
    _ = stack.parts.trackers["Tracks"]
    del other
    release(stack)
    assert [one[1] for one in heard] == ["built", "closed"]


def test_only_users_are_counted(configure: Configure, calls: Calls, tmp_path: Path) -> None:
    configure("version: 1\ntracker: backends.py:Tracks\n")
    stack = compose(Settings(trackers=(Use("backends.py:Tracks"),)), tmp_path)
    _ = stack.parts.trackers["Tracks"]
    release(stack)
    assert [one[1] for one in calls(stack)] == ["built"]
    stack.parts.close()


def test_a_tenant_follows_the_name_rule(tmp_path: Path) -> None:
    with pytest.raises(NameRuleError, match=r"tenant: '\.\./other' is not a name"):
        locate(tenant="../other")


def test_threads_that_ask_at_once_share_one_stack(tmp_path: Path) -> None:
    project(tmp_path)
    found: list[Stack] = []
    threads = [threading.Thread(target=lambda: found.append(locate())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(stack.parts) for stack in found}) == 1
    assert len(found) == 8


def test_a_forked_child_shares_with_itself_only(tmp_path: Path) -> None:
    project(tmp_path)
    stack = locate()
    child = os.fork()
    if child == 0:
        own = locate()
        os._exit(0 if own.parts is not stack.parts and locate().parts is own.parts else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert locate().parts is stack.parts


def test_a_forked_child_closes_nothing_of_its_parents(configure: Configure, calls: Calls) -> None:
    configure("version: 1\ntracker: backends.py:Tracks\n")
    stack = locate()
    _ = stack.parts.trackers["Tracks"]
    child = os.fork()
    if child == 0:
        release(stack)
        os._exit(0 if [one[1] for one in calls(stack)] == ["built"] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    release(stack)
    assert [one[1] for one in calls(stack)] == ["built", "closed"]
