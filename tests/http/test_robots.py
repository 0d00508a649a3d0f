import pytest

from imgcli.http.request import Answer, NotFetched, Unreachable
from imgcli.http.robots import Rules, closed_by, forbidden_use, rules_of

AGENT = "imgcli/0.1.0"


def rules(text: str | bytes, status: int = 200) -> Rules:
    body = text.encode() if isinstance(text, str) else text
    return rules_of(Answer("http://p.example/robots.txt", status, {}, body), "p.example:80")


@pytest.mark.parametrize(
    ("text", "path", "allowed"),
    [
        ("User-agent: *\nDisallow: /private", "/private/a.jpg", False),
        ("User-agent: *\nDisallow: /private", "/public/a.jpg", True),
        ("User-agent: *\nDisallow: /\nAllow: /photos/", "/photos/a.jpg", True),
        ("User-agent: *\nDisallow: /*.jpg$", "/photos/a.jpg", False),
        ("User-agent: *\nDisallow: /*.jpg$", "/photos/a.jpg?x", True),
        ("User-agent: *\nDisallow:\n\nUser-agent: IMGCLI\nDisallow: /", "/a.jpg", False),
        ("User-agent: imgcli\nDisallow:\n\nUser-agent: *\nDisallow: /", "/a.jpg", True),
        ("User-agent: other\nDisallow: /", "/a.jpg", True),
        ("\ufeffUser-agent: *\nDisallow: /", "/a.jpg", False),
        ("User-agent: *\r\nDisallow: /\r\n", "/a.jpg", False),
        ("", "/a.jpg", True),
        ("<html>not found</html>", "/a.jpg", True),
    ],
)
def test_robots_say_what_may_be_fetched(text: str, path: str, allowed: bool) -> None:
    assert rules(text).allow(f"http://p.example{path}", AGENT) is allowed


def test_robots_that_are_no_text_are_read_all_the_same() -> None:
    read = rules(b"\xff\xfe\x00\nUser-agent: *\nDisallow: /\xe9\nCrawl-delay: 2.5\n")
    assert read.delay(AGENT) == 2.5
    assert rules("User-agent: *\nCrawl-delay: soon").delay(AGENT) == 0.0


@pytest.mark.parametrize(
    ("status", "closed"), [(204, False), (403, False), (404, False), (304, True)]
)
def test_without_robots_everything_or_nothing_is_allowed(status: int, closed: bool) -> None:
    assert (rules(b"", status).closed is not None) is closed


def test_robots_that_cannot_be_read_say_why() -> None:
    why = closed_by("p.example:80", NotFetched("timed out", later=True)).closed
    assert why is not None and why.later
    assert str(why) == "the robots.txt of p.example:80 cannot be read: timed out"


def test_robots_are_not_blamed_for_a_host_that_cannot_be_reached() -> None:
    gone = Unreachable("p.example:80", "p.example:80 is skipped", later=True)
    assert closed_by("p.example:80", gone).closed is gone
    assert "robots.txt" in str(closed_by("q.example:80", gone).closed)  # it redirects there


@pytest.mark.parametrize(
    ("directives", "found"),
    [
        ("noai", "noai"),
        ("NoImageAI", "noimageai"),
        ("nofollow, noindex", "noindex"),
        ("googlebot: noindex", "noindex"),
        ("otherbot: nofollow, imgcli: noai", "noai"),
        ("noarchive; noimageindex", "noimageindex"),
        ("none", "none"),
        ("googlebot: none", "none"),
        ("max-image-preview: none", None),
        ("max-image-preview:none, nofollow", None),
        ("all, nosnippet, unavailable_after: 25 Jun 2030 15:00:00 PST", None),
        ("", None),
    ],
)
def test_directives_that_forbid_our_use_are_found(directives: str, found: str | None) -> None:
    assert forbidden_use(directives) == found
