"""The command line: `python -m app serve`, and the administration of workspaces and keys."""

import asyncio
import signal
import sys
from typing import Any

import click
from pydantic import ValidationError

from app.settings import Settings, describe_environment, is_place

SCOPES = ("admin", "edit", "run", "read")


def _read_settings() -> Settings:
    """The settings, or exit with one line that names the variables at fault (never their values)."""
    try:
        return Settings()
    except ValidationError as error:
        faults = "; ".join(f"{fault['loc'][0]}: {fault['msg']}" for fault in error.errors(include_input=False))
        raise click.ClickException(f"environment: {faults}") from None


def _administer(action: str, **details: Any) -> None:
    # Imported late: `--help` should not load the web framework and the driver.
    from app import bootstrap
    from app.adapters.embedded import EmbeddedMongoError

    try:
        click.echo(asyncio.run(bootstrap.administer(_read_settings(), action, **details)))
    except (EmbeddedMongoError, LookupError, ValueError) as error:
        raise click.ClickException(str(error.args[0]) if error.args else str(error)) from None


def _parse_scopes(_: click.Context, __: click.Parameter, value: str) -> tuple[str, ...]:
    scopes = tuple(dict.fromkeys(part.strip() for part in value.split(",") if part.strip()))
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        raise click.BadParameter(f"one or more of {', '.join(SCOPES)}, separated by commas")
    return scopes


class _Overview(click.Group):
    """A group whose help shows the commands of its subgroups as well: one page tells it all."""

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        rows = []
        for name, command in self.commands.items():
            below = command.commands.items() if isinstance(command, click.Group) else [("", command)]
            for child_name, child in below:
                usage = " ".join([name, child_name, *child.collect_usage_pieces(context)[1:]])
                named = [option.opts[0] for option in child.params if isinstance(option, click.Option)]
                rows.append((" ".join([usage.strip(), *named]), child.get_short_help_str(80)))
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Environment"):
            formatter.write_dl([(line.split("  ", 1)[0], line.split("  ", 1)[1]) for line in _environment_lines()])


def _environment_lines() -> list[str]:
    return describe_environment().splitlines()


@click.group(cls=_Overview, context_settings={"max_content_width": 120})
def main() -> None:
    """Antiphon: workflows that pause, persist and resume over HTTP turns."""


@main.command()
def serve() -> None:
    """Run the server until SIGTERM or Ctrl-C."""
    # Until the server listens for it, Ctrl-C just ends us: as an exception, it can get lost in the middle of an import.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    settings = _read_settings()
    from app import serving

    try:
        serving.serve(settings)
    except (serving.CannotServeError, serving.EmbeddedMongoError) as error:
        raise click.ClickException(str(error)) from None


@main.group()
def keys() -> None:
    """Make, list and revoke API keys."""


@keys.command("create")
@click.option("--workspace", required=True, help="Name of the workspace the key opens.")
@click.option("--scopes", required=True, callback=_parse_scopes, help=f"Of {', '.join(SCOPES)}, with commas between.")
@click.option("--name", default=None, help="What the key is for.")
def create_key(workspace: str, scopes: tuple[str, ...], name: str | None) -> None:
    """Make a key and print it, this once."""
    _administer("keys.create", workspace=workspace, scopes=scopes, name=name)


@keys.command("list")
@click.option("--workspace", required=True, help="Name of the workspace.")
def list_keys(workspace: str) -> None:
    """List a workspace's keys, without their secrets."""
    _administer("keys.list", workspace=workspace)


@keys.command("revoke")
@click.argument("id")
def revoke_key(id: str) -> None:
    """End a key at once, in every process."""
    _administer("keys.revoke", id=id)


@main.group()
def workspaces() -> None:
    """Make workspaces."""


@workspaces.command("create")
@click.argument("name")
def create_workspace(name: str) -> None:
    """Make a workspace."""
    _administer("workspaces.create", name=name)


def _parse_place(_: click.Context, __: click.Parameter, value: str) -> str:
    if not is_place(value):
        raise click.BadParameter("host:port or a network")
    return value


@workspaces.command("allow")
@click.argument("workspace")
@click.argument("place", callback=_parse_place)
def allow_place(workspace: str, place: str) -> None:
    """Let a workspace's workflows reach an inner address (host:port or a network)."""
    _administer("workspaces.allow", workspace=workspace, place=place)


if __name__ == "__main__":
    sys.exit(main(prog_name="python -m app"))
