"""One mail on an open session: MAIL, RCPT, DATA, the message, and what is known afterwards.

All recipients or none. Until the message's end is sent the server has accepted nothing, whatever happens
(RFC 5321 section 3.3); from then on only its reply says so. No reply is repeated with an address in it.
"""

import re
from collections.abc import Sequence

from emailflow_runtime.core.outcomes import Accepted, Deferred, Outcome, Refused, Unknown
from emailflow_runtime.core.smtp.content import END, InvalidMessage, stuffed
from emailflow_runtime.core.smtp.dialogue import CLOSING, FLUSHED, Dialogue, Flush, exchange
from emailflow_runtime.core.smtp.envelope import NotSendable, envelope
from emailflow_runtime.core.smtp.errors import ConversationEnded, InvalidReply, NotSent
from emailflow_runtime.core.smtp.extensions import Extensions
from emailflow_runtime.core.smtp.reply import Reply

AT_ONCE = 32_768
"""Octets. A connection's send buffer holds as much, so that message and end leave in one piece."""

_TOO_LARGE = 552
_AUTH_FIRST = frozenset((530, 534, 538))
"""RFC 4954 section 6: the server wants a login, or a better one, before it looks at any mail."""
_QUEUED = re.compile(r"(?:queued as |\bid=)<?([\w.@+-]+)|^ok ([\w.+-]{16,})$", re.IGNORECASE)
"""How Postfix, Exim and Amazon SES name the mail that they took; the RFC leaves it open."""


class Transaction:
    """One mail. `usable` says afterwards whether the session can take another one."""

    def __init__(
        self, sender: str, recipients: Sequence[str], message: bytes, extensions: Extensions
    ) -> None:
        self.usable = True
        self._sender = sender
        self._recipients = recipients
        self._message = message
        self._extensions = extensions

    def run(self) -> Dialogue[Outcome]:
        """The whole of it. Never raises for what the server does."""
        try:
            content = stuffed(self._message)
            commands = envelope(
                self._sender,
                self._recipients,
                size=len(self._message),
                seven_bit=self._message.isascii(),
                extensions=self._extensions,
            )
        except InvalidMessage as error:
            return Refused(error.reason, str(error))
        except NotSendable as error:
            return error.outcome
        try:
            failure = yield from self._announce(commands.mail, commands.recipients)
        except ConversationEnded as error:
            return self._ended(error)
        if failure is not None:
            yield from self._reset()
            return failure
        return (yield from self._hand_over(content))

    def _announce(self, mail: bytes, recipients: Sequence[bytes]) -> Dialogue[Refused | Deferred | None]:
        """Everything before the message; None when the server waits for it."""
        commands = [mail, *recipients, b"DATA\r\n"]
        if not self._extensions.pipelining:
            batches = [[command] for command in commands]
        elif len(recipients) == 1:
            batches = [commands]
        else:
            # With DATA under way one refused recipient could not be answered by sending nobody the mail.
            batches = [commands[:-1], commands[-1:]]
        replies: list[Reply] = []
        for batch in batches:
            replies += yield from exchange(batch)
            failure = self._refusal(replies)
            if failure is not None:
                yield from self._withdraw(replies)
                return failure
        return None

    def _refusal(self, replies: Sequence[Reply]) -> Refused | Deferred | None:
        """The first of the replies that isn't what it should be, as an outcome."""
        last = len(self._recipients) + 1
        for place, reply in enumerate(replies):
            if reply.kind == (3 if place == last else 2):
                continue
            if reply.code in _AUTH_FIRST:
                self.usable = False
                text = self._redacted(reply.text)
                return Deferred("AuthFailed", text, reply.code, reply.enhanced, systemic=True)
            if place == 0:
                return self._outcome("Sender", reply)
            if place == last:
                return self._outcome("Message", reply)
            # RFC 5321 section 4.5.3.1.10: 552 after RCPT once meant too many recipients, which passes.
            passing = reply._replace(code=452) if reply.code == _TOO_LARGE else reply
            return self._outcome("Recipient", passing, f"recipient {place} of {last - 1}: ")
        return None

    def _withdraw(self, replies: Sequence[Reply]) -> Dialogue[None]:
        """The server may wait for a message although this mail is over: it gets an empty one for nobody.

        RFC 2920 section 3.1. Were there somebody to get it, only hanging up would help.
        """
        if len(replies) != len(self._recipients) + 2 or replies[-1].kind != 3:
            return
        if any(reply.kind == 2 for reply in replies[1:-1]):
            self.usable = False
            return
        try:
            yield END
        except ConversationEnded:
            self.usable = False

    def _reset(self) -> Dialogue[None]:
        """Leave no half a mail behind. Whatever happens here, the outcome is known already."""
        if not self.usable:
            return
        try:
            reply = yield b"RSET\r\n"
        except ConversationEnded:
            self.usable = False
        else:
            self.usable = reply.kind == 2

    def _hand_over(self, content: bytes) -> Dialogue[Outcome]:
        end = END
        if len(content) <= AT_ONCE:
            end = content + END
        else:
            try:
                early = yield Flush(content)
            except ConversationEnded as error:
                return self._ended(error)
            if early is not FLUSHED:
                self.usable = False
                return self._outcome("Message", early)
        try:
            reply = yield end
        except NotSent as error:
            return self._ended(error)
        except ConversationEnded as error:
            self.usable = False
            return Unknown(error.reason, self._redacted(str(error)))
        if reply.kind == 2:
            text = self._redacted(reply.text)
            found = _QUEUED.search(text)
            return Accepted(text, (found[1] or found[2]) if found else "")
        if reply.kind == 3:
            self.usable = False
            return Unknown(InvalidReply.reason, f"{reply.code} after the message")
        return self._outcome("Message", reply)

    def _ended(self, error: ConversationEnded) -> Deferred:
        self.usable = False
        return Deferred(error.reason, self._redacted(str(error)))

    def _outcome(self, about: str, reply: Reply, prefix: str = "") -> Refused | Deferred:
        """What a reply that stops a mail means for it."""
        text = prefix + self._redacted(reply.text)
        if reply.code == CLOSING:
            self.usable = False
        if reply.kind == 5:
            too_large = reply.code == _TOO_LARGE and reply.enhanced in {"", "5.3.4", "5.2.3"}
            return Refused("TooLarge" if too_large else f"{about}Refused", text, reply.code, reply.enhanced)
        if reply.kind == 4:
            return Deferred(f"{about}Deferred", text, reply.code, reply.enhanced)
        self.usable = False
        return Deferred(InvalidReply.reason, text, reply.code, reply.enhanced)

    def _redacted(self, text: str) -> str:
        if "@" not in text:
            return text
        for address in (*self._recipients, self._sender):
            text = re.sub(re.escape(address), "…", text, flags=re.IGNORECASE) if address else text
        return text
