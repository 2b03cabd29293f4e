"""An identity provider of staff as a pod, and what the chart has to know of it."""

from pathlib import Path
from typing import Any

from tests.cluster.parts.forward import Forward
from tests.cluster.parts.images import image_of
from tests.cluster.parts.namespace import Namespace
from tests.cluster.parts.settings import ROOT
from tests.parts.provider import CLIENT_ID, CLIENT_SECRET
from tests.parts.values import Values

NAME, PORT = "provider", 8443
ISSUER = f"https://{NAME}:{PORT}"
LABELS = {"stands-for": NAME}
CODE = ("provider.py", "issuer.py")
"""Of tests/parts."""

SERVE = """
import ssl, sys
from aiohttp import web
from tests.parts.provider import FakeProvider, application
provider = FakeProvider()
provider.url, of_browsers, callback = sys.argv[1:]
provider.redirect_uris = {callback}
provider.discovered = {"authorization_endpoint": f"{of_browsers}/authorize"}
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain("/tls/cert.pem", "/tls/key.pem")
web.run_app(application(provider), port=PORT, ssl_context=context, print=None)
""".replace("PORT", str(PORT))


def values(base_url: str) -> Values:
    """A desk at this address, whose staff sign in there. It believes the provider's certificate alone."""
    mounted: Values = {"name": "provider", "mountPath": "/etc/provider"}
    oidc = {"issuer": ISSUER, "clientId": CLIENT_ID, "existingSecret": NAME}
    return {
        "console": {
            "baseUrl": base_url,
            "oidc": oidc,
            "extraEnv": [{"name": "SSL_CERT_FILE", "value": "/etc/provider/cert.pem"}],
            "extraVolumes": [{"name": "provider", "configMap": {"name": NAME}}],
            "extraVolumeMounts": [mounted],
        },
        "networkPolicy": {"egress": {"staffIssuer": {"pods": [{"podSelector": {"matchLabels": LABELS}}]}}},
    }


class ProviderPod:
    """`folder` has its certificate and key. Browsers come to it by a port-forward."""

    def __init__(self, namespace: Namespace, folder: Path, desk: str) -> None:
        self._namespace, self._folder, self._desk = namespace, folder, desk
        self.forward = Forward(namespace, NAME, PORT)

    async def stand(self) -> None:
        """What staff bring along beside the chart, and the pod."""
        files = {name: (self._folder / name).read_text() for name in ("cert.pem", "key.pem")}
        code = {name: (ROOT / "tests" / "parts" / name).read_text() for name in CODE}
        secret = {"clientSecret": CLIENT_SECRET} | files
        await self._namespace.apply(
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": NAME}, "stringData": secret},
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": NAME},
                "data": code | {"cert.pem": files["cert.pem"]},
            },
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": NAME},
                "spec": {"selector": LABELS, "ports": [{"port": PORT}]},
            },
            self._pod(),
        )
        await self._namespace.kubectl("wait", f"pod/{NAME}", "--for=condition=Ready", "--timeout=120s", seconds=150)

    def _pod(self) -> dict[str, Any]:
        told = (ISSUER, f"https://127.0.0.1:{self.forward.port}", f"{self._desk}/login/callback")
        container = {
            "name": NAME,
            "image": image_of("console"),  # it has all that the code imports
            "command": ["python", "-c", SERVE, *told],
            "env": [{"name": "PYTHONPATH", "value": "/code"}, {"name": "PYTHONDONTWRITEBYTECODE", "value": "1"}],
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
            "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
            "volumeMounts": [{"name": "code", "mountPath": "/code"}, {"name": "tls", "mountPath": "/tls"}],
        }
        items = [{"key": name, "path": f"tests/parts/{name}"} for name in CODE]
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": NAME, "labels": LABELS},
            "spec": {
                "containers": [container],
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 10001,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "automountServiceAccountToken": False,
                "terminationGracePeriodSeconds": 0,
                "volumes": [
                    {"name": "code", "configMap": {"name": NAME, "items": items}},
                    {"name": "tls", "secret": {"secretName": NAME}},
                ],
            },
        }
