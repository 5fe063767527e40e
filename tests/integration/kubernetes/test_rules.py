"""The rules in the definitions, judged by a real API server: one pair of fixtures for each rule.

In a file with more than one document, all but the last are there before the last one is judged.
"""

from pathlib import Path

import pytest

MARK = "# expect: "
PAIRS = sorted(path.parent for path in (Path(__file__).parent / "rules").glob("*/*/refused.yaml"))
BY_RULE = pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair.parent.name}-{pair.name}")


def judged(apply, manifests):
    """The server's answer to the last document."""
    *earlier, last = manifests.split("\n---\n")
    for document in earlier:
        assert apply(document).returncode == 0
    return apply(last)


@BY_RULE
def test_a_rule_accepts_what_keeps_it(apply, pair):
    answer = judged(apply, (pair / "accepted.yaml").read_text())
    assert answer.returncode == 0, answer.stderr


@BY_RULE
def test_a_rule_refuses_what_breaks_it(apply, pair):
    manifests = (pair / "refused.yaml").read_text()
    words = manifests.partition("\n")[0].removeprefix(MARK)
    answer = judged(apply, manifests)
    assert answer.returncode != 0
    assert words in answer.stderr
