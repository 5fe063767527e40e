"""Which fields a reader gets."""

import pytest

from emailflow_api.plans import LocalizedBody

GERMAN = LocalizedBody(locale="de", subject="Hallo", format="html", body="<p>Deutsch</p>")
AUSTRIAN = LocalizedBody(locale="de-AT", subject="Servus")
NORWEGIAN = LocalizedBody(locale="no", format="markdown", body="**Norsk**", text="Norsk tekst")
CHINESE = LocalizedBody(locale="zh-Hant", format="html", body="<p>繁體</p>")


@pytest.fixture
def mail(render):
    locales = (GERMAN, AUSTRIAN, NORWEGIAN, CHINESE)
    return lambda locale: render(
        "<p>English</p>", text="English text", locale=locale, locales=locales, preheader="Soon"
    )


@pytest.mark.parametrize("locale", ["de", "DE", "de-DE", "de_DE", "de-1996-x-private"])
def test_a_locale_falls_back_to_its_language(mail, locale):
    rendered = mail(locale)
    assert (rendered.subject, rendered.text, rendered.locale) == ("Hallo", "Deutsch", "de")


def test_each_field_falls_back_by_itself(mail):
    rendered = mail("de-AT")
    assert (rendered.subject, rendered.text, rendered.locale) == ("Servus", "Deutsch", "de")
    assert "Soon" in rendered.html


@pytest.mark.parametrize("locale", ["", "fr", "d", "-", "x" * 1000, "e-" * 1000])
def test_a_locale_without_a_version_gets_the_templates_own(mail, locale):
    rendered = mail(locale)
    assert (rendered.subject, rendered.text, rendered.locale) == ("Hello", "English text", "")


def test_a_body_in_a_language_never_has_the_text_of_another(mail):
    assert mail("de").text == "Deutsch"
    assert mail("no").text == "Norsk tekst"


def test_a_version_may_have_another_format(mail):
    assert "<strong>Norsk</strong>" in mail("no-NO").html


def test_scripts_are_kept_before_regions(mail):
    assert mail("zh-Hant-TW").locale == "zh-Hant"
    assert mail("zh-Hans-CN").locale == ""


def test_the_document_says_its_language(mail):
    assert '<html lang="de">' in mail("de-AT").html


def test_filters_go_by_the_readers_locale_not_the_bodys(render):
    body = LocalizedBody(locale="de", format="html", body="<p>{{ 1234 | number }}</p>")
    assert render("-", locale="de-CH", locales=(body,)).text == "1\u2019234"
