"""The one exception root of the runtime. `reason` is the word that logs, metrics, facts, dead letters
and HTTP answers use; it is part of the API and listed in docs/reference/reasons.md.

Modules may derive from these; nothing else is raised on purpose anywhere in the runtime.
"""


class EmailFlowError(Exception):
    """Root. `reason` is CamelCase and stable, the message is for people."""

    reason = "InternalError"


class InvalidEvent(EmailFlowError):
    """The producer's fault: this event will never be accepted as it is."""

    reason = "InvalidEvent"


class Unavailable(EmailFlowError):
    """Not now: the log can't be written. `retry_after` is in seconds."""

    reason = "Unavailable"

    def __init__(self, message: str, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Overloaded(Unavailable):
    """Too much at once: the same event is welcome later."""

    reason = "Overloaded"


class Forbidden(EmailFlowError):
    """A good token, whose bearer may not send events here."""

    reason = "Forbidden"


class LinkExpired(EmailFlowError):
    """A link of ours, from a mail that is too old for what the link shows."""

    reason = "LinkExpired"


class WrongPurpose(EmailFlowError):
    """A link of ours that is for something else."""

    reason = "WrongPurpose"


class EpochLost(EmailFlowError):
    """Another process owns this shard now; this one must stop at once (DESIGN section 5)."""

    reason = "EpochLost"


class MessageTooLarge(EmailFlowError):
    """More than NATS takes in one message. It would be refused each time, so nobody tries again."""

    reason = "TooLarge"


class RecordUnreadable(EmailFlowError):
    """What STATE holds about one contact can't be read by this version: what needs it can't be decided."""

    reason = "RecordUnreadable"


class SecretNotFound(EmailFlowError):
    """A Secret, or the key in it, is not there."""

    reason = "SecretNotFound"


class ProgramNotFound(EmailFlowError):
    """A program of the flow (an id) is not in PLANS, or needs a newer runtime: nothing of it is decided."""

    reason = "ProgramNotFound"

    def __init__(self, flow: str) -> None:
        super().__init__(f"flow {flow}: a program is not there, or needs a newer runtime")


class RenderError(EmailFlowError):
    """A template that has no result for this input. `reason` says which kind of failure."""

    reason = "RenderFailed"
