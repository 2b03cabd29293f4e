"""What `make run` reads from its environment."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr

from contracts import USER_ID
from router.presets import PresetName
from runtime.settings import RolePrefix, Settings

Port = Annotated[int, Field(ge=1, le=65535)]
PortOrNone = Annotated[int, Field(ge=0, le=65535)]

DEFAULT_QUESTION = "My API calls are failing, what's wrong with my account?"


class AskSettings(Settings):
    """Where the agent is, where to watch it at work, and where its logs are."""

    data_dir: Path = Field(default=Path(".data"), description="Folder of all data and logs, kept across runs")
    gateway_port: Port = Field(default=9089, description="The customers' door: API and chat page")
    console_port: Port = Field(default=9091, description="The desk: pages for staff")
    restate_ingress_port: Port = Field(default=8080, description="Restate's ingress, which no customer reaches")
    restate_admin_port: Port = Field(default=9070, description="Restate's admin API and UI")
    conversations_watch_port: Port = Field(default=9088, description="Conversations, seen as they happen")

    @property
    def gateway_url(self) -> str:
        return f"http://127.0.0.1:{self.gateway_port}"

    @property
    def console_url(self) -> str:
        return f"http://127.0.0.1:{self.console_port}"

    @property
    def ingress_url(self) -> str:
        return f"http://127.0.0.1:{self.restate_ingress_port}"

    @property
    def admin_url(self) -> str:
        return f"http://127.0.0.1:{self.restate_admin_port}"


class StandaloneSettings(AskSettings):
    """Everything on one machine. Settings of a single service (such as `MAX_TURNS`) reach it from the environment."""

    tools_dir: Path = Field(default=Path(".tools"), description="Where `make install` put restate-server")
    database_url: SecretStr | None = Field(
        default=None, description="A PostgreSQL of yours, with a role that may create roles; none: the embedded one"
    )
    database_password: SecretStr | None = Field(default=None, description="Its password; none: the URL's own")
    database_role_prefix: RolePrefix = Field(
        default="",
        description="What its roles' names begin with, where several installations share a server",
    )
    postgres_port: Port = Field(default=9432, description="The embedded PostgreSQL")

    restate_node_port: Port = Field(default=5122, description="Restate's node and metrics")
    restate_partitions: int = Field(default=1, ge=1, le=64, description="Restate's partitions, for a new data folder")
    router_port: Port = Field(default=9081, description="The agent")
    users_port: Port = Field(default=9082, description="The user-database tool")
    tickets_port: Port = Field(default=9083, description="The ticket services")
    registry_port: Port = Field(default=9084, description="The registry and its tool catalogue")
    registry_desk_port: Port = Field(
        default=9092, description="The registry, for the desk: the tools and their switches"
    )
    demo_model_port: Port = Field(default=9085, description="The stand-in model")
    conversations_port: Port = Field(default=9087, description="The conversations")
    status_port: Port = Field(default=9086, description="The example status page")

    router_metrics_port: PortOrNone = Field(default=9181, description="Metrics of the agent; 0: none")
    users_metrics_port: PortOrNone = Field(default=9182, description="Metrics of the user-database tool; 0: none")
    tickets_metrics_port: PortOrNone = Field(default=9183, description="Metrics of the ticket services; 0: none")
    conversations_metrics_port: PortOrNone = Field(default=9187, description="Metrics of the conversations; 0: none")
    gateway_metrics_port: PortOrNone = Field(default=9189, description="Metrics of the customers' door; 0: none")
    console_metrics_port: PortOrNone = Field(default=9191, description="Metrics of the desk; 0: none")
    registry_metrics_port: PortOrNone = Field(default=9184, description="Metrics of the registry; 0: none")
    demo_model_metrics_port: PortOrNone = Field(default=9185, description="Metrics of the stand-in model; 0: none")
    prometheus_port: PortOrNone = Field(default=9090, description="Prometheus, where it is installed; 0: not started")

    otel_exporter_otlp_endpoint: str = Field(
        default="",
        pattern=r"^(https?://[^\s]+)?$",
        description="Collector for the traces of all parts, by OTLP over HTTP, as a base URL; none: no traces",
    )
    otel_exporter_otlp_headers: SecretStr = Field(
        default=SecretStr(""), description="Headers for that collector: `name=value,name=value`"
    )
    restate_tracing_endpoint: str = Field(default="", description="Another collector for Restate's own spans")

    openai_api_key: SecretStr | None = Field(default=None, description="Key of a real model; none: the stand-in")
    openai_base_url: str | None = Field(default=None, description="A real model's endpoint; none: the stand-in")
    openai_preset: PresetName | None = Field(
        default=None, description="A real model's endpoint by the name of its kind"
    )
    openai_fallbacks: SecretStr | None = Field(
        default=None, description="Endpoints to ask when that one does not answer"
    )
    openai_extra_headers: SecretStr | None = Field(default=None, description="More headers for it: a JSON object")
    openai_check_at_start: bool = Field(
        default=True, description="Ask a real model's endpoints once at start, and say what that shows"
    )
    webhook_secret: SecretStr | None = Field(default=None, description="Signs the webhooks of `WEBHOOK_URL`")

    macros_file: Path | None = Field(default=None, description="Macros of yours for the desk, in TOML; none: examples")
    status_url: str | None = Field(default=None, description="Your status page's `summary.json`; none: the example")
    customer_check: str = Field(
        default="UserDatabase/is_customer", description="Handler that says whether a `user_id` is a customer"
    )
    user_id: USER_ID = Field(default="user_12345", description="Who asks the first question")
    question: str = Field(default=DEFAULT_QUESTION, min_length=1, description="The first question")

    @property
    def real_model(self) -> bool:
        return any((self.openai_api_key, self.openai_base_url, self.openai_preset))

    def ports(self) -> dict[str, int]:
        """Every port that will be listened on, by the variable that sets it."""
        unused = {"postgres_port"} if self.database_url else set[str]()
        unused |= {"demo_model_port", "demo_model_metrics_port"} if self.real_model else set()
        ports = {name: getattr(self, name) for name in type(self).model_fields if name.endswith("_port")}
        return {name.upper(): port for name, port in ports.items() if port and name not in unused}

    def scraped(self) -> dict[str, int]:
        """The ports of all metrics, by the part that they are of."""
        end = "_METRICS_PORT"
        ours = {name.removesuffix(end).lower(): port for name, port in self.ports().items() if name.endswith(end)}
        return ours | {"restate": self.restate_node_port}
