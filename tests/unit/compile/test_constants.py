"""Lists that stand in two places because the API may not import the runtime: they have to agree."""

from emailflow_api.compile import templates
from emailflow_api.kinds import template
from emailflow_runtime.rendering import filters, mime


def test_the_api_knows_the_filters_that_rendering_adds():
    assert set(templates.OWN_FILTERS) == set(filters.FILTERS)


def test_rendering_refuses_every_header_that_the_api_refuses():
    assert set(template.RESERVED_HEADERS) <= set(mime.RESERVED_HEADERS)
