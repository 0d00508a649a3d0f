"""`imgcli.scrape` and `imgcli.credits` as they are called, against a host on loopback."""

from functools import partial
from pathlib import Path

import pytest

from imgcli.commands.credits import credits
from imgcli.commands.scrape import scrape
from imgcli.errors import DataError, WrongUsage
from imgcli.http import client
from tests.support.fake_host import FakeHost
from tests.support.photos import photo
from tests.support.providers import FAST
from tests.support.shell import Printed

pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "Client", partial(client.Client, limits=FAST))


def write_table(host: FakeHost, licence: str) -> None:
    rows = [f"{host.url(f'/{n}.png')},cat,{licence}" for n in range(3)]
    Path("t.csv").write_text("\n".join(["url,label,license", *rows]))


def test_it_returns_what_the_command_prints(printed: Printed) -> None:
    with FakeHost({f"/{n}.png": photo(n) for n in range(2)}) as host:
        write_table(host, "by 4.0")
        first = scrape("urls", ["t.csv"], allow_host=[host.at])
        assert (first.added, first.skipped, first.classes) == (2, 0, {"cat": 2})
        assert (first.short, first.error) == ({"cat": 1}, None)
        again = scrape("urls", ["t.csv"], allow_host=[host.at])
        assert printed("scrape", "urls", "t.csv", "--allow-host", host.at) == again.to_json()
    result = credits()
    assert (result.out, result.photos, result.uncredited) == (Path("raw/credits.html"), 2, 0)
    assert printed("credits") == result.to_json()


def test_without_a_photo_the_result_has_an_error() -> None:
    with FakeHost({"/0.png": photo(0)}) as host:
        write_table(host, "")
        result = scrape("urls", ["t.csv"], allow_host=[host.at])
    assert len(result.rejected) == 3 and isinstance(result.error, DataError)
    assert "add --allow-unlicensed" in str(result.error)


def test_a_wrong_choice_is_refused() -> None:
    with pytest.raises(WrongUsage, match="at least 16 pixels"):
        scrape("openverse", ["night"], max_size=3)
    with pytest.raises(WrongUsage, match="no source 'nowhere'"):
        scrape("nowhere")
    with pytest.raises(DataError):
        credits("raw")
