"""What a `send` step says about one mail, and the parts that templates and providers say too."""

from typing import Annotated

from pydantic import Field

from emailflow_api.kinds.model import ApiModel
from emailflow_api.kinds.reference import ConfigMapKeyReference, ObjectReference
from emailflow_api.kinds.rule import KeyedBy
from emailflow_api.kinds.text import Cel, Duration, EmailAddress, Name


class Mailbox(ApiModel):
    """An address, with a display name maybe."""

    address: EmailAddress
    """The address."""
    name: Name | None = None
    """The display name."""


ReplyTo = Annotated[list[EmailAddress], Field(max_length=10)]


class Attachment(ApiModel):
    """A file sent with a mail."""

    name: Name
    """File name that the recipient sees; its ending decides the media type."""
    config_map_key_ref: ConfigMapKeyReference
    """Where the content is: a key of a ConfigMap in the flow's namespace."""


class Send(ApiModel):
    """One mail to the contact, or to somebody else."""

    template_ref: ObjectReference
    """The EmailTemplate, in the flow's namespace."""
    provider_ref: ObjectReference | None = None
    """The EmailProvider, in the runtime's namespace. Absent: the policy's, then the runtime's default."""
    to: Cel | None = None
    """CEL: the recipient's address, mailed under that address's own consent. Absent: the contact."""
    from_: Annotated[Mailbox | None, Field(alias="from")] = None
    """The sender. Absent: the template's, then the provider's."""
    reply_to: ReplyTo = []
    """Where replies go. Absent: as the template says."""
    cc: Annotated[list[Cel], Field(max_length=10)] = []
    """CEL, one address each: who gets a visible copy."""
    bcc: Annotated[list[Cel], Field(max_length=10)] = []
    """CEL, one address each: who gets a hidden copy."""
    locale: Cel | None = None
    """CEL: the language. Absent: the contact's, then the runtime's default."""
    skip_if: Cel | None = None
    """CEL, bool: when true, this mail is skipped and the journey goes on."""
    max_lateness: Duration | None = None
    """Later than this after its due time the mail is skipped, with the reason. Absent: never too late."""
    attachments: Annotated[list[Attachment], Field(max_length=10), KeyedBy("name")] = []
    """Files sent with the mail."""
