"""The registry's settings."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, TypeAdapter, ValidationError, model_validator
from pydantic_settings import NoDecode
from yarl import URL

from runtime.proof import StaffSettings
from runtime.settings import LogLevel, ServiceSettings, Settings, Words


def _pairs(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    pairs = [part.strip().partition("=") for part in value.split(",") if part.strip()]
    names = [name.strip() for name, _, _ in pairs]
    if len(set(names)) < len(names):
        raise ValueError("a name stands there twice")
    return {name.strip(): url.strip() for name, _, url in pairs}


def _http_urls(deployments: dict[str, str]) -> dict[str, str]:
    for name, text in deployments.items():
        url = URL(text)
        if not name or url.scheme not in ("http", "https") or not url.host:
            raise ValueError(f"expected name=url,name=url with http URLs, at {name!r}")
    return deployments


Deployments = Annotated[dict[str, str], NoDecode, BeforeValidator(_pairs), AfterValidator(_http_urls)]
"""`name=url,name=url` in one environment variable."""


def deployments_in(text: str) -> dict[str, str]:
    """Names and URLs in such a text; raises `ValueError`."""
    try:
        return TypeAdapter(Deployments).validate_python(text)
    except ValidationError as error:
        raise ValueError(error.errors()[0]["msg"].removeprefix("Value error, ")) from error


class RestateAdminSettings(Settings):
    restate_admin_url: str = Field(default="http://127.0.0.1:9070", description="Restate's admin API")
    restate_admin_token: SecretStr = Field(
        default=SecretStr(""), description="Bearer token that it wants, as Restate Cloud's does; empty: none"
    )

    @property
    def admin_token(self) -> str:
        return self.restate_admin_token.get_secret_value()


class KubernetesSettings(Settings):
    """How the Kubernetes API is called, from a pod."""

    kubernetes_url: str = Field(default="https://kubernetes.default.svc", description="The Kubernetes API")
    service_account: Path = Field(
        default=Path("/var/run/secrets/kubernetes.io/serviceaccount"),
        description="Folder with its `token` and `ca.crt`",
    )


class AcceptedSettings(KubernetesSettings):
    """Where stands what was accepted: in a folder or, on Kubernetes, in a ConfigMap."""

    accepted_dir: Path | None = Field(
        default=None, description="Folder for what was accepted of each tool; empty: forgotten at the next start"
    )
    accepted_configmap: str = Field(default="", description="The same on Kubernetes: a ConfigMap, which must be there")
    namespace: str = Field(default="", description="Its namespace")


class DeskSettings(AcceptedSettings, StaffSettings):
    """What members of staff see of the tools, and what they switch."""

    desk_port: int = Field(default=0, ge=0, le=65535, description="Port for the staff's desk; 0: none")
    record_dir: Path | None = Field(
        default=None,
        description="Folder for what admins switched and how tools changed; one registry alone may write there",
    )
    record_configmap: str = Field(default="", description="The same on Kubernetes: a ConfigMap, which must be there")

    @model_validator(mode="after")
    def _a_desk_has_what_it_needs(self) -> Self:
        if self.desk_port and not self.staff_keys:
            raise ValueError("DESK_PORT needs STAFF_KEYS: nobody could come in")
        if self.desk_port and not (self.record_dir or self.record_configmap):
            raise ValueError("DESK_PORT needs RECORD_DIR or RECORD_CONFIGMAP: what is switched would be forgotten")
        return self


class RegistrySettings(RestateAdminSettings, DeskSettings, ServiceSettings):
    """The registry that serves."""

    port: int = Field(default=9084, ge=1, le=65535, description="Port to listen on")
    deployments: Deployments = Field(
        default_factory=dict[str, str],
        description="What to register: `name=url,name=url`; each URL as Restate reaches it",
    )
    wanted_deployments_file: Path | None = Field(
        default=None,
        description="A text as in `DEPLOYMENTS` that names what others register: for the metrics, and to register what"
        " Restate has lost; read at each poll",
    )
    health_seconds: float = Field(
        default=60,
        gt=0,
        description="How long a deployment may be without health before it is reported, and how long the first"
        " catalogue waits for `AWAIT_SERVICES`",
    )
    end_former: bool = Field(
        default=False,
        description="End the runs of deployments at the same host and port as a named one, but with another path",
    )
    catalogue_poll_seconds: float = Field(default=2, gt=0, description="How often Restate is asked for tools")
    await_services: Words = Field(
        default=(),
        description="Services that Restate must know before the first catalogue is on offer; comma-separated",
    )
    reserved_tools: Words = Field(
        default=("check_service_status", "search_help_articles", "check_task", "find_tools"),
        description="Names of the router's local tools, which no handler may take; comma-separated",
    )
    policy_file: Path | None = Field(
        default=None, description="TOML file that switches tools off, tightens or renames them"
    )
    accept_tools: Literal["first_seen", "named", "any"] = Field(
        default="first_seen",
        description="Which tools of others are on offer: `first_seen`, for as long as they say what they said first;"
        " `named`, those that `accept` or the policy accepts; `any`, whatever they say",
    )
    switched_off: Words = Field(
        default=(), description="Tools that are off whatever the policy file says; comma-separated"
    )
    metrics_poll_seconds: float = Field(
        default=15, gt=0, description="How often Restate is asked for what the metrics tell"
    )
    stuck_poll_seconds: float = Field(default=15, gt=0, description="How often stuck runs are looked for")
    paused_grace_seconds: int = Field(default=30, ge=0, description="How long a run that gave up may stay paused")
    run_deadline_seconds: int = Field(
        default=600, gt=0, description="How long a run may fail without progress, unless its handler says otherwise"
    )


class CommandSettings(Settings):
    """What runs once and ends."""

    log_level: LogLevel = Field(default="INFO", description="Least level logged")


class RegisterSettings(RestateAdminSettings, KubernetesSettings, CommandSettings):
    """`python -m registry register`"""

    deployments: Deployments = Field(
        min_length=1,
        description="What to register, in this order: `name=url,name=url`; each URL as Restate reaches it",
    )
    register_seconds: float = Field(default=300, gt=0, description="How long it tries")
    force: bool = Field(
        default=False,
        description="Discover again what a known URL serves: for one URL whose code changes, in development",
    )
    namespace: str = Field(
        default="",
        description="Namespace whose pods are looked at while a deployment does not answer, to say why; empty: none",
    )


class AcceptSettings(RestateAdminSettings, AcceptedSettings, CommandSettings):
    """`python -m registry accept`"""

    policy_file: Path | None = Field(default=None, description="The policy in force: names, and which service is meant")


class RemoveSettings(KubernetesSettings, CommandSettings):
    """`python -m registry remove`"""

    namespace: str = Field(min_length=1, description="Namespace of the release")
    release: str = Field(min_length=1, description="Name of the release: the label `app.kubernetes.io/instance`")


class PruneSettings(RestateAdminSettings, RemoveSettings):
    """`python -m registry prune`"""

    versions_configmap: str = Field(
        min_length=1, description="ConfigMap whose key `deployments` names what the release wants: `name=url,name=url`"
    )
    prune_after_seconds: float = Field(
        default=600, ge=0, description="How old a version must be that Restate does not know, before it is deleted"
    )
