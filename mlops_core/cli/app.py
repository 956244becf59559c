"""The command group. A command's module is imported when the command is called, so that ``mlops --help`` stays quick."""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["COMMANDS", "app", "main"]

# name: (module, what it does)
COMMANDS: Final = {
    "init": ("init", "Make a commented, working project in a folder."),
    "check": ("check", "Check the configuration, without connecting to anything."),
    "run": ("run", "Run the pipeline, or resume a run."),
    "status": ("status", "What runs, what is deployed, what needs a control loop."),
    "runs": ("runs", "Pipeline runs and tracked runs: list, show, compare, best, curves."),
    "tracking": ("tracking", "The spool of tracked runs: sync."),
    "models": ("models", "Registered models: versions, lineage, aliases, download."),
    "registry": ("registry", "The store behind the models: copy, gc, keygen, migrate, unseal."),
    "deploy": ("deploy", "Deploy a version to an environment."),
    "deployments": ("deployments", "Deployments and their history."),
    "canary": ("canary", "Start, pause, resume or end a canary."),
    "rollback": ("rollback", "Roll back a deployment."),
    "predict": ("predict", "Send rows to a deployed model."),
    "drift": ("drift", "Compare two files for drift."),
    "monitor": ("monitor", "Metrics, health and incidents of a model."),
    "alerts": ("alerts", "Open incidents and silences: list, silence, unsilence, ack."),
    "plugins": ("plugins", "What is installed, and the options of a plugin."),
    "watch": ("watch", "Run the control loop: canaries, alerts, sweeps."),
}

_BAD_INPUT: Final = 2
_FAILURE: Final = 1


class _LazyGroup(click.Group):
    """A group that knows its commands by name only."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"mlops_core.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, 1)
            hint = f" - did you mean '{near[0]}'?" if near else " - `mlops --help` lists them"
            raise click.UsageError(f"no command {args[0]!r}{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:  # noqa: FBT001  click calls it so
    if wanted:
        from importlib.metadata import version

        click.echo(f"mlops {version('motadata-mlops-core')}")
        ctx.exit()


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Show the version and exit.")
def app() -> None:
    """The whole life of a model: pipeline, tracking, versions, deployment, monitoring, drift.

    A project is a folder with mlops.yaml; commands find it upwards from the current folder. `mlops init` makes one.
    """


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 wrong input; ``drift`` also exits 3 where it finds drift."""
    given = list(sys.argv[1:] if args is None else args)
    debug = "--debug" in given
    try:
        code = app.main(given, prog_name="mlops", standalone_mode=False)
    except click.UsageError as error:
        where = f" - see `{error.ctx.command_path} --help`" if error.ctx is not None and " - " not in error.format_message() else ""
        _say(error.format_message().removesuffix(".") + where)
        code = _BAD_INPUT
    except click.ClickException as error:
        _say(error.format_message())
        code = _BAD_INPUT
    except click.Abort:
        _say("interrupted")
        code = 130
    except BrokenPipeError:  # the reader of our output, such as `head`, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = _FAILURE
    except Exception as error:
        if debug:
            raise
        code = _explain(error)
    sys.exit(code if isinstance(code, int) else 0)


def _explain(error: Exception) -> int:
    """One line for a mistake or a failure; what is neither is a bug, and says how to see more of it."""
    from mlops_core.exceptions import MLOpsError
    from mlops_core.secrecy import mask

    if isinstance(error, MLOpsError):
        _say(error.message)
        return _BAD_INPUT if error.bad_input else _FAILURE
    reason = mask(str(error)).partition("\n")[0]
    _say(f"unexpected {type(error).__name__}: {reason} - call again with --debug for the traceback")
    return _FAILURE


def _say(text: str) -> None:
    click.echo(f"mlops: {text}" if "\n" not in text else text, err=True)
