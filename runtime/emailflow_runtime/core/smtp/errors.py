"""Why a conversation ended before it was finished. Nothing here may know about sockets."""

from emailflow_runtime.core.outcomes import Deferred
from emailflow_runtime.errors import EmailFlowError


class ConversationEnded(EmailFlowError):
    """No further reply will come: thrown into the dialogue that waits for one."""

    reason = "ConnectionLost"


class ConnectionLost(ConversationEnded):
    """The connection is gone."""

    reason = "ConnectionLost"


class TimedOut(ConversationEnded):
    """The server took longer than it was given."""

    reason = "TimedOut"


class NotSent(TimedOut):
    """What was to be said now comes too late, and has not been said."""


class InvalidReply(ConversationEnded):
    """What the server sent is no SMTP reply, or not one that can follow here."""

    reason = "InvalidReply"


class SessionFailed(EmailFlowError):
    """A connection on which no mail can be handed over; `outcome` says why, and is always systemic."""

    reason = "SessionFailed"

    def __init__(self, outcome: Deferred) -> None:
        super().__init__(f"{outcome.reason}: {outcome.reply}")
        self.outcome = outcome
