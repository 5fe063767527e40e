"""The settings of a runtime pod: written by the operator into a ConfigMap, read by `emailflow runtime`.

Everything else arrives through PLANS. Values of Secrets never stand here, only where they are mounted:
`<secrets>/<name>/<key>`, each Secret of the runtime's namespace a folder of its own, so that the kubelet
replaces rotated values in place.
"""

import msgspec

SETTINGS_FILE = "/etc/emailflow/settings/runtime.json"
SECRETS_FOLDER = "/etc/emailflow/secrets"
JWKS_FILE = "/etc/emailflow/issuer/jwks.json"
EVENTS_PORT = 8080
ADMIN_PORT = 8081
LINKS_PORT = 8082


class PodSettings(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Paths are absolute, empty ones mean: none."""

    namespace: str
    name: str
    shards: int
    nats_url: str
    nats_credentials: str = ""
    """A .creds file."""
    nats_ca: str = ""
    keyring: str = ""
    """Keys that sign links."""
    tokens: str = ""
    """Bearer tokens of the receiver."""
    issuer: str = ""
    """Of ServiceAccount tokens; empty: the receiver takes none. The keys are in JWKS_FILE."""
    jwks: str = ""
    anonymous: bool = False
    """Let in whoever reaches the receiver. Without it, and without tokens and issuer, nobody is let in."""
    secrets: str = SECRETS_FOLDER
    events_port: int = EVENTS_PORT
    """Events: what producers may reach."""
    links_port: int = LINKS_PORT
    """What the links in mails lead to: what the world may reach."""
    admin_port: int = ADMIN_PORT
    """/healthz, /readyz, /metrics: for the kubelet and Prometheus."""


def audience(namespace: str, runtime: str) -> str:
    """The audience of the ServiceAccount tokens that this runtime takes.

    Each runtime has one of its own: who is given a token for one runtime can't use it at another.
    """
    return f"emailflow/{namespace}/{runtime}"


def encode(settings: PodSettings) -> bytes:
    """As JSON, for the ConfigMap."""
    return msgspec.json.format(msgspec.json.encode(settings), indent=2)


def decode(text: bytes) -> PodSettings:
    """Raises msgspec.ValidationError, which names the field, or msgspec.DecodeError."""
    return msgspec.json.decode(text, type=PodSettings)
