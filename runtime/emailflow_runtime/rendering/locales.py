"""Which fields of a template a reader gets, by locale. Pure choice, no rendering."""

from typing import NamedTuple

from emailflow_api.plans import LocalizedBody, TemplatePlan


class Chosen(NamedTuple):
    """The fields of one template for one reader. `locale` is the body's; empty: the template's own."""

    locale: str
    subject: str
    preheader: str
    format: str
    body: str
    text: str
    """Empty: to be derived from the body."""


def choose(template: TemplatePlan, locale: str) -> Chosen:
    """Each field from the most specific locale that has it: `de-AT`, then `de`, then the template's own.

    Locales are compared and shortened as in RFC 4647, 3.4 (lookup), without regard to case. A text is
    taken only where it is at least as specific as the body: a German mail has no English text part.
    """
    by_name = {_normal(item.locale): item for item in template.locales}
    chain = [by_name[name] for name in _shortened(locale) if name in by_name]
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
    subtags = _normal(locale).split("-")
    ranges = ["-".join(subtags[:length]) for length in range(len(subtags), 0, -1)]
    return [name for name in ranges if len(name.rpartition("-")[2]) > 1]
