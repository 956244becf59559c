"""What is hidden shows in no message, in whatever form it is quoted."""

from __future__ import annotations

import gc
import json
import logging
import pickle
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import pytest

from mlops_core.exceptions import ConfigError, MLOpsError
from mlops_core.secrecy import Hidden, MaskingHandler, mask
from mlops_core.structure import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "-----BEGIN KEY-----\nMIIEvQ/IBAD+ANBg\nkqhkiG9w0BAQ\n-----END KEY-----"
AWKWARD = 'it\'s a \\ "pass" & word'


@pytest.fixture(autouse=True)
def hidden() -> Iterator[Hidden]:
    made = Hidden()
    for secret in ("hunter2", "hunter22", KEY, AWKWARD, "four", "abc"):
        made.add(secret)
    yield made
    del made


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no answer from pg://u:hunter2@h", "no answer from pg://u:***@h"),
        ("hunter22 and hunter2", "*** and ***"),
        ("the ham", "the ham"),
        (f"bad key {KEY}", "bad key ***"),
        (f"bad key {' '.join(KEY.split())}", "bad key ***"),
        (f"bad key {KEY!r}", "bad key '***'"),
        ("line 2 is MIIEvQ/IBAD+ANBg", "line 2 is ***"),
        (f"bad {AWKWARD}", "bad ***"),
        (f"bad {AWKWARD!r}", "bad '***'"),
        (f"bad {json.dumps(AWKWARD)}", 'bad "***"'),
        (f"GET /?{urlencode({'key': AWKWARD})}", "GET /?key=***"),
        (f"GET /{quote(AWKWARD, safe='')}", "GET /***"),
        ("four is hidden, abc is too short to be", "*** is hidden, abc is too short to be"),
    ],
)
def test_a_secret_is_hidden_in_every_form(text: str, shown: str) -> None:
    assert mask(text) == shown


def test_what_hides_shows_nothing_itself(hidden: Hidden) -> None:
    assert repr(hidden) == "***"


def test_every_error_of_the_framework_is_masked() -> None:
    error = MLOpsError("no answer from hunter2")
    assert (error.message, str(error), error.args) == ("no answer from ***", "no answer from ***", ("no answer from ***",))
    several = ConfigError("a: hunter2", "b: fine")
    assert (several.problems, several.message) == (("a: ***", "b: fine"), "a: ***\nb: fine")
    assert pickle.loads(pickle.dumps(several)).problems == several.problems  # noqa: S301  our own
    assert one_line(ValueError(f"two\nlines of {KEY}")) == "ValueError: two lines of ***"


def test_every_record_of_the_framework_is_masked(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("mlops_core.anything.below")
    try:
        int("hunter2")
    except ValueError as error:
        log.exception("it failed: %s", error)  # noqa: TRY401  what a careless author writes
    log.warning("as %s it is", "written")
    assert "it failed: invalid literal for int() with base 10: '***'" in caplog.text
    assert "ValueError: invalid literal for int() with base 10: '***'" in caplog.text, "the traceback is kept"
    assert "as written it is" in caplog.text
    assert "hunter2" not in caplog.text


def test_a_record_that_cannot_be_formatted_ends_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    MaskingHandler().emit(logging.LogRecord("mlops_core", logging.INFO, __file__, 1, "%d", ("x",), None))
    assert "TypeError" in capsys.readouterr().err


def test_what_nobody_uses_any_more_is_forgotten() -> None:
    made = Hidden()
    made.add("sesame-42")
    assert mask("sesame-42") == "***"
    del made
    gc.collect()
    assert mask("sesame-42") == "sesame-42"
