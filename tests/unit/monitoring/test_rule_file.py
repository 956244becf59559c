"""The rules of the configuration, handed to the sink that writes them for its system."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

import pytest

from mlops_core.config.settings import AlertRule, MonitoringSettings, Settings, SloSettings
from mlops_core.exceptions import CapabilityError, ConfigError
from mlops_core.monitoring.rule_file import rule_specs, write_rule_file
from mlops_core.records import BurnSpec, BurnTier, RuleSpec, Threshold
from mlops_core.testing.memory_sink import MemorySink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlops_core.roles import MonitorSink

    from .conftest import MakeStack

RULE = AlertRule(
    "errors",
    "error_rate > 2%",
    hold_for=timedelta(minutes=1),
    window=timedelta(minutes=10),
    model="tickets",
    environment="production",
    clear="error_rate < 1%",
    keep=timedelta(minutes=5),
    no_data="keep",
)


class Named(MemorySink):
    contract = 1
    word = ""
    capabilities: ClassVar[frozenset[str]] = frozenset({"rules"})

    def rules(self, specs: Sequence[RuleSpec | BurnSpec]) -> str:
        return self.word + " ".join(f"{spec.tenant}/{spec.name}" for spec in specs)


def test_a_rule_is_told_with_all_that_it_says() -> None:
    settings = Settings(monitoring=MonitoringSettings(alerts=(RULE, AlertRule("slow", "p95_latency > 1"))))
    full, plain = rule_specs(settings, "acme")
    assert full == RuleSpec(
        name="errors",
        tenant="acme",
        when=Threshold("error_rate", ">", 0.02),
        window=timedelta(minutes=10),
        hold_for=timedelta(minutes=1),
        clear=Threshold("error_rate", "<", 0.01),
        keep=timedelta(minutes=5),
        no_data="keep",
        model="tickets",
        environment="production",
    )
    assert plain == RuleSpec("slow", "acme", Threshold("p95_latency", ">", 1))


def test_an_objective_is_told_as_its_two_rules() -> None:
    slo = SloSettings(success=0.999, over=timedelta(days=30), model="tickets", min_failures=7)
    page, ticket = rule_specs(Settings(monitoring=MonitoringSettings(slo=slo)), "acme")
    hour = timedelta(hours=1)
    assert page == BurnSpec(
        name="slo.page",
        tenant="acme",
        success=0.999,
        tiers=(BurnTier(14.4, hour, hour / 12), BurnTier(6.0, 6 * hour, hour / 2)),
        ease=0.8,
        min_failures=7,
        severity="page",
        model="tickets",
    )
    assert isinstance(ticket, BurnSpec)
    assert (ticket.name, ticket.severity, ticket.beside) == ("slo.ticket", "ticket", "slo.page")
    assert ticket.tiers == (BurnTier(1.0, 72 * hour, 6 * hour),)


def test_a_mistaken_rule_is_one_line() -> None:
    with pytest.raises(ConfigError, match=r"monitoring\.alerts\[0\]\.when"):
        rule_specs(Settings(monitoring=MonitoringSettings(alerts=(AlertRule("errors", "error_rat > 2"),))), "acme")


def test_the_first_sink_that_can_writes_or_the_one_that_is_named(make: MakeStack) -> None:
    first, second = Named(), Named()
    first.word, second.word = "first: ", "second: "
    stack = make(RULE, sinks={"memory": MemorySink(), "first": first, "second": second})
    assert write_rule_file(stack) == f"first: {stack.tenant}/errors"
    assert write_rule_file(stack, "second") == f"second: {stack.tenant}/errors"


@pytest.mark.parametrize(
    ("sinks", "named", "said"),
    [
        ({"memory": MemorySink()}, None, "monitoring.sinks: none of them has rules of its own - add one that has, such as prometheus"),
        ({"memory": MemorySink()}, "memory", "sink memory: has no rules of its own - add one that has, such as prometheus"),
        ({"memory": MemorySink(), "first": Named()}, "frist", "sink frist: is not configured - did you mean 'first'?"),
        ({"memory": MemorySink(), "first": Named()}, "memory", "sink memory: has no rules of its own - there are: first"),
    ],
)
def test_a_sink_that_cannot_is_one_line(make: MakeStack, sinks: dict[str, MonitorSink], named: str | None, said: str) -> None:
    with pytest.raises(CapabilityError) as caught:
        write_rule_file(make(RULE, sinks=sinks), named)
    assert caught.value.message == said
