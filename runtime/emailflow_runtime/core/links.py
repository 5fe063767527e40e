"""Signed links: what a mail's links carry, and the only way to make or read one.

HMAC-SHA256 under a key of the runtime's keyring. No address is in a link, and one that anything was
changed in is no link at all (DESIGN section 8). Pure: keys are handed in.
"""

import base64
import binascii
import hmac

import msgspec

_SIGNATURE = 16
"""Bytes of the HMAC that a link carries: 128 bits, beyond any guessing over HTTP."""


DAY = 86_400_000_000_000
UNSUBSCRIBE = "unsubscribe"
DAYS: dict[str, int | None] = {UNSUBSCRIBE: None, "preferences": 365, "view": 90}
"""How long a link is good, by its purpose; None: for as long as its key is in the keyring. Whoever wants no
more mail finds the link in the mail that they have, however old (CAN-SPAM asks for 30 days, RFC 8058 names no
end). The others show something about a person to whoever has the mail, so they end."""


class Link(msgspec.Struct, frozen=True, array_like=True):
    """What a link stands for: a purpose (of DAYS), whom it is about, the topic, the mail."""

    purpose: str
    contact: str
    topic: str
    mail: str
    address: str = ""
    """Key of the address that was mailed (`identity.contact_key`), which is what consent belongs to."""
    day: int = 0
    """When it was made: days since 1970 UTC; 0 in links from before they said so."""

    def has_expired(self, at: int) -> bool:
        """Whether it is too old at this moment (nanoseconds since 1970 UTC)."""
        lasts = DAYS.get(self.purpose, 0)
        return lasts is not None and self.day != 0 and at // DAY - self.day > lasts


class Keyring:
    """Keys by id. The first signs, all verify, so a key is rotated by putting a new one first."""

    def __init__(self, keys: dict[str, bytes]) -> None:
        """Raises ValueError when there is no key, or one is shorter than 16 bytes."""
        if not keys or any(len(key) < 16 for key in keys.values()):
            raise ValueError("expected at least one key, each of 16 bytes or more")
        self._keys = keys

    def sign(self, link: Link) -> str:
        """The token that stands in a URL's path."""
        name = next(iter(self._keys))
        body = msgspec.msgpack.encode((name, link))
        return base64.urlsafe_b64encode(self._signature(name, body) + body).rstrip(b"=").decode()

    def read(self, token: str) -> Link | None:
        """The link of a token; None when it was not signed by one of the keys."""
        try:
            raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
            signature, body = raw[:_SIGNATURE], raw[_SIGNATURE:]
            name, link = msgspec.msgpack.decode(body, type=tuple[str, Link])
        except (ValueError, binascii.Error, msgspec.DecodeError):
            return None
        if name not in self._keys or not hmac.compare_digest(signature, self._signature(name, body)):
            return None
        return link

    def _signature(self, name: str, body: bytes) -> bytes:
        return hmac.digest(self._keys[name], body, "sha256")[:_SIGNATURE]


def parse_keyring(text: str) -> Keyring:
    """A keyring file: a line for each key, `id: secret`, the signing one first. Raises ValueError."""
    keys = {}
    for line in text.splitlines():
        name, separator, secret = line.strip().partition(":")
        if separator:
            keys[name.strip()] = secret.strip().encode()
    return Keyring(keys)
