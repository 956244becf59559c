"""Say at the end which blocks of the documentation were run and which were not, and why."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    told = [
        (name, value)
        for report in (*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed"))
        if report.when == "call"
        for name, value in report.user_properties
    ]
    run = sum(int(str(value)) for name, value in told if name == "blocks run")
    left = sorted(str(value) for name, value in told if name == "block not run")
    if told:
        terminalreporter.section("blocks of the documentation")
        terminalreporter.write_line(f"{run} run, {len(left)} not run")
        for line in left:
            terminalreporter.write_line(line)
