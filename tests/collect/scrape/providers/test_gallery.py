import pytest

from imgcli.collect.scrape.providers.gallery import Gallery
from imgcli.collect.scrape.search_result import Search
from imgcli.errors import DataError
from imgcli.http.request import NotFetched
from tests.support.fake_host import FakeHost, Reply
from tests.support.providers import client_of

BY = '<a rel="license" href="https://creativecommons.org/licenses/by/4.0/">CC</a>'


def html(text: str, charset: str = "utf-8") -> Reply:
    return Reply(
        headers={"Content-Type": f"text/html; charset={charset}"}, body=text.encode(charset)
    )


def test_pages_are_followed_until_they_lead_back() -> None:
    pages = {
        "/street": html(f'{BY}<img src="/1.jpg"><a href="/street/b" rel="nofollow next">on</a>'),
        "/street/b": html('<img src="/2.jpg"><link rel=next href="/street">'),
    }
    with FakeHost(pages) as host:
        gallery, search = Gallery(client_of(host)), Search("street", host.url("/street"))
        first = gallery.page(search, "")
        assert [result.file_url for result in first.results] == [host.url("/1.jpg")]
        assert first.results[0].landing_url == host.url("/street")
        assert first.cursor == host.url("/street/b")
        assert gallery.address(search, first.cursor) == host.url("/street/b")
        assert gallery.page(search, first.cursor).cursor is None


def test_page_numbers_are_followed() -> None:
    links = '<a href="?page=1">1</a><a href="?page=2">2</a><a href="/other?page=3">3</a>'
    more = '<a href="?page=1">1</a><a href="?page=3">3</a>'
    with FakeHost({"/s": [html(links), html(more), html(links)]}) as host:
        gallery, search = Gallery(client_of(host)), Search("street", host.url("/s"))
        second = gallery.page(search, "").cursor
        assert second == host.url("/s?page=2")
        third = gallery.page(search, second).cursor
        assert third == host.url("/s?page=3")
        assert gallery.page(search, third).cursor is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (BY, "CC BY 4.0"),
        (
            '<link rel="license" href="http://creativecommons.org/publicdomain/zero/1.0/">',
            "CC0 1.0",
        ),
        (
            '<a href="https://creativecommons.org/licenses/by-nc/3.0/">some rights</a>',
            "CC BY-NC 3.0",
        ),
        (f'{BY}<a href="https://creativecommons.org/licenses/by-nc/3.0/">others</a>', "CC BY 4.0"),
        (
            '<a href="https://creativecommons.org/licenses/by/3.0/">a</a>'
            '<a href="https://creativecommons.org/licenses/by-nc/3.0/">b</a>',
            None,
        ),
        ('<a href="https://creativecommons.org/">what is it</a>', None),
        ("© all rights reserved", None),
    ],
)
def test_the_licence_is_the_pages(text: str, name: str | None) -> None:
    with FakeHost({"/s": html(f'{text}<img src="/1.jpg">')}) as host:
        (result,) = Gallery(client_of(host)).page(Search("s", host.url("/s")), "").results
    assert (result.licence and result.licence.name) == name


def test_what_linked_data_says_of_a_photo_holds_for_it() -> None:
    def image(url: str, granted: str) -> str:
        data = f'{{"@type": "ImageObject", "contentUrl": "{url}", "license": "{granted}"}}'
        return f'<script type="application/ld+json">{data}</script>'

    text = BY + '<img src="/1.jpg"><img src="/2.jpg"><img src="/3.jpg" alt="Rain">'
    text += image("/1.jpg", "CC BY-SA 2.0") + image("/2.jpg", "https://site.test/terms")
    with FakeHost({"/s": html(text)}) as host:
        results = Gallery(client_of(host)).page(Search("s", host.url("/s")), "").results
    assert [result.licence and result.licence.name for result in results] == [
        "CC BY-SA 2.0",
        None,
        "CC BY 4.0",
    ]
    assert results[2].title == "Rain"


@pytest.mark.parametrize("word", ["noai", "noimageai", "noindex", "index, NoImageIndex", "none"])
def test_a_page_that_asks_not_to_be_used_is_not(word: str) -> None:
    text = f'<meta name="Robots" content="{word}"><img src="/1.jpg">'
    with FakeHost({"/s": html(text)}) as host:
        with pytest.raises(DataError, match="asks in its meta robots not to be used"):
            Gallery(client_of(host)).page(Search("s", host.url("/s")), "")


def test_robots_txt_is_obeyed() -> None:
    robots = b"User-agent: *\nDisallow: /s"
    with FakeHost({"/robots.txt": robots, "/s": html("")}) as host:
        with pytest.raises(NotFetched, match="forbids"):
            Gallery(client_of(host)).page(Search("s", host.url("/s")), "")
        assert host.asked("/s") == 0


@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1", "utf-16"])
def test_pages_are_read_in_their_own_writing(charset: str) -> None:
    with FakeHost({"/s": html('<img src="/1.jpg" alt="Café">', charset)}) as host:
        (result,) = Gallery(client_of(host)).page(Search("s", host.url("/s")), "").results
    assert result.title == "Café"
