"""The conformance suites of CloudEvents: features of the HTTP binding, events that must travel unharmed."""

import json
import os
import re
from itertools import chain
from pathlib import Path
from textwrap import dedent

import jsonschema
import pytest
import yaml

from emailflow_runtime.core.cloudevents import http, json_format, nats
from emailflow_runtime.core.cloudevents.attributes import make_event
from emailflow_runtime.core.cloudevents.errors import UnknownSpecVersion

OWN = Path(__file__).parent / "conformance"
BESIDE = Path(__file__).parents[4] / "shared" / "data"
GIVEN = Path(os.environ.get("EMAILFLOW_CONFORMANCE_DATA", BESIDE)) / "cloudevents" / "conformance"


def files(pattern):
    return sorted({path.name: path for path in chain(GIVEN.rglob(pattern), OWN.glob(pattern))}.values())


# --- features ----------------------------------------------------------------------------------------


def scenarios():
    """Each scenario of the HTTP features, outlines filled in with their examples."""
    for path in files("http*.feature"):
        text = path.read_text("utf-8")
        for scenario in re.split(r"^ *Scenario(?: Outline)?:", text, flags=re.MULTILINE)[1:]:
            steps, _, examples = scenario.partition("Examples:")
            (placeholder, *values) = [row[0] for row in table(examples)] or ["", ""]
            for value in values:
                filled = steps.replace(f"<{placeholder}>", value)
                yield pytest.param(filled, id=f"{path.stem}: {filled.splitlines()[0].strip()}")


def table(text):
    rows = re.findall(r"^ *\|(.*)\| *$", text, flags=re.MULTILINE)
    return [[cell.strip() for cell in row.split("|")] for row in rows]


def parse(request):
    head, _, body = dedent(request).strip("\n").partition("\n\n")
    headers = [line.split(": ", 1) for line in head.splitlines()[1:]]
    return [(name.encode(), value.strip().encode()) for name, value in headers], body.encode()


@pytest.mark.parametrize("steps", list(scenarios()))
def test_http_features(steps):
    request, expected_data = re.findall(r'"""\n(.*?)^ *"""', steps, flags=re.DOTALL | re.MULTILINE)
    event = http.decode(*parse(request), max_items=1)
    expected = {key: value for key, value in table(steps) if key != "key"}
    assert {name: event.attributes[name] for name in expected} == expected
    assert json.loads(event.data) == json.loads(expected_data)


# --- events ------------------------------------------------------------------------------------------


def events():
    for path in files("v*.yaml"):
        # BaseLoader: everything stays the text that it is.
        documents = yaml.load_all(path.read_text("utf-8"), yaml.BaseLoader)
        for number, document in enumerate(documents):
            attributes = dict(document["ContextAttributes"])
            # A block scalar of YAML ends with a line feed, which no attribute may have.
            extensions = {k: v.strip() for k, v in attributes.pop("Extensions", {}).items()}
            yield pytest.param(attributes | extensions, document["Data"].encode(), id=f"{path.name}-{number}")


@pytest.mark.parametrize(("attributes", "data"), list(events()))
def test_events_travel_unharmed_in_every_mode(attributes, data):
    if attributes["specversion"] != "1.0":
        with pytest.raises(UnknownSpecVersion):
            make_event(attributes, data)
        return
    event = make_event(attributes, data)
    assert (event.attributes, event.data) == (attributes, data)
    assert http.decode(*http.encode_binary(event), max_items=1) == event
    assert http.decode(*http.encode_structured(event), max_items=1) == event
    assert http.decode(*http.encode_batch([event]), max_items=1) == [event]
    assert nats.decode(*nats.encode(event)) == event
    assert nats.decode(*nats.encode_structured(event)) == event


@pytest.mark.parametrize(("attributes", "data"), list(events()))
def test_structured_events_follow_the_json_schema(attributes, data):
    if attributes["specversion"] == "1.0":
        schema = json.loads((OWN / "cloudevents.json").read_text("utf-8"))
        jsonschema.validate(json.loads(json_format.encode(make_event(attributes, data))), schema)
