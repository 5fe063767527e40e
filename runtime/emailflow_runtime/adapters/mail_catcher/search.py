"""The inbox's search language: words that must all occur, each anywhere or in one named place.

It knows nothing of where messages are kept.
"""

import re
from typing import NamedTuple

ANYWHERE = "anything"
PLACES = ("from", "to", "subject")
MOST_TERMS = 20
_TERM = re.compile(r'(?:(from|to|subject):)?(?:"([^"]*)"|(\S+))', re.IGNORECASE)


class Term(NamedTuple):
    """One thing to look for; `text` is casefolded, as is what it is looked for in."""

    place: str
    text: str


def parse(query: str) -> list[Term]:
    """The first terms of a query such as `invoice to:ana subject:"your cart"`; an empty one matches all."""
    terms = (
        Term((place or ANYWHERE).lower(), quoted or word) for place, quoted, word in _TERM.findall(query)
    )
    return [Term(place, text.casefold()) for place, text in terms if text][:MOST_TERMS]
