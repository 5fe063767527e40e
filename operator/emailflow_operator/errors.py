"""The one exception root of the operator. `reason` is the word that conditions, Events, logs and metrics use;
it is part of the API and listed in docs/reference/reasons.md.

Nothing else is raised on purpose anywhere in the operator.
"""


class OperatorError(Exception):
    """Root. `reason` is CamelCase and stable, the message is for people."""

    reason = "InternalError"


class KubernetesUnreachable(OperatorError):
    """The API server does not answer."""

    reason = "KubernetesUnreachable"


class KubernetesRefused(OperatorError):
    """The API server's own refusal: `status` is HTTP's."""

    reason = "KubernetesRefused"

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class ChildNotOurs(OperatorError):
    """An object has the name of one of a runtime's children, and was not made for that runtime."""

    reason = "ChildNotOurs"


class InvalidAccess(OperatorError):
    """A kubeconfig or a ServiceAccount that gives no access to an API server."""

    reason = "InvalidAccess"


class LeaseLost(OperatorError):
    """Somebody else leads, or nobody can tell any more: this process must end."""

    reason = "LeaseLost"


class WatchEnded(OperatorError):
    """Nobody watches the cluster any more: this process must end."""

    reason = "WatchEnded"


class NatsUnreachable(OperatorError):
    """NATS does not answer, or lets nobody in."""

    reason = "NatsUnreachable"


class JetStreamRefused(OperatorError):
    """JetStream's own refusal: `code` is its `err_code`."""

    reason = "JetStreamRefused"

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class SecretNotFound(OperatorError):
    """A Secret that an EmailRuntime names for NATS is not there, or lacks the key."""

    reason = "SecretNotFound"


class SecretForbidden(OperatorError):
    """A Secret that an EmailRuntime names for NATS, and that the operator has no right to read."""

    reason = "SecretForbidden"


class InvalidCredentials(OperatorError):
    """A credentials file, a key or a token for NATS that can't be read."""

    reason = "InvalidCredentials"


class NatsNotConfigured(OperatorError):
    """An EmailRuntime leaves NATS to the installation, which has none."""

    reason = "NatsNotConfigured"


class NotDurable(OperatorError):
    """A stream of the runtime that acknowledges what is not on disk yet, and can't be changed."""

    reason = "NotDurable"


class ShardsDiffer(OperatorError):
    """Streams of the runtime's name exist with another number of shards."""

    reason = "ShardsDiffer"


class AccountRefused(OperatorError):
    """NATS does not take an account that the operator hands to it."""

    reason = "AccountRefused"


class NatsStorageExhausted(OperatorError):
    """What NATS may store is promised to other runtimes already."""

    reason = "NatsStorageExhausted"


class StreamsNotMoved(OperatorError):
    """Streams of an earlier version can't be brought into their runtime's account."""

    reason = "StreamsNotMoved"


class MaxPayloadTooSmall(OperatorError):
    """NATS takes smaller messages than the runtime may have to write."""

    reason = "MaxPayloadTooSmall"


class InvalidBackup(OperatorError):
    """A folder that holds no backup, or one already where none is expected."""

    reason = "InvalidBackup"


class StreamsInUse(OperatorError):
    """Streams that are written or read while they are to stay as they are."""

    reason = "StreamsInUse"
