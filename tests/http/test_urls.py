import pytest

from imgcli.errors import WrongUsage
from imgcli.http.request import NotFetched, allowed_host, host_of, redirected, target_of


def test_a_url_is_read_into_what_is_asked_for() -> None:
    target = target_of("HTTP://Photos.Example.:8080/a b/é.jpg?x=1#top", {"q": "näh & fern"})
    assert target.at == "photos.example:8080"
    assert target.host_header == "photos.example:8080"
    assert target.path == "/a%20b/%C3%A9.jpg?x=1&q=n%C3%A4h+%26+fern"
    assert target.url == "http://photos.example.:8080" + target.path


@pytest.mark.parametrize(
    ("url", "at"),
    [
        ("https://photos.example/a", "photos.example:443"),
        ("http://PHOTOS.example./a", "photos.example:80"),
        ("http://bücher.example/", "xn--bcher-kva.example:80"),
        ("http://[::1]:8000/", "[::1]:8000"),
        ("http://2130706433/", "2130706433:80"),
        ("http://127.0.0.1\\@photos.example/", "127.0.0.1:80"),
    ],
)
def test_the_host_is_the_one_that_is_connected_to(url: str, at: str) -> None:
    assert host_of(url) == at


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("file:///etc/passwd", "no http or https URL"),
        ("ftp://photos.example/", "no http or https URL"),
        ("data:image/png;base64,AAAA", "no http or https URL"),
        ("javascript:alert(1)", "no http or https URL"),
        ("httpx://photos.example/", "no http or https URL"),
        ("http://me:secret@photos.example/", "holds a user name or password"),
        ("http://photos.example@127.0.0.1/", "holds a user name or password"),
        ("photos.example/a.jpg", "no URL"),
        ("//photos.example/a.jpg", "no URL"),
        ("", "no URL"),
        ("http://", "no URL"),
        ("http://./", "no URL"),
        ("http://１２７.0.0.1:8000/", "no URL"),
        ("http://[::1/", "no URL"),
        ("http://photos.example:99999/", "no URL"),
        ("http://photos.example:port/", "no URL"),
        ("http://*.example/\udce4", "no URL"),
        ("http://" + "ä" * 300 + "/", "no URL"),
    ],
)
def test_what_cannot_be_fetched_is_refused_without_repeating_it(url: str, reason: str) -> None:
    with pytest.raises(NotFetched, match=reason) as caught:
        target_of(url)
    assert "secret" not in str(caught.value)
    assert not caught.value.later


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/b.jpg", "http://photos.example/b.jpg"),
        ("b.jpg", "http://photos.example/a/b.jpg"),
        ("//other.example/b", "http://other.example/b"),
        ("https://other.example/b", "https://other.example/b"),
        ("é.jpg".encode().decode("latin-1"), "http://photos.example/a/%C3%A9.jpg"),
    ],
)
def test_redirects_may_be_relative_and_in_raw_utf8(location: str, url: str) -> None:
    assert redirected(target_of("http://photos.example/a/1.jpg"), location).url == url


@pytest.mark.parametrize("location", ["file:///etc/passwd", "http://u:p@x.example/", "\xff\xfe"])
def test_redirects_that_lead_nowhere_good_are_refused(location: str) -> None:
    with pytest.raises(NotFetched):
        redirected(target_of("http://photos.example/a/1.jpg"), location)


def test_allowed_hosts_are_a_host_and_a_port() -> None:
    assert allowed_host("LocalHost:8000") == "localhost:8000"
    assert allowed_host("[::1]:8000") == "[::1]:8000"
    for entry in ("localhost", "localhost:", ":80", "http://localhost:80", "a@b:80", "a:0", "a:b"):
        with pytest.raises(WrongUsage, match="--allow-host wants HOST:PORT"):
            allowed_host(entry)
