"""The reasons of the operator's conditions and Events: the one table, and what kind of word each finding is.

docs/reference/reasons.md lists them for users; a test compares the two.
"""

SUCCEEDED = "Succeeded"
SUSPENDED = "Suspended"
PROGRESSING = "Progressing"
NATS_UNREACHABLE = "NatsUnreachable"
SHARDS_DIFFER = "ShardsDiffer"
PODS_NOT_READY = "PodsNotReady"
RUNTIME_NOT_FOUND = "RuntimeNotFound"
STORAGE_AVAILABLE = "StorageAvailable"
STORAGE_FULL = "StorageFull"
NOT_DURABLE = "NotDurable"
SYNC_ALWAYS = "SyncAlways"
SYNC_INTERVAL = "SyncInterval"
SYNC_UNKNOWN = "SyncUnknown"
BEHIND_RETENTION = "BehindRetention"
TOKENS_VERIFIED = "TokensVerified"
ANONYMOUS = "Anonymous"
ISSUER_UNREADABLE = "IssuerUnreadable"
NO_VERIFIER = "NoVerifier"

CONDITIONS = {
    SUCCEEDED: "all is as the resource says",
    SUSPENDED: "in force, and held because `suspend` says so",
    PROGRESSING: "the operator or the runtime has not got there yet",
    NATS_UNREACHABLE: "NATS is out of reach; runtimes go on with the plans they have",
    "JetStreamRefused": "JetStream refuses a stream, a consumer or a plan; the message has its words",
    SHARDS_DIFFER: "streams of that name exist with another number of shards",
    NOT_DURABLE: "a stream of that name acknowledges what is not on disk yet (`persist_mode: async`)",
    PODS_NOT_READY: "no pod of the runtime is ready",
    SYNC_ALWAYS: "`Durable`: NATS acknowledges only what is on disk",
    SYNC_INTERVAL: "`Durable`: NATS writes to disk later than it acknowledges",
    SYNC_UNKNOWN: "`Durable`: NATS does not show its settings to the operator's user",
    TOKENS_VERIFIED: "`ReceiverClosed`: False; every event needs a token, which is verified",
    ANONYMOUS: "`ReceiverClosed`: False; `receiver.anonymous` lets in whoever reaches the port",
    ISSUER_UNREADABLE: "`ReceiverClosed`: the cluster's token issuer can't be read, so ServiceAccount tokens "
    "are refused, and without `tokensSecretRef` everything is",
    NO_VERIFIER: "`ReceiverClosed`: True; neither `serviceAccounts` nor `tokensSecretRef` lets anybody in",
    BEHIND_RETENTION: "events were purged before the flow had looked at them; its status counts them",
    STORAGE_AVAILABLE: "`StorageAvailable`: the runtime's streams may still grow",
    STORAGE_FULL: "`StorageAvailable`: the streams take all that NATS keeps for the runtime",
    "NatsStorageExhausted": "what NATS may store is promised to other runtimes already",
    "AccountRefused": "NATS does not take the account that the operator hands to it",
    "StreamsNotMoved": "streams of an earlier version can't be brought into the runtime's account",
    "MaxPayloadTooSmall": "NATS takes smaller messages than 4 times `receiver.maxBodyBytes`",
    "NatsNotConfigured": "the EmailRuntime names no NATS, and none was installed with the operator",
    "SecretNotFound": "a Secret that `spec.nats` names is not there, or lacks the key; on a flow: one that "
    "its mails' provider names, so that they wait",
    "InvalidSigningKey": "mails of the flow wait, since the Secret of `dkim` holds no usable key",
    "EventTypeNotFound": "the EventType of a type that the flow reads was deleted or is broken; its last "
    "good version goes on",
    "SecretForbidden": "a Secret that `spec.nats` names, and that the operator has no right to read",
    "InvalidCredentials": "what the Secret holds is no credentials file",
    "KubernetesRefused": "the API server refuses one of the runtime's children; the message has its words",
    "ChildNotOurs": "one of the runtime's children has the name of an object that was not made for it",
    "KubernetesUnreachable": "the API server did not answer",
    "CompilerUnavailable": "the process to compile in can't start, or ends whatever it is at; plans stay",
    "InternalError": "a defect of the operator; its log has more",
}
"""Reason -> meaning. Findings' own reasons stand beside these."""

HOLDING = frozenset({"PolicyNotFound", "ProviderNotFound", "NoProvider"})
"""Findings that hold the mails of a flow that is in force: what is named there is not carried."""

WAITING = frozenset(
    {
        "TemplateNotFound",
        "LayoutNotFound",
        "NotALayout",
        "ProviderNotFound",
        "PolicyNotFound",
        "RuntimeNotFound",
        "ConfigMapNotFound",
        "NotAllowed",
        "NotAReader",
        "NotAnEmitter",
        "NotAUser",
        "NotASender",
        "OtherRecipientsRefused",
        "NoProvider",
        "NoSender",
        "DuplicateType",
    }
)
"""Findings that a change of another object can mend; with any other, only the object's own change helps."""
