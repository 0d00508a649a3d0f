"""Trackers behind their queues: nothing they do reaches the training."""

import threading
from pathlib import Path
from typing import Any

import pytest

from imgcli.errors import Interrupted, Refused, WrongUsage
from imgcli.runs import Run
from imgcli.tracking import session
from imgcli.tracking.secrets import without_secrets
from imgcli.tracking.session import NOT_TRACKED, Trackers, chosen_trackers, known_trackers
from imgcli.tracking.tracker import About
from tests.support.trackers import Blocked, Failing, Kept, Memory


def about(folder: Path) -> About:
    return About("one", folder, "train", {"lr": 0.1})


def test_names_are_typed_repeatedly_or_with_commas() -> None:
    assert chosen_trackers(["csv", "tensorboard,csv"]) == ("csv", "tensorboard")
    assert chosen_trackers("csv, tensorboard") == ("csv", "tensorboard")
    assert chosen_trackers(None) is None and chosen_trackers([]) is None
    assert chosen_trackers("none") == ()


def test_an_unknown_name_is_wrong_usage_that_lists_the_known() -> None:
    known = "use tensorboard, mlflow, wandb, csv, or none"
    with pytest.raises(WrongUsage, match=f"--track tensorbord is not known; {known}"):
        chosen_trackers("tensorbord")
    with pytest.raises(WrongUsage, match="--track none goes with no other --track"):
        chosen_trackers("none,csv")


def test_a_package_that_is_missing_is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "find_spec", lambda name: None)
    with pytest.raises(Refused, match=r"--track wandb .* pip install 'imgcli\[track\]'"):
        chosen_trackers("wandb")
    assert chosen_trackers("csv") == ("csv",)


def test_a_broken_package_stops_only_what_asks_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load() -> None:
        raise ImportError("libwandb.so: no such file")

    Run(tmp_path).write_json(session.DOCUMENT, {"trackers": {"wandb": {"id": "x"}}})
    monkeypatch.setattr("imgcli.tracking.wandb.load", load)
    with pytest.raises(Refused, match=r"--track wandb cannot be used \(ImportError: libwandb"):
        with session.trackers_of(["wandb"]):
            pass
    with session.trackers_of(None, tmp_path) as trackers:
        assert not trackers.run(about(tmp_path)).followed
    assert "--track wandb cannot be used" in capsys.readouterr().err


def test_values_arrive_in_order_in_the_trackers_own_thread(tmp_path: Path) -> None:
    memory = Memory()
    trackers = Trackers({"memory": memory})
    with trackers.run(about(tmp_path)) as run:
        for step in range(900):
            run.log(step, {"a": step / 2})
        run.table("t", ["x"], [[1]])
    trackers.close()
    (kept,) = memory.runs
    assert [point.step for point in kept.points] == list(range(900))
    assert kept.threads == {"imgcli-memory"} and kept.status == "finished"
    assert kept.tables == {"t": [["x"], [1]]}


def test_parts_begin_at_their_first_use_and_end_with_the_whole(tmp_path: Path) -> None:
    memory = Memory()
    trackers = Trackers({"memory": memory})
    with pytest.raises(Interrupted), trackers.run(about(tmp_path)) as run:
        used, _unused = run.child("Fold 1", "fold"), run.child("Fold 2", "fold")
        used.log(1, {"a": 1.0})
        used.child("deeper", "fit", {"lr": 1}).summary({"b": 2.0})
        raise Interrupted("stopped")
    trackers.close()
    (kept,) = memory.runs
    (fold,) = kept.children
    assert fold.about.name == "Fold 1" and fold.about.group == "one"
    assert fold.about.config == {"lr": 0.1} and fold.children[0].about.config == {"lr": 1}
    assert [kept.status, fold.status, fold.children[0].status] == ["interrupted"] * 3


def test_where_a_tracker_keeps_a_run_is_kept_with_it(tmp_path: Path) -> None:
    for first in (True, False):
        memory = Memory()
        with session.trackers_of(None, tmp_path) as none_asked:
            assert not none_asked.run(about(tmp_path)).followed  # no such tracker there
        trackers = Trackers({"memory": memory}, ["memory"] if first else [])
        with trackers.run(about(tmp_path)) as run:
            run.begin()
        trackers.close()
        assert memory.runs[0].known == ({} if first else {"id": "one!"})
    assert known_trackers(tmp_path) == {"memory": {"id": "one!"}}


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 1, "trackers": [3]}', '{"format": 1}'])
def test_a_damaged_record_of_trackers_is_passed_over(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / session.DOCUMENT).write_text(content)
    assert known_trackers(tmp_path) == {}
    assert "tracking.json' is damaged and passed over" in capsys.readouterr().err
    trackers = Trackers({"memory": Memory()})
    with trackers.run(about(tmp_path)) as run:
        run.begin()
    trackers.close()
    assert known_trackers(tmp_path) == {"memory": {"id": "one!"}}


def test_a_tracker_that_was_not_asked_for_follows_only_what_it_knows(tmp_path: Path) -> None:
    memory = Memory()
    trackers = Trackers({"memory": memory}, [])
    assert not trackers.run(about(tmp_path)).followed
    trackers.close()
    assert memory.runs == []


def test_one_that_blocks_for_ever_costs_a_bounded_wait_and_one_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(session, "MAX_WAIT", 0.1)
    monkeypatch.setattr(session, "MAX_WAITING", 50)
    memory = Memory()
    trackers = Trackers({"blocked": Blocked, "memory": memory})
    with trackers.run(about(tmp_path)) as run:
        for step in range(2000):
            run.log(step, {"a": 1.0})
        run.table("t", ["x"], [[1]])
    trackers.close()
    err = capsys.readouterr().err
    assert err.count("--track blocked") == 1 and "did not answer in time" in err
    assert "The results are not affected" in err
    lost = int(known_trackers(tmp_path)["blocked"]["lost"])
    assert lost >= 1500
    assert memory.runs[0].tables  # what is no value has room beyond the values


def test_one_that_raises_is_told_once_without_its_secrets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trackers = Trackers({"failing": Failing})
    with trackers.run(about(tmp_path)) as run:
        for step in range(100):
            run.log(step, {"a": 1.0})
            run.summary({"b": 1.0})
    trackers.close()
    err = capsys.readouterr().err
    assert (
        err.count("--track failing failed (ConnectionError: no answer from http://host/api)") == 1
    )
    assert err.count("\n") == 1 and "secret" not in err
    assert known_trackers(tmp_path)["failing"]["lost"] == "100"


def test_one_that_cannot_begin_is_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def begin(about: About, known: Any) -> Kept:
        raise SystemExit("a library that wants to end the process")

    trackers = Trackers({"ending": begin})
    with trackers.run(about(tmp_path)) as run:
        run.child("Fold 1", "fold").log(1, {"a": 1.0})
    trackers.close()
    err = capsys.readouterr().err
    assert err.count("--track ending failed") == 1 and err.count("\n") == 1


def test_nobody_waits_for_a_training_without_trackers() -> None:
    NOT_TRACKED.history([{"part": "batch", "step": 0, "n": 1, "loss": 1, "lr": 1, "epoch": 1}], 1)
    assert NOT_TRACKED.child("Fold 1", "fold") is NOT_TRACKED
    before = threading.active_count()
    assert not Trackers({}).run(About("", Path(), "train")).followed
    assert threading.active_count() == before


def test_secrets_are_left_out_of_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef")
    text = "POST https://me:pw@host/x failed with key 0123456789abcdef"
    assert without_secrets(text) == "POST https://host/x failed with key ***"
