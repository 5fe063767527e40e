"""What a mail brings is shown and never acts."""

import pytest

EVIL = '<script>alert(1)</script><img src=x onerror="alert(2)"><form action="https://evil.example"></form>'


def directives(answer) -> dict[str, str]:
    policy = answer.headers["content-security-policy"]
    return {name: value for name, _, value in (part.strip().partition(" ") for part in policy.split(";"))}


async def test_html_is_served_into_a_sandbox_that_runs_nothing(browser, post) -> None:
    mail = await post.put(html=EVIL)

    answer = await browser.get(f"/view/{mail}.html")
    policy = directives(answer)
    assert EVIL in answer.text
    assert policy["sandbox"] == "", "no allow- word: no script, no form, no popup, an origin of its own"
    assert policy["default-src"] == "'none'"
    assert "script-src" not in policy
    assert policy["form-action"] == policy["base-uri"] == "'none'"
    assert policy["frame-ancestors"] == "'self'"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_remote_pictures_load_only_when_asked_for(browser, post) -> None:
    mail = await post.put(html='<img src="https://tracker.example/pixel">')

    assert directives(await browser.get(f"/view/{mail}.html"))["img-src"] == "data:"
    assert directives(await browser.get(f"/view/{mail}.html?images=1"))["img-src"] == "data: http: https:"


async def test_the_page_shows_html_in_a_sandboxed_frame_only(browser, post) -> None:
    mail = await post.put(html=EVIL, text=EVIL)

    for view in ("html", "text", "headers", "source"):
        page = (await browser.get(f"/inbox/{mail}?view={view}")).text
        assert "alert(1)</script>" not in page
        assert ('sandbox=""' in page) == (view == "html")


async def test_pages_allow_only_our_own_script_file(browser, post) -> None:
    mail = await post.put()

    for path in ("/inbox", f"/inbox/{mail}", "/inbox/99"):
        answer = await browser.get(path)
        policy = directives(answer)
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert "<script>" not in answer.text
        assert " style=" not in answer.text


async def test_inline_pictures_are_part_of_the_html(browser, post) -> None:
    mail = await post.put_raw(
        b"Content-Type: multipart/related; boundary=b\r\n\r\n"
        b'--b\r\nContent-Type: text/html\r\n\r\n<img src="cid:logo%40x"><img src="cid:gone">\r\n'
        b"--b\r\nContent-Type: image/png\r\nContent-ID: <logo@x>\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        b"iVBORw==\r\n--b--"
    )

    html = (await browser.get(f"/view/{mail}.html")).text
    assert 'src="data:image/png;base64,iVBORw=="' in html
    assert 'src="cid:gone"' in html


@pytest.mark.parametrize(
    ("content_type", "served_as"),
    [("text/html", "text/html"), ("image/svg+xml", "image/svg+xml"), ("a\x7f/b", "application/octet-stream")],
)
async def test_attachments_are_downloads_in_a_sandbox(
    browser, post, content_type: str, served_as: str
) -> None:
    mail = await post.put_raw(
        f"Content-Type: {content_type}\r\nContent-Disposition: attachment; "
        "filename*=UTF-8''%22%0D%0ASet-Cookie%3A%20x%3D1%C3%A9.html\r\n\r\n<script>alert(1)</script>".encode()
    )

    answer = await browser.get(f"/api/v1/message/{mail}/part/1")
    assert answer.body == b"<script>alert(1)</script>"
    assert answer.headers["content-type"] == served_as
    disposition = answer.headers["content-disposition"]
    assert disposition == "attachment; filename*=UTF-8''%22%0D%0ASet-Cookie%3A%20x%3D1%C3%A9.html"
    assert directives(answer)["sandbox"] == ""
    assert (await browser.get(f"/api/v1/message/{mail}/part/2")).status == 404


async def test_text_is_served_as_text(browser, post) -> None:
    mail = await post.put(text="<script>alert(1)</script>")

    answer = await browser.get(f"/view/{mail}.txt")
    assert answer.text == "<script>alert(1)</script>\n"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert (await browser.get(f"/view/{mail}.html")).json == {"Error": "the message has no HTML body"}
