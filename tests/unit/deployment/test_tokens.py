"""Tokens of clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlops_core.config.settings import EnvironmentSettings, Settings, Use
from mlops_core.deployment.tokens import Tokens, tokens_of
from mlops_core.exceptions import DeploymentError
from mlops_core.testing.stack import make_stack

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "# clients\nacme: 0123456789abcdef\n\nglobex:fedcba9876543210\nacme:another-token-of-acme\n"


def test_a_token_names_its_tenant() -> None:
    tokens = Tokens.parse(TEXT)

    assert tokens
    assert tokens.authenticate("0123456789abcdef") == "acme"
    assert tokens.authenticate("another-token-of-acme") == "acme"
    assert tokens.authenticate("fedcba9876543210") == "globex"
    assert tokens.of("acme") == "0123456789abcdef"
    assert tokens.of("initech") is None


@pytest.mark.parametrize("token", [None, "", "0123456789abcde", "0123456789abcdef ", "acme:0123456789abcdef"])
def test_any_other_is_refused_with_one_line_that_shows_none(token: str | None) -> None:
    with pytest.raises(DeploymentError, match=r"^token: it is missing or wrong - send the header Authorization: Bearer TOKEN$"):
        Tokens.parse(TEXT).authenticate(token)


def test_without_tokens_everybody_is_welcome() -> None:
    assert not Tokens.parse(None)
    assert Tokens.parse(None).authenticate(None) is None
    assert Tokens().authenticate("whatever") is None


@pytest.mark.parametrize("text", ["", "# nothing\n", "acme\n", "acme:short\n", "acme:0123456789 abcdef\n", "../acme:0123456789abcdef\n"])
def test_lines_that_are_no_tokens_are_refused_without_showing_them(text: str) -> None:
    with pytest.raises(DeploymentError) as raised:
        Tokens.parse(text)
    assert raised.value.message.startswith("tokens: ")
    assert "0123456789" not in raised.value.message


def test_tokens_show_in_no_repr() -> None:
    assert "0123456789abcdef" not in repr(Tokens.parse(TEXT))


def test_tokens_are_read_when_they_are_needed(tmp_path: Path) -> None:
    environments = {"production": EnvironmentSettings(Use("local"), tokens="${file:tokens}"), "staging": EnvironmentSettings(Use("local"))}
    stack = make_stack(tmp_path, settings=Settings(environments=environments))

    with pytest.raises(DeploymentError, match=r"^environments\.production\."):
        tokens_of(stack, "production")
    (tmp_path / "tokens").write_text(TEXT)
    assert tokens_of(stack, "production").of("globex") == "fedcba9876543210"
    assert not tokens_of(stack, "staging")
    assert not tokens_of(stack, "elsewhere")
