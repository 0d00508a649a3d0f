"""`imgcli scrape` and `imgcli credits` as they are typed, against hosts on loopback."""

import io
import json
import shutil
import subprocess
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from imgcli.http import client
from tests.support.fake_host import FakeHost, Reply
from tests.support.photos import photo
from tests.support.providers import FAST, openverse, openverse_result
from tests.support.shell import Shell


@pytest.fixture(autouse=True)
def quick(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A current folder, a wide terminal, and a client that does not wait for long."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(client, "Client", partial(client.Client, limits=FAST))


def openverse_host() -> FakeHost:
    """Openverse and the photos it knows, at one host."""
    host = FakeHost({f"/{n}.png": photo(n) for n in range(25)})
    results = [
        openverse_result(n, url=host.url(f"/{n}.png"), creator="<b>Jane</b>\x1b[2J")
        for n in range(25)
    ]
    host.answers["/v1/images/"] = openverse(results)
    return host


def placed(label: str) -> set[bytes]:
    return {path.read_bytes() for path in Path("raw", label).iterdir()}


def test_a_class_is_fetched_and_a_larger_number_adds(shell: Shell) -> None:
    with openverse_host() as host:
        there = ("--endpoint", f"http://{host.at}", "--allow-host", host.at)
        code, out, err = shell("scrape", "openverse", "night", "--per-class", "3", *there)
        assert (code, placed("night")) == (0, {photo(n) for n in range(3)})
        assert "Added 3 photos to raw, skipped 0 already there, rejected 0, deferred 0." in out
        assert "night: 3 photos" in err
        assert out.endswith("imgcli credits raw\nNext: imgcli check raw\n")
        asked = len(host.log)
        shell("scrape", "openverse", "night", "--per-class", "3", *there)
        assert len(host.log) == asked
        code, out, err = shell(
            *("scrape", "openverse", "night", "--per-class", "22", "--json", "-q", *there)
        )
        assert (code, err) == (0, "")
        assert json.loads(out) == {
            "out": "raw",
            "added": 19,
            "skipped": 3,
            "duplicates": [],
            "rejected": [],
            "deferred": [],
            "classes": {"night": 22},
            "short": {},
            "interrupted": 0,
        }
        assert all(host.asked(f"/{n}.png") == 1 for n in range(22))
        assert host.asked("/v1/images/") == 2


def test_the_contact_is_said_to_the_host(shell: Shell) -> None:
    with openverse_host() as host:
        there = ("--endpoint", f"http://{host.at}", "--allow-host", host.at)
        shell("scrape", "openverse", "a", "--per-class", "1", "--contact", "me@b.test", *there)
        assert all("(+me@b.test)" in seen.headers["User-Agent"] for seen in host.log)


def test_photos_are_made_smaller_where_asked_for(shell: Shell) -> None:
    large = io.BytesIO()
    Image.effect_noise((300, 200), 90).save(large, "PNG")
    with FakeHost({"/l.png": large.getvalue(), "/s.png": photo(1)}) as host:
        rows = [f"{host.url(f'/{name}.png')},cat,by 4.0" for name in "ls"]
        Path("t.csv").write_text("\n".join(["url,label,license", *rows]))
        words = ("scrape", "urls", "t.csv", "--max-size", "100", "--allow-host", host.at)
        assert shell(*words)[0] == 0
        lines = [json.loads(x) for x in Path("raw/provenance.jsonl").read_text().splitlines()]
        small, whole = sorted(lines, key=lambda line: str(line["path"]))
        assert (small["width"], small["height"], small["format"]) == (100, 67, "JPEG")
        assert (small["made_from"]["width"], small["made_from"]["height"]) == (300, 200)
        with Image.open(Path("raw") / small["path"]) as image:
            assert image.size == (100, 67)
        assert Path("raw", whole["path"]).read_bytes() == photo(1) and "made_from" not in whole
        assert shell(*words)[0] == 0 and len(host.log) == 3  # with robots.txt
        assert shell("credits")[0] == 0
        assert "made smaller from 300 × 200 pixels" in Path("raw/credits.html").read_text()


def test_a_damaged_photo_is_rejected_with_the_reason_of_the_decoder(shell: Shell) -> None:
    whole = io.BytesIO()
    Image.effect_noise((64, 64), 90).save(whole, "PNG")
    with FakeHost({"/cut.png": whole.getvalue()[:2000], "/1.png": photo(1)}) as host:
        rows = [f"{host.url(f'/{name}.png')},cat,cc0" for name in ("cut", "1")]
        Path("t.csv").write_text("\n".join(["url,label,license", *rows]))
        _, out, _ = shell("scrape", "urls", "t.csv", "--json", "--allow-host", host.at)
        (rejected,) = json.loads(out)["rejected"]
        assert rejected["path"] == host.url("/cut.png")
        assert rejected["reason"].startswith("is damaged")


def test_without_any_licence_the_way_out_is_named(shell: Shell) -> None:
    with FakeHost({"/1.png": photo(1)}) as host:
        Path("t.csv").write_text(f"url,label\n{host.url('/1.png')},cat\n")
        words = ("scrape", "urls", "t.csv", "--json", "--allow-host", host.at)
        code, out, err = shell(*words)
        assert code == 1 and "add --allow-unlicensed" in err and not host.log
        assert [r["reason"] for r in json.loads(out)["rejected"]] == ["no licence is known"]
        assert shell(*words, "--allow-unlicensed")[0] == 0
        assert placed("cat") == {photo(1)}


def test_loopback_is_not_asked_unless_allowed(shell: Shell) -> None:
    with FakeHost({"/1.png": photo(1)}) as host:
        Path("t.csv").write_text(f"url,label,license\n{host.url('/1.png')},cat,cc0\n")
        code, out, err = shell("scrape", "urls", "t.csv", "--json")
        assert code == 1 and "No photo was taken" in err and not host.log
        assert [r["path"] for r in json.loads(out)["rejected"]] == [host.url("/1.png")]
        assert shell("scrape", "urls", "t.csv", "--allow-host", host.at)[0] == 0
        assert placed("cat") == {photo(1)}


def test_a_source_that_refuses_ends_in_one_sentence(shell: Shell) -> None:
    with FakeHost({"/g": b'<meta name="robots" content="noai">'}) as host:
        words = ("scrape", "gallery", f"x={host.url('/g')}", "--allow-host", host.at)
        code, _, err = shell(*words)
    assert code == 1 and err.endswith("not to be used (noai).\n")


def test_what_is_rejected_and_put_off_is_shown_and_cannot_command_the_terminal(
    shell: Shell,
) -> None:
    with FakeHost({"/busy": Reply(503), "/1.png": photo(1)}) as host:
        rows = [f"{host.url(path)},[red]c\x1bat,cc0" for path in ("/\x1b[2J", "/busy", "/1.png")]
        Path("t.csv").write_text("\n".join(["url,label,license", *rows]))
        code, out, _ = shell("scrape", "urls", "t.csv", "--allow-host", host.at)
    assert code == 0 and "\x1b" not in out
    assert "rejected 1, deferred 1." in out
    assert "Deferred; the same command tries them again:" in out and "503" in out
    assert "Missing of the photos requested: [red]c\\x1bat 2." in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["google", "night"], "There is no source 'google'"),
        (["openverse"], "Name what to look for"),
        (["openverse", "night", "--license", "gpl"], "--license 'gpl' is unknown"),
        (["openverse", "night", "--max-size", "3"], "--max-size 3 must be at least 16"),
        (["openverse", "night", "--per-class", "0"], "--per-class 0 must be"),
        (["openverse", "night", "--allow-host", "nowhere"], "--allow-host wants HOST:PORT"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(shell: Shell, words: list[str], said: str) -> None:
    code, out, err = shell("scrape", *words)
    assert (code, out) == (2, "") and said in err
    assert not Path("raw").exists()


def test_a_folder_that_is_not_ours_is_left_alone(shell: Shell) -> None:
    Path("raw").mkdir()
    Path("raw/mine.txt").touch()
    Path("t.csv").write_text("url,label\nhttps://a.test/1.jpg,cat\n")
    code, _, err = shell("scrape", "urls", "t.csv")
    assert code == 1 and "was not made by imgcli" in err
    assert [path.name for path in Path("raw").iterdir()] == ["mine.txt"]


# --- credits ------------------------------------------------------------------------------------


def test_the_credits_name_everybody_and_escape_them(shell: Shell) -> None:
    with openverse_host() as host:
        there = ("--endpoint", f"http://{host.at}", "--allow-host", host.at)
        shell("scrape", "openverse", "night", "--per-class", "2", *there)
    code, out, _ = shell("credits", "raw/")
    assert (code, out) == (0, "The credits of 2 photos are in raw/credits.html: 2 CC BY-SA 2.0.\n")
    page = Path("raw/credits.html").read_text()
    assert "&lt;b&gt;Jane&lt;/b&gt;\\x1b[2J" in page and "<b>" not in page
    assert '<a href="https://photos.test/page/1">Night 1</a>' in page
    assert '<a href="https://creativecommons.org/licenses/by-sa/2.0/">CC BY-SA 2.0</a>' in page
    assert "is licensed under CC BY-SA 2.0." in page
    assert 'href="night/openverse-id-1.png"' in page
    code, out, _ = shell("credits", "--json")
    assert json.loads(out) == {
        "out": "raw/credits.html",
        "photos": 2,
        "licences": {"CC BY-SA 2.0": 2},
        "uncredited": 0,
    }


def test_no_link_of_the_credits_leads_off_the_web(shell: Shell) -> None:
    with FakeHost({"/1.png": photo(1)}) as host:
        header = "url,label,license,creator,creator_url,landing_url\n"
        row = f"{host.url('/1.png')},cat,by 4.0,Eve,javascript:alert(1),data:x\n"
        Path("t.csv").write_text(header + row)
        shell("scrape", "urls", "t.csv", "--allow-host", host.at)
    shell("credits")
    page = Path("raw/credits.html").read_text()
    assert "javascript:" not in page and "data:" not in page and "Eve" in page


def test_photos_that_are_gone_or_imported_are_not_credited(shell: Shell) -> None:
    Path("src/dog").mkdir(parents=True)
    Path("src/dog/1.png").write_bytes(photo(77))
    shell("import", "src")
    code, _, err = shell("credits")
    assert code == 1 and "none to credit" in err
    with openverse_host() as host:
        there = ("--endpoint", f"http://{host.at}", "--allow-host", host.at)
        shell("scrape", "openverse", "night", "--per-class", "2", *there)
    Path("raw/night/openverse-id-1.png").unlink()
    _, out, _ = shell("credits")
    assert "The credits of 1 photo are" in out and "1 photo was imported" in out


def test_a_folder_without_provenance_is_said(shell: Shell) -> None:
    code, _, err = shell("credits", "nowhere")
    assert code == 1 and "'nowhere' has no provenance.jsonl" in err


def test_the_example_is_a_script_that_could_run() -> None:
    script = Path(__file__).resolve().parents[2] / "examples" / "collect_wikimedia.sh"
    assert subprocess.run([shutil.which("bash") or "bash", "-n", script]).returncode == 0
