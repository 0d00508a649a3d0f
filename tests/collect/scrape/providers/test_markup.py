import json

import pytest

from imgcli.collect.scrape.providers.markup import read_markup

PAGE = "https://site.test/street/"


def urls(html: str) -> list[str]:
    return [photo.url for photo in read_markup(html, PAGE).photos]


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ('<img src="1.jpg">', ["https://site.test/street/1.jpg"]),
        ("<IMG SRC=//cdn.test/1>", ["https://cdn.test/1"]),
        ('<img src="s.jpg" srcset="m.jpg 480w, l.jpg 2000w,\n s.jpg 100w">', ["l.jpg"]),
        ('<img src="s.jpg" srcset="m.jpg 1.5x, l.jpg 2x">', ["l.jpg"]),
        ('<img src="data:image/gif;base64,R0" data-src="lazy.jpg">', ["lazy.jpg"]),
        (
            '<picture><source srcset="a.webp 400w, b.webp 1600w"><img src="c.jpg"></picture>'
            '<img src="d.jpg">',
            ["b.webp", "d.jpg"],
        ),
        ('<a href="/big/1.JPG?x=1"><img src="thumb.jpg"></a>', ["https://site.test/big/1.JPG?x=1"]),
        ('<a href="/photo/1"><img src="1.jpg"></a>', ["1.jpg"]),
        ('<meta property="og:image" content="https://cdn.test/o">', ["https://cdn.test/o"]),
        ('<base href="https://other.test/x/"><img src="1.jpg">', ["https://other.test/x/1.jpg"]),
        ('<img src="logo.png" width="60"><img src="p.gif" height="1px">', []),
        ('<img src="data:image/png;base64,AA"><img src=""><img src="javascript:x">', []),
        ('<img src="http://[bad/1.jpg"><img src="1.jpg">', ["1.jpg"]),
        ('<img src="1.jpg"><![weird [', ["1.jpg"]),
    ],
)
def test_photos_are_found(html: str, found: list[str]) -> None:
    assert urls(html) == [url if "://" in url else PAGE + url for url in found]


def test_linked_data_says_who_made_a_photo() -> None:
    image = {
        "@type": ["ImageObject"],
        "contentUrl": "/1.jpg",
        "name": "Rain",
        "creator": [{"@type": "Person", "name": "Jane"}],
        "license": "https://creativecommons.org/licenses/by/4.0/",
    }
    graph = {"@graph": [{"@type": "WebPage", "image": image}, {"@type": "ImageObject"}]}
    html = f'<script type="application/ld+json">{json.dumps(graph)}</script>'
    (photo,) = read_markup(html, PAGE).photos
    assert (photo.url, photo.title, photo.creator) == ("https://site.test/1.jpg", "Rain", "Jane")
    assert photo.licence == "https://creativecommons.org/licenses/by/4.0/"


@pytest.mark.parametrize(
    "script",
    [
        '<script id="__NEXT_DATA__" type="application/json">{"a": ["/p/1.jpg", "x.jpg"]}</script>',
        '<script>window.__STATE__ = {"a": {"src": "/p/1.jpg"}}; start();</script>',
    ],
)
def test_a_programs_state_is_looked_through(script: str) -> None:
    assert urls(script) == ["https://site.test/p/1.jpg"]


@pytest.mark.parametrize(
    "script", ["{", "let a = {b: 1}", "[" * 100_000, "", "f()", '{"a":"\\ud800/.jpg"}']
)
def test_scripts_that_are_no_json_do_no_harm(script: str) -> None:
    read_markup(f"<script>{script}</script>", PAGE)
    read_markup(f'<script type="application/ld+json">{script}</script>', PAGE)
