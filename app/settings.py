"""Everything Antiphon reads from its environment, read once, each value with its unit and its default."""

import ipaddress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.services.provider_fields import address_fault
from app.services.shared_providers import SharedProvider, parse_shared


def is_place(text: str) -> bool:
    """`host:port`, `[v6]:port`, or a network."""
    try:
        ipaddress.ip_network(text, strict=False)
        return True
    except ValueError:
        host, _, port = text.rpartition(":")
        return bool(host) and port.isdecimal() and 0 < int(port) < 65_536


class Settings(BaseSettings):
    """A frozen reading of the environment. An unset or empty variable gives the default; a bad one is refused."""

    # populate_by_name lets tests and the CLI say Settings(data_dir=...) without touching the environment.
    # A refusal is told without its input: that may be a key or a password.
    model_config = SettingsConfigDict(
        frozen=True, env_ignore_empty=True, populate_by_name=True, extra="ignore", hide_input_in_errors=True
    )

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    public_url: str | None = Field(
        default=None, description="Base URL that people and clients reach this server by, if not HOST:PORT."
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Origins that browsers may call from, separated by commas; none by default."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Least level that is logged."
    )

    mongodb_uri: SecretStr | None = Field(
        default=None,
        description="MongoDB to use (a replica set). Unset: an embedded one is started under ANTIPHON_DATA_DIR.",
    )
    mongodb_database: str = Field(default="antiphon", min_length=1, description="Name of the database.")
    data_dir: Path = Field(
        default=Path("var"),
        validation_alias="ANTIPHON_DATA_DIR",
        description="Folder of the embedded database, its lock and admin.key.",
    )
    admin_key: SecretStr | None = Field(
        default=None,
        validation_alias="ANTIPHON_ADMIN_KEY",
        description="Presets the admin key made on the first start.",
    )
    secret_keys: SecretStr | None = Field(
        default=None,
        validation_alias="ANTIPHON_SECRET_KEYS",
        description="Keys of secrets and links, by commas: the first is used, all are known. Unset: secret.key in the data "
        "folder.",
    )
    outgoing_allow: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        validation_alias="ANTIPHON_OUTGOING_ALLOW",
        description="Inner addresses that workflows may reach: host:port or networks, by commas; none by default.",
    )
    providers: SecretStr | None = Field(
        default=None,
        validation_alias="ANTIPHON_PROVIDERS",
        description="Providers of models for all workspaces, a JSON object by name: base_url, api_key, default_model.",
    )
    web_search_url: str | None = Field(
        default=None,
        validation_alias="ANTIPHON_WEB_SEARCH_URL",
        description="Base URL of the SearXNG-compatible server that searches the web; it may be an inner one.",
    )
    run_retention_days: int = Field(default=30, ge=1, description="Days that an ended run is kept.")
    max_body_bytes: int = Field(default=1_048_576, ge=1024, description="Largest request body, in bytes.")

    limit_turn_executions: int = Field(default=500, ge=1, description="Node executions in one turn.")
    limit_turn_seconds: int = Field(default=300, ge=1, description="Seconds one turn may take.")
    limit_node_executions: int = Field(default=25, ge=1, description="Executions of one node without input in between.")
    limit_parallel_branches: int = Field(default=10, ge=1, description="Branches of a run that are open at once.")
    limit_text_bytes: int = Field(default=262_144, ge=1, description="Bytes of one rendered text.")
    limit_output_bytes: int = Field(default=1_048_576, ge=1, description="Bytes of one node's output.")
    limit_state_bytes: int = Field(default=4_194_304, ge=1, description="Bytes of a run's encoded state.")
    limit_events_bytes: int = Field(default=4_194_304, ge=1, description="Bytes of one turn's events.")
    limit_reply_bytes: int = Field(default=4_194_304, ge=1, description="Bytes of one stored reply.")
    limit_iteration_items: int = Field(default=1_000, ge=1, description="Items of one `iteration`.")
    limit_run_tokens: int = Field(default=2_000_000, ge=1, description="Tokens of models that one run may use.")

    @field_validator("cors_origins", "outgoing_allow", mode="before")
    @classmethod
    def _split_by_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("secret_keys")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        keys = [key.strip() for key in value.get_secret_value().split(",")] if value else []
        if any(len(key) < 16 for key in keys):
            raise ValueError("every key needs at least 16 characters")
        return value

    @field_validator("providers")
    @classmethod
    def _of_models(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parse_shared(value.get_secret_value())
        return value

    @field_validator("web_search_url")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is not None and (fault := address_fault(value)):
            raise ValueError(fault)
        return value

    @field_validator("outgoing_allow")
    @classmethod
    def _places(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for rule in value:
            if not is_place(rule):
                raise ValueError(f"{rule!r} is neither host:port nor a network")
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _in_capitals(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("public_url")
    @classmethod
    def _without_last_slash(cls, value: str | None) -> str | None:
        return value.rstrip("/") if value else None

    def shared_providers(self) -> dict[str, SharedProvider]:
        """Those of the setting, by name."""
        return parse_shared(self.providers.get_secret_value()) if self.providers else {}


def describe_environment() -> str:
    """One line for every environment variable: name, meaning, default. For `--help`; shows no value that is set."""
    lines = []
    for name, field in Settings.model_fields.items():
        variable = field.validation_alias if isinstance(field.validation_alias, str) else name.upper()
        default = field.default
        shown = "none" if default is None or default == () else str(default)
        lines.append(f"{variable}  {field.description} [{shown}]")
    return "\n".join(lines)
