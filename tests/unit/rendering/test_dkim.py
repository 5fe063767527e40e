"""DKIM signatures, checked by a verifier written from RFC 6376 and RFC 8463 alone."""

import base64
import hashlib
import re

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from emailflow_api.plans import Address
from emailflow_runtime.rendering.dkim import DkimSigner, InvalidSigningKey
from emailflow_runtime.rendering.mime import Mail, date_text, delivery_headers, write

# The key pair of RFC 8463 appendix A.2.
SEED = b"nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="
ED25519_PUBLIC = Ed25519PublicKey.from_public_bytes(
    base64.b64decode(b"11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
)
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
AT = 1_700_000_000_000_000_000

RFC_8463_EXAMPLE = (
    b"DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
    b" d=football.example.com; i=@football.example.com;\r\n"
    b" q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"
    b" subject : date : message-id : from : subject : date;\r\n"
    b" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
    b" b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n"
    b" Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n"
    b"From: Joe SixPack <joe@football.example.com>\r\n"
    b"To: Suzie Q <suzie@shopping.example.net>\r\n"
    b"Subject: Is dinner ready?\r\n"
    b"Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
    b"Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
    b"\r\n"
    b"Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n"
)


def fields_and_body(message):
    header, body = message.split(b"\r\n\r\n", 1)
    return re.split(rb"\r\n(?![ \t])", header), body


def relaxed(field):
    name, value = field.split(b":", 1)
    return name.strip().lower() + b":" + b" ".join(value.split())


def tags_of(message):
    value = fields_and_body(message)[0][0].split(b":", 1)[1].decode()
    return {k.strip(): "".join(v.split()) for k, v in (tag.split("=", 1) for tag in value.split(";"))}


def body_hash(body):
    lines = [re.sub(rb"[ \t]+", b" ", line).rstrip(b" ") for line in body.split(b"\r\n")]
    while lines and not lines[-1]:
        lines.pop()
    return base64.b64encode(hashlib.sha256(b"".join(line + b"\r\n" for line in lines)).digest()).decode()


def verify(message, public_key):
    """Raise unless the first field of `message` is a DKIM-Signature that holds."""
    fields, body = fields_and_body(message)
    tags = tags_of(message)
    assert tags["bh"] == body_hash(body)
    left = [relaxed(field) for field in fields[1:]]
    data = b""
    for name in tags["h"].split(":"):
        found = [field for field in left if field.startswith(name.encode() + b":")]
        if found:
            data += found[-1] + b"\r\n"
            left.reverse()
            left.remove(found[-1])
            left.reverse()
    data += re.sub(rb"b=[^;]*$", b"b=", relaxed(fields[0]))
    signature = base64.b64decode(tags["b"])
    if tags["a"] == "ed25519-sha256":
        public_key.verify(signature, hashlib.sha256(data).digest())
    else:
        public_key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())


def pem(key, encoding=serialization.PrivateFormat.PKCS8):
    return key.private_bytes(serialization.Encoding.PEM, encoding, serialization.NoEncryption())


def rsa_signer():
    return DkimSigner("example.com", "s1", pem(RSA))


def ed25519_signer():
    return DkimSigner("example.com", "s1", SEED)


def a_mail(**changes):
    fields = {
        "id": "m1",
        "sender": Address("hello@example.com", "Example"),
        "to": (Address("ana@example.com", "Ana Müller"),),
        "cc": (Address("bo@example.com"),),
        "reply_to": (Address("help@example.com"),),
        "subject": "Welcome " * 20,
        "date": date_text(AT),
        "message_id": "<m1@example.com>",
        "text": "Hello  Ana \n\n",
        "html": "<p>Hello</p>",
        "headers": delivery_headers(unsubscribe_url="https://example.com/u", feedback_id="a:b:c:d"),
    }
    return write(Mail(**{**fields, **changes}))


def test_the_verifier_accepts_the_example_of_rfc_8463():
    verify(RFC_8463_EXAMPLE, ED25519_PUBLIC)


def test_a_seed_in_base64_signs_as_its_public_key_says():
    verify(ed25519_signer().sign(a_mail(), AT), ED25519_PUBLIC)


@pytest.mark.parametrize(
    "encoding", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL]
)
def test_an_rsa_key_signs_in_either_pem(encoding):
    verify(DkimSigner("example.com", "s1", pem(RSA, encoding)).sign(a_mail(), AT), RSA.public_key())


def test_an_ed25519_key_signs_from_pem():
    key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(SEED))
    verify(DkimSigner("example.com", "s1", pem(key)).sign(a_mail(), AT), ED25519_PUBLIC)


def test_the_signature_says_who_when_and_how():
    tags = tags_of(rsa_signer().sign(a_mail(), AT))
    assert tags["v"] == "1"
    assert (tags["d"], tags["s"], tags["t"]) == ("example.com", "s1", "1700000000")
    assert (tags["a"], tags["c"]) == ("rsa-sha256", "relaxed/relaxed")


def test_everything_a_receiver_relies_on_is_covered_and_from_once_more():
    covered = tags_of(ed25519_signer().sign(a_mail(), AT))["h"].split(":")
    assert covered.count("from") == 2
    assert {*covered} == {
        *("from", "to", "cc", "reply-to", "subject", "date", "message-id", "mime-version", "content-type"),
        *("list-unsubscribe", "list-unsubscribe-post", "feedback-id", "auto-submitted"),
    }


def test_the_message_itself_is_not_touched_and_lines_stay_short():
    message = a_mail()
    signed = rsa_signer().sign(message, AT)
    assert signed.endswith(b"\r\n" + message)
    added = signed.removesuffix(message)
    assert added.isascii()
    assert max(map(len, added.split(b"\r\n"))) <= 78


def test_a_second_from_breaks_the_signature():
    signed = ed25519_signer().sign(a_mail(), AT)
    head, rest = signed.split(b"\r\nFrom:", 1)
    with pytest.raises(InvalidSignature):
        verify(head + b"\r\nFrom: eve@example.com\r\nFrom:" + rest, ED25519_PUBLIC)


@pytest.mark.parametrize(
    "name", [b"To", b"Subject", b"List-Unsubscribe", b"List-Unsubscribe-Post", b"Content-Type"]
)
def test_a_changed_field_breaks_the_signature(name):
    signed = ed25519_signer().sign(a_mail(), AT)
    changed = signed.replace(b"\r\n" + name + b": ", b"\r\n" + name + b": x", 1)
    assert changed != signed
    with pytest.raises(InvalidSignature):
        verify(changed, ED25519_PUBLIC)


def test_refolding_and_trailing_white_space_do_not_break_it():
    signed = ed25519_signer().sign(a_mail(), AT)
    relayed = signed.replace(b"\r\nFrom: Example ", b"\r\nFROM:  Example\r\n\t", 1)
    verify(relayed.replace(b"<p>", b"<p>") + b"\r\n \r\n\r\n", ED25519_PUBLIC)


@given(body=st.lists(st.sampled_from([b"a", b" ", b"\t", b"\r\n", b"From ", b"."])).map(b"".join))
def test_any_body_with_crlf_line_ends_is_signed_as_the_rfc_canonicalises_it(body):
    message = b"From: a@example.com\r\nSubject:  two\r\n\tlines \r\n\r\n" + body
    verify(ed25519_signer().sign(message, AT), ED25519_PUBLIC)


def test_repeated_fields_are_signed_from_the_last_to_the_first():
    message = b"To: a@example.com\r\nFrom: b@example.com\r\nTo: c@example.com\r\n\r\nx\r\n"
    signed = ed25519_signer().sign(message, AT)
    assert tags_of(signed)["h"].split(":").count("to") == 2
    verify(signed, ED25519_PUBLIC)


RSA_OF_512_BITS = """
MIIBVQIBADANBgkqhkiG9w0BAQEFAASCAT8wggE7AgEAAkEAyiZ84eo1hGYAFWNG5MjFKyR442O862moPfJSMyaBV+NuB/+wz7oI
uBnhCzmrWN14wlgsno4kFbmRsxR4AOpV2QIDAQABAkEApsVX0704B5Fq0jpD+20TFMOTI+1dp01Uaj6mx+IlZQ4Zh0DdFBQJjDPY
/SmOqk2dzr0eJ4di0yb3bTkpuvXQMQIhAOeorDI278svvEHkYAoc7icuw/k31MpQs/ExNrTQAUklAiEA32QSyBKghLwFbxQgOQZt
9PTB9YN1Fh/xHhbYlS6JHaUCIBdDK897DsdTis7/FNnPH+cVXh6HibmrMvaUX472mDp1AiBOWcEknzPhmjilrv9mQNUMF1R4EfVd
HzLohMbN/BZnaQIhAMJqEU8d2HDAhP27LjrhflPOZuaBoqrwDp7EOeAyWS+q
"""


def test_an_rsa_key_below_1024_bits_is_refused():
    text = f"-----BEGIN PRIVATE KEY-----{RSA_OF_512_BITS}-----END PRIVATE KEY-----"
    with pytest.raises(InvalidSigningKey, match="at least 1024"):
        DkimSigner("example.com", "s1", text.encode())


@pytest.mark.parametrize(
    "key",
    [
        b"",
        b"not base64!",
        base64.b64encode(b"x" * 31),
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
    ],
)
def test_what_is_no_key_is_refused_and_not_repeated(key):
    with pytest.raises(InvalidSigningKey, match=r"^dkim\.key: expected") as refusal:
        DkimSigner("example.com", "s1", key)
    assert not key or key.decode() not in str(refusal.value)


def test_a_key_of_another_kind_or_with_a_password_is_refused():
    with pytest.raises(InvalidSigningKey, match="RSA or an Ed25519"):
        DkimSigner("example.com", "s1", pem(ec.generate_private_key(ec.SECP256R1())))
    locked = RSA.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    with pytest.raises(InvalidSigningKey, match="without a password"):
        DkimSigner("example.com", "s1", locked)


@pytest.mark.parametrize(("domain", "selector"), [("", "s1"), ("exa mple.com", "s1"), ("example.com", "s1;")])
def test_names_that_would_break_the_tag_list_are_refused(domain, selector):
    with pytest.raises(InvalidSigningKey, match="expected a name"):
        DkimSigner(domain, selector, SEED)
