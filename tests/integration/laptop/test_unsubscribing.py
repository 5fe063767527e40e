"""The link in a mail: looking at it changes nothing, one POST is enough, and it holds for the next mail."""

import json
import re
import urllib.error
import urllib.request

from .conftest import Dev, until

KIND = "com.example.signed_up"
BODY = {"email": "ana@example.com", "name": "Ana"}


def open_link(url: str, data: bytes | None = None) -> int:
    try:
        with urllib.request.urlopen(url, data=data, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def unsubscribe_link(dev: Dev) -> str:
    with urllib.request.urlopen(f"{dev.url}/api/v1/message/latest/headers", timeout=20) as answer:
        headers = json.load(answer)
    assert headers["List-Unsubscribe-Post"] == ["List-Unsubscribe=One-Click"]
    found = re.fullmatch(r"<(http://[^>]+)>", headers["List-Unsubscribe"][0])
    assert found is not None
    return found[1]


def greet(dev: Dev, number: int) -> None:
    """Ana signs up again, and somebody else after her, whose mail shows that hers has been decided."""
    dev.post(KIND, BODY, f"ana-{number}")
    dev.post(KIND, {"email": f"b{number}@example.com", "name": f"B{number}"}, f"b-{number}")
    assert until(lambda: f"Hello B{number}" in dev.subjects())


def test_one_post_to_the_link_is_enough(dev: Dev) -> None:
    dev.post(KIND, BODY, "first")
    assert until(dev.subjects) == ["Hello Ana"]
    link = unsubscribe_link(dev)
    assert open_link(link) == 200
    greet(dev, 1)
    assert dev.subjects().count("Hello Ana") == 2
    assert open_link(link, b"List-Unsubscribe=One-Click") == 200
    greet(dev, 2)
    assert dev.subjects().count("Hello Ana") == 2


def test_a_link_that_somebody_changed_is_refused(dev: Dev) -> None:
    dev.post(KIND, BODY, "first")
    assert until(dev.subjects)
    link = unsubscribe_link(dev)
    changed = link[:-3] + ("AAA" if not link.endswith("AAA") else "BBB")
    assert open_link(changed) == 400
    assert open_link(changed, b"") == 400
