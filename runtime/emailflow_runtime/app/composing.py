"""From a mail that is due to the bytes that a provider gets: who, what language, rendered, written, signed.

It decides nothing about whether the mail goes out. What can't be made is a MailProblem with a reason.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from emailflow_api.errors import ExpressionFailed
from emailflow_api.expressions import Bindings
from emailflow_api.plans import Address, PolicyPlan, ProviderPlan, Send, permissions
from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.ports import OutgoingMail, Renderer, RenderRequest
from emailflow_runtime.core.consent import Consent, allows
from emailflow_runtime.core.contact import is_address, kept_event_view
from emailflow_runtime.core.identity import contact_key, normalize_address
from emailflow_runtime.core.journey import Journey, Mail
from emailflow_runtime.core.links import DAY, DAYS, Keyring, Link
from emailflow_runtime.core.program import CompiledProgram
from emailflow_runtime.core.publication import rfc3339
from emailflow_runtime.core.reactions.course import Setting, bindings, journey_view
from emailflow_runtime.errors import EmailFlowError
from emailflow_runtime.rendering import mime

UNBOUND = Bindings({})
"""For mails without expressions: binding values costs as much as a fact."""


class MailProblem(EmailFlowError):
    """The mail can't be made. `reason` is set for each."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Signer(Protocol):
    """Signs a message with DKIM."""

    def sign(self, message: bytes, at: int) -> bytes:
        """The message with its signature; `at` in nanoseconds since 1970 UTC."""


class Draft(NamedTuple):
    """A mail of a journey, with everything that the plans say about it."""

    setting: Setting
    journey: Journey
    mail: Mail
    step: Send
    program: CompiledProgram
    provider: ProviderPlan
    policy: PolicyPlan | None

    def values(self, at: int) -> Bindings:
        """Values for its expressions at this moment."""
        return bindings(self.setting, self.journey, at)

    @property
    def conditional(self) -> bool:
        """Whether a gate evaluates an expression."""
        return self.program.continue_if is not None or bool(self.step.skip_if)


class Recipients(NamedTuple):
    """Whom a mail goes to, and in which language."""

    to: str
    cc: tuple[str, ...]
    bcc: tuple[str, ...]
    locale: str

    @property
    def everyone(self) -> tuple[str, ...]:
        """All envelope recipients, each once."""
        return tuple(dict.fromkeys((self.to, *self.cc, *self.bcc)))


Asked = Callable[[str], Consent]
"""What the address with this key has said."""


class Composed(msgspec.Struct, frozen=True):
    """A mail ready to be handed over, and the key of the address that it is for.

    `copies` are the keys of the addresses in `cc` and `bcc`; `left_out` is why one of them is not among them.
    """

    outgoing: OutgoingMail
    address: str
    provider: ProviderPlan
    policy: PolicyPlan | None
    copies: tuple[str, ...] = ()
    left_out: str = ""

    def reaches_only_willing(self, asked: Asked) -> bool:
        """Whether every address in `cc` and `bcc` may still be mailed."""
        return not any(allows(self.policy, asked(each)) for each in self.copies)

    def still_fits(self, draft: Draft) -> bool:
        """Whether the mail is to go out by what it was made by: that is what permitted it."""
        pairs = (self.provider, draft.provider), (self.policy, draft.policy)
        return all(made_by is now or made_by == now for made_by, now in pairs)


class Composer:
    """Makes mails."""

    def __init__(self, catalog: Catalog, renderer: Renderer, keyring: Keyring) -> None:
        self._catalog = catalog
        self._renderer = renderer
        self._keyring = keyring

    async def compose(self, draft: Draft, at: int, signer: Signer | None, asked: Asked) -> Composed:
        """The mail, without the addresses in `cc` and `bcc` that may not be mailed by their own consent.

        Raises MailProblem, or another EmailFlowError whose reason says what is wrong.
        """
        template = self._catalog.template(draft.step.template)
        if template is None:
            raise MailProblem("TemplateNotFound", f"there is no template {draft.step.template}")
        sender = draft.step.sender or template.sender or draft.provider.sender
        if sender is None:
            raise MailProblem("NoSender", "neither the step, the template nor the provider has a `from`")
        answers = draft.step.reply_to or template.reply_to
        _check_senders(draft.provider, sender, answers)
        meant, left_out = _willing(self._recipients(draft, at), draft.policy, asked)
        to, recipients = self._going(draft, meant)
        address = _key(meant.to)
        links = self._links(draft, address, at)
        rendered = await self._renderer.render(
            RenderRequest(template, meant.locale, self._context(draft, at, links))
        )
        envelope_sender = mime.addr_spec(sender.address, field="from")
        message = mime.write(
            mime.Mail(
                id=draft.mail.id,
                sender=sender,
                to=(to,),
                cc=tuple(map(Address, recipients.cc)),
                reply_to=tuple(map(Address, answers)),
                subject=rendered.subject,
                date=mime.date_text(at),
                message_id=mime.message_id(draft.mail.id, envelope_sender.rpartition("@")[2]),
                text=rendered.text,
                html=rendered.html,
                headers=self._headers(draft, rendered.headers, links["unsubscribe"]),
                attachments=tuple(self._attached(draft)),
            )
        )
        if signer is not None:
            message = signer.sign(message, at)
        # In envelopes, too, internationalised domains are written in A-labels.
        everyone = tuple(mime.addr_spec(each, field="to") for each in recipients.everyone)
        outgoing = OutgoingMail(draft.mail.id, envelope_sender, everyone, message)
        copies = tuple(map(_key, (*recipients.cc, *recipients.bcc)))
        return Composed(outgoing, address, draft.provider, draft.policy, copies, left_out)

    def _recipients(self, draft: Draft, at: int) -> Recipients:
        values = draft.values(at) if draft.program.texts else UNBOUND
        contact, step = draft.setting.contact, draft.step
        to = self._text(draft, step.to, values) if step.to else contact.email
        if not to:
            raise MailProblem("NoAddress", "the contact has no address")
        locale = self._text(draft, step.locale, values) if step.locale else contact.locale
        found = Recipients(
            to,
            tuple(self._text(draft, text, values) for text in step.cc),
            tuple(self._text(draft, text, values) for text in step.bcc),
            locale or self._catalog.plans.runtime.default_locale,
        )
        if not all(map(is_address, found.everyone)):
            raise MailProblem("InvalidAddress", "a recipient is not an address like name@example.com")
        others = {*map(normalize_address, found.everyone)} != {normalize_address(contact.email)}
        if others and not permissions.may_mail_others(draft.policy):
            expected = "expected a policy with `otherRecipients: true`"
            raise MailProblem(permissions.OTHER_RECIPIENTS_REFUSED, f"somebody but the contact: {expected}")
        return found

    def _going(self, draft: Draft, meant: Recipients) -> tuple[Address, Recipients]:
        """The `To` header, and who really gets the mail: with `delivery: Redirect` one address gets all,
        and the header's name says whom each was for."""
        delivery = self._catalog.plans.runtime.delivery
        if delivery.mode == "Redirect":
            return Address(delivery.to, meant.to), Recipients(delivery.to, (), (), meant.locale)
        return Address(meant.to, draft.setting.contact.name if not draft.step.to else ""), meant

    def _text(self, draft: Draft, text: str, values: Bindings) -> str:
        try:
            return str(draft.program.texts[text].evaluate(values))
        except ExpressionFailed as failed:
            raise MailProblem(failed.reason, f"`{text}`: {failed}") from failed

    def _links(self, draft: Draft, address: str, at: int) -> dict[str, str]:
        """By purpose, for the address with this key; empty where the runtime has no public URL for them."""
        base = self._catalog.plans.runtime.public_url.rstrip("/")
        topic = draft.policy.topic if draft.policy else "*"
        made = {}
        for purpose in DAYS:
            link = Link(purpose, draft.journey.contact, topic, draft.mail.id, address, at // DAY)
            made[purpose] = f"{base}/l/{self._keyring.sign(link)}" if base else ""
        return made

    def _context(self, draft: Draft, at: int, links: dict[str, str]) -> dict[str, Any]:
        event = kept_event_view(draft.journey.event)
        return {
            "event": event,
            "trigger": event,
            "contact": draft.setting.contact.view(),
            "journey": journey_view(draft.journey, draft.setting.flow),
            "now": rfc3339(at),
            "links": links,
        }

    def _headers(self, draft: Draft, own: Mapping[str, str], unsubscribe: str) -> tuple[tuple[str, str], ...]:
        transactional = draft.policy is not None and draft.policy.transactional
        flow = draft.setting.flow
        return mime.delivery_headers(
            unsubscribe_url="" if transactional else unsubscribe,
            feedback_id=f"{draft.step.name}:{flow.name}:{flow.namespace}:emailflow",
            own=own,
        )

    def _attached(self, draft: Draft) -> list[mime.AttachedFile]:
        namespace, files = draft.setting.flow.namespace, []
        for each in draft.step.attachments:
            content = self._catalog.file(namespace, each.config_map, each.key)
            if content is None:
                place = f"ConfigMap {namespace}/{each.config_map} with the key {each.key}"
                raise MailProblem("ConfigMapNotFound", f"there is no {place}")
            files.append(mime.AttachedFile(name=each.name, content=content))
        return files


def _key(address: str) -> str:
    return contact_key("address", normalize_address(address))


def _willing(meant: Recipients, policy: PolicyPlan | None, asked: Asked) -> tuple[Recipients, str]:
    """The recipients without those in `cc` and `bcc` that have not consented, and why one was left out."""
    if not meant.cc and not meant.bcc:
        return meant, ""
    refused = {each: allows(policy, asked(_key(each))) for each in (*meant.cc, *meant.bcc)}
    cc = tuple(each for each in meant.cc if not refused[each])
    bcc = tuple(each for each in meant.bcc if not refused[each])
    return meant._replace(cc=cc, bcc=bcc), next(filter(None, refused.values()), "")


def _check_senders(provider: ProviderPlan, sender: Address, answers: Sequence[str]) -> None:
    """Raise MailProblem for a mail in a name that is not the provider's to use."""
    if not permissions.may_send_as(provider, sender) or not all(
        permissions.may_answer_to(provider, each) for each in answers
    ):
        expected = "expected what its `senders` permit as `from` and `replyTo`"
        raise MailProblem(permissions.NOT_A_SENDER, f"provider {provider.name}: {expected}")
