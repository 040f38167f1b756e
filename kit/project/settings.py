"""
The settings' model: what each may be, and what is said of what it may not.

Variables are named after fields with a plain prefix, and camelCase is undone where files are read,
so that the model has one spelling.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TypeAlias

from pydantic import Field, Secret, SecretStr, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from kit.model.duration import parse_duration
from kit.project.address import origin_of
from kit.project.reading import PREFIX

PYTHON_VERSION = r"^3\.(1[1-9]|[2-9][0-9])(\.[0-9]+)?$"
Provider = Literal["netlify", "local"]
Kind = Literal["argument", "environment", ".env", "file", "hosting", "derived", "default"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a setting came from: which kind of source, and the precise place in it."""

    kind: Kind
    place: str = ""

    def __str__(self) -> str:
        return {
            "argument": f"argument {self.place}",
            "environment": f"environment {self.place}",
            ".env": f".env {self.place}",
            "hosting": f"Netlify ({self.place})",
        }.get(self.kind, self.place or self.kind)


Key: TypeAlias = "str | SecretStr"
"""A key as it may be given; a wrapped one is shown by nothing on its way."""


def hidden(key: Any) -> Any:
    """Return a *key* so that nothing can print it, also one that is no text; None as it is."""
    if key is None or isinstance(key, SecretStr):
        return key
    return SecretStr(key) if isinstance(key, str) else Secret(key)


@dataclass(frozen=True, slots=True)
class Source:
    """What one source says: values by field name, and where each of them came from."""

    values: Mapping[str, Any] = field(repr=False)  # the key may be among them
    origins: Mapping[str, Origin]


class WorkflowConfig(BaseSettings):
    """
    The settings below `workflow`, each valid by itself.

    It holds what it is given and the defaults; `load` merges the sources first.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="forbid", frozen=True, hide_input_in_errors=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what is given and nothing else: `load` has merged all sources before."""
        return (init_settings,)

    base_url: str | None = Field(
        None,
        description="The Netlify site to send events to, needed outside Netlify only. "
        "Of an address, its origin counts.",
        examples=["https://my-site.netlify.app"],
        json_schema_extra={"pattern": "^[hH][tT][tT][pP][sS]?://"},
    )
    api_key: SecretStr | None = Field(
        None,
        description="The site's AWL_API_KEY. Better left to the environment: WORKFLOW_API_KEY.",
        json_schema_extra={"minLength": 1},
    )
    provider: Provider | None = Field(
        None,
        description="Where runs live. When absent: netlify on Netlify or with a baseUrl, "
        "else local.",
    )
    store: Literal["awl", "blobs"] = Field(
        "awl",
        description="Where checkpoints live on Netlify: in the event itself (awl), or in a run "
        "record in Netlify Blobs (blobs), which can be looked at and stopped.",
    )
    path: str = Field(
        ".kit/runs.db",
        description="The file that keeps local runs, relative to the project's folder.",
        json_schema_extra={"minLength": 1},
    )
    durability: Literal["full", "normal"] = Field(
        "full",
        description="Local runs survive a power cut (full), or only the end of the process "
        "(normal, faster).",
    )
    replay: Literal["pauses", "always"] = Field(
        "pauses",
        description="Local runs are replayed after a pause, or always: after each step, "
        "to rehearse Netlify.",
    )
    concurrency: int = Field(
        100, ge=1, le=10_000, description="How many local runs may be under way at once."
    )
    retention: str | None = Field(
        None,
        description="How long runs that have ended are kept. When absent: until they are deleted "
        "by hand.",
        examples=["30 days"],
        json_schema_extra={"pattern": r"^\s*[0-9]*\.?[0-9]+\s*[a-zA-Z]+\s*$"},
    )
    folder: str = Field(
        "functions/workflows",
        description="The folder of workflow files, inside the project's folder.",
        json_schema_extra={"minLength": 1},
    )
    bundle: Literal["shared", "per-workflow"] = Field(
        "shared",
        description="One function serves all workflows of equal settings (shared), or each "
        "workflow has its own (per-workflow).",
    )
    python: str | None = Field(
        None,
        description="The Python that functions run on. When absent: the version `kit build` "
        "runs on.",
        examples=["3.13"],
        json_schema_extra={"pattern": PYTHON_VERSION},
    )

    include: tuple[str, ...] = Field(
        (),
        description="Files that `kit build` bundles though they look like secrets, are links, or "
        "would be left out: paths or patterns (*, **), relative to the project's folder.",
        examples=[["data/tokens.json", "certificates/*.pem"]],
        json_schema_extra={"items": {"type": "string", "minLength": 1}},
    )

    @field_validator("include", mode="before")
    @classmethod
    def _separate(cls, value: Any) -> Any:
        """Take a variable's text apart at commas."""
        if not isinstance(value, str):
            return value
        return [each.strip() for each in value.split(",") if each.strip()]

    @field_validator("include")
    @classmethod
    def _below(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            path = PurePosixPath(each)
            if any("**" in part and part != "**" for part in path.parts):
                msg = f"{each[:100]!r} is no pattern: ** stands for folders, between slashes"
                raise ValueError(msg)
            if not path.parts or not each.isprintable():
                msg = f"{each[:100]!r} is no path: write one without control characters"
                raise ValueError(msg)
            if path.is_absolute() or ".." in path.parts:
                msg = f"{each[:100]!r} leads out of the project: give paths inside it"
                raise ValueError(msg)
        return value

    @field_validator("base_url")
    @classmethod
    def _reduce(cls, value: str | None) -> str | None:
        return None if value is None else origin_of(value)

    @field_validator("api_key")
    @classmethod
    def _sendable(cls, value: SecretStr | None) -> SecretStr | None:
        key = "x" if value is None else value.get_secret_value()
        if not (key and key.isascii() and key.isprintable() and " " not in key):
            msg = (
                "it is empty, or holds a blank, a line end or a character outside ASCII,"
                " and cannot be sent: copy the key again"
            )
            raise ValueError(msg)
        return value

    @field_validator("retention")
    @classmethod
    def _is_duration(cls, value: str | None) -> str | None:
        if value is not None and parse_duration(value) <= timedelta():
            msg = "it must be longer than nothing"
            raise ValueError(msg)
        return value

    @field_validator("path", "folder", mode="before")
    @classmethod
    def _text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, Path) else value

    @field_validator("path", "folder")
    @classmethod
    def _printable(cls, value: str) -> str:
        if not value.strip() or not value.isprintable():
            msg = f"{value[:100]!r} is no path: write one without control characters"
            raise ValueError(msg)
        return value

    @field_validator("path")
    @classmethod
    def _of_a_file(cls, value: str) -> str:
        if value == ":memory:" or value.startswith("file:"):
            msg = f"{value[:100]!r} is SQLite's own: runs are kept in a file, so give its path"
            raise ValueError(msg)
        if value.startswith("~"):
            msg = f"{value[:100]!r}: ~ is not replaced here; write the folder out"
            raise ValueError(msg)
        return value

    @field_validator("folder")
    @classmethod
    def _inside(cls, value: str) -> str:
        path = PurePosixPath(value.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or value[1:2] == ":":
            msg = f"{value[:100]!r} leads out of the project: give a folder inside it"
            raise ValueError(msg)
        return value

    @field_validator("python")
    @classmethod
    def _version(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(PYTHON_VERSION, value):
            msg = f"{value[:100]!r} is no version the kit runs on: write it as 3.13, from 3.11 up"
            raise ValueError(msg)
        return value


FIELDS = tuple(WorkflowConfig.model_fields)
