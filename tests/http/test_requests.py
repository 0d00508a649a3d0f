"""What requests would do by itself, from the environment or by its defaults, and does not here."""

import gzip
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.fake_host import Reply
from tests.support.net import IMPATIENT, PHOTO, Net, refused
from tests.support.raw_host import RawHost

BUNDLE = "imgcli.http.client.DEFAULT_CA_BUNDLE_PATH"


def test_proxies_of_the_environment_are_not_used(
    net: Net,
    names: dict[str, list[str]],
    certificate: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names["photos.test"] = ["127.0.0.1"]
    monkeypatch.setattr(BUNDLE, certificate)
    with RawHost() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://{proxy.at}")
            monkeypatch.setenv(name.lower(), f"http://{proxy.at}")
        for kwargs in ({}, {"certificate": certificate}):
            host = net.host({"/a.jpg": PHOTO}, **kwargs)
            client = net.client(f"photos.test:{host.port}")
            assert client.get(host.url("/a.jpg", "photos.test")).body == PHOTO
        assert proxy.connections == 0


def test_authorities_of_the_environment_are_not_trusted(
    net: Net,
    names: dict[str, list[str]],
    certificate: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names["photos.test"] = ["127.0.0.1"]
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, certificate)
    host = net.host({"/a.jpg": PHOTO}, certificate=certificate)
    error = refused(net.client(f"photos.test:{host.port}"), host.url("/a.jpg", "photos.test"))
    assert "self-signed certificate" in str(error)


def test_passwords_of_netrc_are_not_sent(
    net: Net, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\ndefault login me password secret")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    host = net.host({"/a.jpg": PHOTO})
    net.client(host).get(host.url("/a.jpg"))
    assert all("Authorization" not in seen.headers for seen in host.log)


def test_cookies_are_neither_kept_nor_sent(net: Net) -> None:
    cookies = [("Set-Cookie", "id=1; Path=/"), ("Set-Cookie", "all=1; Domain=127.0.0.1; Path=/")]
    there = net.host({"/b.jpg": Reply(body=PHOTO, repeated=cookies)})
    moved = Reply(302, {"Location": there.url("/b.jpg")}, repeated=cookies)
    host = net.host(
        {"/robots.txt": Reply(repeated=cookies), "/a.jpg": moved, "/c.jpg": Reply(body=PHOTO)}
    )
    client = net.client(host, there)
    for url in (host.url("/a.jpg"), host.url("/c.jpg"), there.url("/b.jpg")):
        client.get(url)
    assert len(host.log) == 3 and len(there.log) == 3
    assert all("Cookie" not in seen.headers for seen in host.log + there.log)


@pytest.mark.parametrize(
    "body",
    [
        Reply(drips="body"),
        Reply(length=10**15),
        Reply(chunked=True, body=PHOTO, cut_at=0),
        Reply(headers={"Content-Encoding": "gzip"}, body=gzip.compress(bytes(10**7), mtime=0)),
        Reply(headers={"Content-Encoding": "gzip"}, body=b"no gzip"),
    ],
)
def test_the_body_of_a_redirect_is_not_read(net: Net, body: Reply) -> None:
    moved = Reply(
        **{**vars(body), "status": 302, "headers": {**body.headers, "Location": "/b.jpg"}}
    )
    host = net.host({"/a.jpg": moved, "/b.jpg": PHOTO})
    client = net.client(host)
    start = time.monotonic()
    assert client.get(host.url("/a.jpg"), max_bytes=len(PHOTO)).body == PHOTO
    assert time.monotonic() - start < 0.4  # before the deadline
    assert [host.asked(path) for path in ("/a.jpg", "/b.jpg")] == [1, 1]


@pytest.mark.parametrize(
    "location", ["http://[bad/", "http://*/", "http://a:b/", "http://\xff\xfe/", "data:,x"]
)
def test_a_redirect_that_cannot_be_read_is_a_reason(net: Net, location: str) -> None:
    host = net.host({"/a.jpg": Reply(302, {"Location": location})})
    error = refused(net.client(host), host.url("/a.jpg"))
    assert not error.later and "URL" in str(error)
    assert host.asked("/a.jpg") == 1


def test_a_password_goes_to_no_other_origin_even_of_the_same_name(
    net: Net, names: dict[str, list[str]], certificate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names["photos.test"] = ["127.0.0.1"]
    monkeypatch.setattr(BUNDLE, certificate)
    there = net.host({"/b": PHOTO}, certificate=certificate)
    host = net.host({"/a": Reply(302, {"Location": there.url("/b", "photos.test")})})
    client = net.client(*(f"photos.test:{each.port}" for each in (host, there)))
    secret = {"Authorization": "Bearer secret", "X-Api-Key": "secret", "Cookie": "id=secret"}
    client.get(host.url("/a", "photos.test"), headers=secret, api=True)
    assert {name: host.log[0].headers.get(name) for name in secret} == secret
    assert all(not secret.keys() & seen.headers.keys() for seen in there.log)
    assert there.asked("/b") == 1


def test_a_caller_cannot_change_who_asks_whom_or_in_which_coding(net: Net) -> None:
    host = net.host({"/a.jpg": PHOTO})
    given = {"host": "evil.test", "user-agent": "browser", "accept-encoding": "br"}
    net.client(host).get(host.url("/a.jpg"), headers=given)
    sent = {name.lower(): value for name, value in host.log[-1].headers.items()}
    assert sent["host"] == host.at and sent["user-agent"].startswith("imgcli/")
    assert sent["accept-encoding"] == "identity" and len(host.log[-1].headers) == 3


@pytest.mark.parametrize("drips", ["body", "headers"])
def test_an_answer_over_tls_that_drips_is_given_up_too(
    net: Net,
    names: dict[str, list[str]],
    certificate: str,
    monkeypatch: pytest.MonkeyPatch,
    drips: str,
) -> None:
    names["photos.test"] = ["127.0.0.1"]
    monkeypatch.setattr(BUNDLE, certificate)
    host = net.host({"/a.jpg": Reply(drips=drips), "/b.jpg": PHOTO}, certificate=certificate)
    client = net.client(f"photos.test:{host.port}", limits=IMPATIENT)
    start = time.monotonic()
    error = refused(client, host.url("/a.jpg", "photos.test"), api=True)
    assert error.later and "took more than 0.5 s" in str(error)
    assert time.monotonic() - start < 15
    client = net.client(f"photos.test:{host.port}")
    for _ in range(2):
        assert client.get(host.url("/b.jpg", "photos.test"), api=True).body == PHOTO
    assert len({seen.connection for seen in host.log[1:]}) == 1


def test_a_host_that_never_shakes_hands_is_given_up(net: Net) -> None:
    limits = replace(IMPATIENT, connect=0.5)  # seconds, as are those of shaking hands
    with RawHost() as silent:  # waits for a request in plain text
        client = net.client(silent.at, limits=limits)
        start = time.monotonic()
        error = refused(client, f"https://{silent.at}/a.jpg", api=True)
        assert error.later and "(timed out)" in str(error)
        assert time.monotonic() - start < 15  # three tries of 0.5 s


def test_a_name_may_end_in_a_dot_or_be_in_any_script(
    net: Net, names: dict[str, list[str]], certificate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names.update({"photos.test": ["127.0.0.1"], "xn--bcher-kva.test": ["127.0.0.1"]})
    monkeypatch.setattr(BUNDLE, certificate)
    secure = net.host({"/a.jpg": PHOTO}, certificate=certificate)
    plain = net.host({"/a.jpg": PHOTO})
    client = net.client(f"photos.test:{secure.port}", f"xn--bcher-kva.test:{plain.port}")
    assert client.get(secure.url("/a.jpg", "photos.test.")).body == PHOTO
    assert secure.names[-1] == "photos.test"
    assert secure.log[-1].host == f"photos.test:{secure.port}"
    assert client.get(plain.url("/a.jpg", "Bücher.test")).body == PHOTO
    assert plain.log[-1].host == f"xn--bcher-kva.test:{plain.port}"
