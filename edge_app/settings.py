"""Settings: one class, filled from the settings file and from ``ECHOGFR_*``; options given win over both."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from engines.errors import UsageError
from engines.manifest import Precision
from engines.server import Server, make_server
from engines.trust import Policy

FILE_NAME = "settings.toml"


def settings_file() -> Path:
    """Return where the settings file lies, whether or not there is one."""
    return platformdirs.user_config_path("echogfr", appauthor=False) / FILE_NAME


class Settings(BaseSettings):
    """What the app is started with.

    Each field is read from ``ECHOGFR_<NAME>`` in the environment, else from ``settings.toml`` in the
    user's configuration folder, else it has the value here.
    """

    model_config = SettingsConfigDict(env_prefix="ECHOGFR_", extra="forbid", frozen=True)

    source: str = "phantom:"  # as open_source takes it
    sources: tuple[str, ...] = ()  # others that `echogfr sources` looks at: streams cannot be found by themselves
    bundle: Path | None = None  # directory, or id of an imported one; None: the chosen one, or the shipped stand-in
    signatures: Policy | None = None  # None: warn of a local bundle, require for an import from removable media
    runtime: str | None = None  # None: the best one that this machine has
    precision: Precision | None = None  # None: the best one that the bundle has for it
    triton_url: str | None = None  # HOST:PORT of an inference server, grpcs:// before it for TLS; None: no network
    triton_ca: Path | None = None  # PEM: believe certificates of this authority alone
    triton_certificate: Path | None = None  # PEM of this bed, where the server asks for one
    triton_key: Path | None = None
    triton_deadline_s: float = Field(default=2.0, gt=0, le=60)  # for one reading, tries included
    fallback: Literal["onnxruntime"] | None = None  # consent: what reads here while the server is away
    allow_out_of_domain: bool = False
    rotate: Literal["auto", "on", "off"] = "auto"  # whether members take turns while the picture is live
    quality: Path | None = None  # TOML file with own limits of the quality gate (docs/imaging.md)
    fullscreen: bool = False
    offscreen_seconds: float | None = Field(default=None, gt=0)  # None: a window, or a short run without a display

    @property
    def server(self) -> Server | None:
        """Return the inference server that the operator names, if any.

        Raises
        ------
        UsageError
            The address or one of the files cannot be used.
        """
        if self.triton_url is None:
            return None
        files = (self.triton_ca, self.triton_certificate, self.triton_key)
        return make_server(self.triton_url, *files, deadline_s=self.triton_deadline_s)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Options, then environment, then file; nothing else is read."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, settings_file())


def load_settings(**given: Path | str | float | None) -> Settings:
    """Return the settings; ``given`` options that are None count as not given.

    Raises
    ------
    UsageError
        The file or a value in it, or in the environment, cannot be used.
    """
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    try:
        return Settings(**options)
    except ValidationError as error:
        raise UsageError("The settings cannot be used", _told(error), f"correct {_where()}") from error
    except (ValueError, OSError) as error:  # not TOML, or not readable
        raise UsageError(f"{settings_file()} cannot be read", _first_line(error), "correct or remove it") from error


def _told(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in found)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].lower()


def _where() -> str:
    return f"the option, ECHOGFR_* or {settings_file()}"
