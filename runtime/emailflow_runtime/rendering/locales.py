"""Which fields of a template a reader gets, by locale. Pure choice, no rendering."""

from typing import NamedTuple

from emailflow_api.plans import LocalizedBody, TemplatePlan

_LONGEST = 35
"""Characters of a locale that are looked at (RFC 5646, 4.4.1)."""


class Chosen(NamedTuple):
    """The fields of one template for one reader. `locale` is the body's; empty: the template's own."""

    locale: str
    subject: str
    preheader: str
    format: str
    body: str
    text: str
    """Empty: to be derived from the body."""


def matching(template: TemplatePlan, locale: str) -> tuple[str, ...]:
    """The template's locales that serve a reader of `locale`, most specific first: `de-at`, `de`.

    Locales are compared and shortened as in RFC 4647, 3.4 (lookup), without regard to case. Readers with
    equal answers get the same fields.
    """
    if not template.locales:
        return ()
    names = {_normal(item.locale) for item in template.locales}
    return tuple(name for name in _shortened(locale) if name in names)


def choose(template: TemplatePlan, locale: str) -> Chosen:
    """Each field from the most specific locale that has it, at last the template's own.

    A text is taken only where it is at least as specific as the body: a German mail has no English text
    part.
    """
    by_name = {_normal(item.locale): item for item in template.locales}
    chain = [by_name[name] for name in matching(template, locale)]
    with_body = next((item for item in chain if item.body), None)
    texts = chain if with_body is None else chain[: chain.index(with_body) + 1]
    text = next((item.text for item in texts if item.text), "")
    return Chosen(
        locale=with_body.locale if with_body else "",
        subject=_first(chain, "subject") or template.subject,
        preheader=_first(chain, "preheader") or template.preheader,
        format=(with_body.format if with_body else "") or template.format,
        body=with_body.body if with_body else template.body,
        text=text or ("" if with_body else template.text),
    )


def _first(chain: list[LocalizedBody], field: str) -> str:
    return next((value for item in chain if (value := getattr(item, field))), "")


def _normal(locale: str) -> str:
    return locale.replace("_", "-").lower()


def _shortened(locale: str) -> list[str]:
    """`zh-hant-tw`, `zh-hant`, `zh`; a single-character subtag goes with what follows it."""
    subtags = _normal(locale[:_LONGEST]).split("-")
    ranges = ["-".join(subtags[:length]) for length in range(len(subtags), 0, -1)]
    return [name for name in ranges if len(name.rpartition("-")[2]) > 1]
