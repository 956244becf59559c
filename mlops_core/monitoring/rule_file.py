"""The alert rules as a file of another system, written by the sink that feeds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_core.exceptions import CapabilityError
from mlops_core.monitoring.rules import read_rules
from mlops_core.monitoring.slo import burn_specs
from mlops_core.records import RuleSpec
from mlops_core.structure import nearest

if TYPE_CHECKING:
    from mlops_core.config.settings import Settings
    from mlops_core.records import BurnSpec
    from mlops_core.stack import Stack

__all__ = ["rule_specs", "write_rule_file"]


def rule_specs(settings: Settings, tenant: str) -> tuple[RuleSpec | BurnSpec, ...]:
    """The rules of the configuration, as sinks are told of them; raises ``ConfigError`` with one line for each mistake."""
    rules = tuple(
        RuleSpec(
            name=rule.settings.name,
            tenant=tenant,
            when=rule.condition,
            window=rule.settings.window,
            hold_for=rule.settings.hold_for,
            clear=rule.clear,
            keep=rule.settings.keep,
            no_data=rule.settings.no_data,
            model=rule.settings.model,
            environment=rule.settings.environment,
        )
        for rule in read_rules(settings)
    )
    slo = settings.monitoring.slo
    return rules if slo is None else (*rules, *burn_specs(slo, tenant))


def write_rule_file(stack: Stack, name: str | None = None) -> str:
    """The text that a sink makes of the rules: of the one named, else of the first that can.

    Raises:
        CapabilityError: No sink can, or not the one named.
        ConfigError: A rule is mistaken.
        MonitoringError: A rule cannot be said there.
    """
    sinks = stack.parts.sinks
    able = [one for one, sink in sinks.items() if "rules" in sink.capabilities]
    if name is None and not able:
        raise CapabilityError("monitoring.sinks: none of them has rules of its own - add one that has, such as prometheus")
    if name is not None and name not in able:
        told = "has no rules of its own" if name in sinks else "is not configured"
        raise CapabilityError(f"sink {name}: {told} - {nearest(name, able) if able else 'add one that has, such as prometheus'}")
    return sinks[name or able[0]].rules(rule_specs(stack.settings, stack.tenant))
