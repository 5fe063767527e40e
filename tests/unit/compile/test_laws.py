"""Whatever people write, compile answers with plans and findings, never with an exception."""

import copy
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from emailflow_api.compile import compile_resources
from emailflow_api.reading import read_documents


def read_folder(folder):
    return [
        document
        for file in sorted(folder.glob("*.yaml"))
        for document in read_documents(file.read_text(encoding="utf-8"), file.name)
    ]


ROOT = Path(__file__).parents[3]
EXAMPLE = read_folder(ROOT / "examples" / "onboarding")
EVERY_FIELD = read_folder(ROOT / "tests" / "unit" / "api" / "manifests")
DOCUMENTS = EXAMPLE + EVERY_FIELD
ODD = st.sampled_from([None, "", "end", "PT1H", "{{", "1 +", 0, -1, True, [], {}, [None], {"name": ""}])


def places(value, path=()):
    """The paths of all values below this one."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield (*path, key)
        yield from places(each, (*path, key))


def damaged(value, path, odd, *, remove):
    """A copy with the value at `path` removed or replaced."""
    changed = copy.deepcopy(value)
    parent = changed
    for key in path[:-1]:
        parent = parent[key]
    if remove:
        del parent[path[-1]]
    else:
        parent[path[-1]] = odd
    return changed


PLACES = [(index, path) for index, document in enumerate(DOCUMENTS) for path in places(document.value)]
DAMAGE = st.tuples(st.sampled_from(PLACES), ODD, st.booleans())


@settings(deadline=None, max_examples=100)
@given(
    damages=st.lists(DAMAGE, min_size=1, max_size=3, unique_by=lambda each: each[0][0]), laptop=st.booleans()
)
def test_compile_never_raises(damages, laptop):
    documents = list(DOCUMENTS)
    for (index, path), odd, remove in damages:
        value = damaged(documents[index].value, path, odd, remove=remove)
        documents[index] = documents[index]._replace(value=value)
    found = compile_resources(documents, laptop=laptop)
    assert all(flow.revision in found.plans.programs for flow in found.plans.flows.values())


def test_the_example_is_sound():
    found = compile_resources(EXAMPLE, laptop=True)
    assert found.findings == ()
    assert set(found.plans.flows) == {"default/onboarding"}
