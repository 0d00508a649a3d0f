"""Where the client goes and where it never does, judged by the hosts' logs."""

import pytest

from tests.support.fake_host import Reply
from tests.support.net import DELAY, PHOTO, Net, refused


def test_no_denied_address_is_ever_connected_to(net: Net) -> None:
    host = net.host({"/a.jpg": PHOTO})
    client = net.client()
    spellings = ("127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "0", "[::ffff:7f00:1]")
    for name in spellings:
        error = refused(client, host.url("/a.jpg", name))
        assert not error.later and "not on the open internet" in str(error)
        assert not refused(client, host.url("/a.jpg", name), api=True).later
    assert host.log == []


def test_an_allowed_host_is_that_host_and_port_only(net: Net) -> None:
    one, other = net.host({"/a.jpg": PHOTO}), net.host({"/a.jpg": PHOTO})
    client = net.client(one)
    assert client.get(one.url("/a.jpg")).body == PHOTO
    for url in (other.url("/a.jpg"), one.url("/a.jpg", "localhost"), one.url("/a.jpg", "127.1")):
        assert not refused(client, url).later
    assert other.log == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed_to_where_one_may_go(net: Net, status: int) -> None:
    there = net.host({"/b.jpg": PHOTO})
    host = net.host(
        {
            "/a.jpg": Reply(status, {"Location": there.url("/b.jpg")}),
            "/inside": Reply(status, {"Location": there.url("/b.jpg", "localhost")}),
            "/file": Reply(status, {"Location": "file:///etc/passwd"}),
            "/nowhere": Reply(status),
        }
    )
    client = net.client(host, there)
    answer = client.get(host.url("/a.jpg"))
    assert (answer.url, answer.body) == (there.url("/b.jpg"), PHOTO)
    assert "not on the open internet" in str(refused(client, host.url("/inside")))
    assert "no http or https URL" in str(refused(client, host.url("/file")))
    assert "redirected more than" in str(refused(client, host.url("/nowhere")))  # to itself
    assert there.asked("/b.jpg") == 1


def test_five_redirects_are_followed_and_no_sixth(net: Net) -> None:
    steps = {f"/{n}": Reply(302, {"Location": f"/{n + 1}"}) for n in range(6)}
    host = net.host({**steps, "/6": PHOTO})
    client = net.client(host)
    assert client.get(host.url("/1")).body == PHOTO
    assert str(refused(client, host.url("/0"))) == "redirected more than 5 times"
    assert host.asked("/6") == 1
    assert min(host.gaps()) >= DELAY


def test_a_name_is_resolved_once_and_its_checked_address_connected_to(
    net: Net, names: dict[str, list[str]], lookups: list[str]
) -> None:
    right = net.host({"/a.jpg": Reply(body=PHOTO, lengthless=True)})
    wrong = net.host({"/a.jpg": b"from the inside"}, address="127.0.0.2", port=right.port)
    names["photos.test"] = ["127.0.0.1"]
    client = net.client(f"photos.test:{right.port}")
    for _ in range(3):  # three connections
        assert client.get(right.url("/a.jpg", "photos.test")).body == PHOTO
        names["photos.test"] = ["127.0.0.2"]  # rebound
    assert lookups == ["photos.test"] and wrong.log == []
    assert {seen.host for seen in right.log} == {f"photos.test:{right.port}"}


def test_of_several_addresses_the_next_is_tried(net: Net, names: dict[str, list[str]]) -> None:
    host = net.host({"/a.jpg": PHOTO})
    names["photos.test"] = ["127.0.0.3", "127.0.0.1"]
    client = net.client(f"photos.test:{host.port}")
    assert client.get(host.url("/a.jpg", "photos.test")).body == PHOTO


def test_a_callers_headers_stay_with_the_host_they_are_meant_for(net: Net) -> None:
    there = net.host({"/b": PHOTO})
    host = net.host(
        {
            "/a": Reply(302, {"Location": there.url("/b")}),
            "/same": Reply(302, {"Location": "/b"}),
            "/b": PHOTO,
        }
    )
    client = net.client(host, there)
    for path in ("/a", "/same"):
        client.get(host.url(path), headers={"Authorization": "Bearer secret"}, api=True)
    assert [seen.headers.get("Authorization") for seen in host.log] == ["Bearer secret"] * 3
    assert all("Authorization" not in seen.headers for seen in there.log)
    assert there.asked("/robots.txt") == 1  # another host's page is no API


def test_tls_verifies_the_name_of_the_host_not_its_address(
    net: Net, names: dict[str, list[str]], certificate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names.update({"photos.test": ["127.0.0.1"], "other.test": ["127.0.0.1"]})
    host = net.host({"/a.jpg": PHOTO}, certificate=certificate)
    allowed = [f"{name}:{host.port}" for name in names] + [host.at]
    stranger = refused(net.client(*allowed), host.url("/a.jpg", "photos.test"))
    assert "self-signed certificate" in str(stranger) and stranger.later
    monkeypatch.setattr("imgcli.http.client.DEFAULT_CA_BUNDLE_PATH", certificate)
    client = net.client(*allowed)
    assert client.get(host.url("/a.jpg", "photos.test")).body == PHOTO
    assert host.names[-1] == "photos.test"
    assert host.log[-1].host == f"photos.test:{host.port}"
    assert "Hostname mismatch" in str(refused(client, host.url("/a.jpg", "other.test")))
    assert "mismatch" in str(refused(client, host.url("/a.jpg")))
