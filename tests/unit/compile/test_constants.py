"""Lists that stand in two places because the API may not import the runtime: they have to agree."""

from emailflow_api.compile import jinja
from emailflow_api.kinds import template
from emailflow_runtime.rendering import environment, filters, mime


def test_the_api_knows_the_filters_that_rendering_adds():
    assert set(jinja.OWN_FILTERS) == set(filters.FILTERS)


def test_the_api_knows_all_filters_and_tests_of_rendering():
    for rendering in (environment.HTML, environment.TEXT):
        assert set(jinja.FILTERS) == set(rendering.filters)
        assert set(jinja.DEFAULT_TESTS) == set(rendering.tests)


def test_the_api_refuses_the_headers_that_rendering_refuses():
    assert set(template.RESERVED_HEADERS) == set(mime.RESERVED_HEADERS)
