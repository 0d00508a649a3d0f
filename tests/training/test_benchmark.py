"""What `imgcli bench` makes of its measurements."""

from dataclasses import replace

import pytest

from imgcli.compute.load import Turn
from imgcli.report.terminal.runs import speeds
from imgcli.training import benchmark
from imgcli.training.benchmark import Rate, Speeds
from tests.support.reports import piped

FROZEN = Speeds(
    arch="resnet18",
    photos=1000,
    size=224,
    device="cpu",
    cores=2,
    decoding=Rate(3, 1000.0, 500.0, 2000.0),
    inference={"fp32": Rate(5, 50.0, 40.0, 60.0), "bf16": Rate(5, 100.0, 50.0, 200.0)},
    training={},
    fitting=Rate(3, 500.0, 250.0, 1000.0),
    plain=Rate(5, 80.0, 70.0, 90.0),
    peer="plain PyTorch: eager, channels_last, bf16",
    epochs=1,
    precision="bf16",
    macs=1_800_000_000,
    peaks={"fp32": 200e9, "bf16": 400e9},
    engine="onednn-graph",
    library="PyTorch 2",
    decoder="Pillow 12",
    machine=Turn(10.0, 19.0, 0.01),
)


def test_the_range_of_an_estimate_is_of_the_rates_and_of_what_is_not_measured() -> None:
    assert FROZEN.seconds(10) == {"decode": 1.0, "look": 10.0, "heads": 2.0}
    low, high = FROZEN.expected(10)
    assert low == pytest.approx(0.5 + 5 + 1)
    assert high == pytest.approx(benchmark.SLOWER * (2 + 20 + 4) + benchmark.START)


def test_a_training_of_all_weights_sees_all_folds_and_epochs() -> None:
    trained = replace(
        FROZEN, fitting=None, plain=None, peer=None, training={"bf16": Rate(5, 10, 5, 20)}, epochs=3
    )
    assert trained.seconds(5) == {"decode": 1.0, "learn": 4 * 3 * 100.0, "judge": 50.0}
    low, high = trained.expected(5)
    assert low < trained.seconds(5)["learn"] < high


def test_the_share_of_the_peak_counts_two_operations_per_multiply_add() -> None:
    assert FROZEN.share("bf16") == pytest.approx(100 * 3.6e9 / 400e9)


@pytest.mark.parametrize(("others", "busy"), [(0.01, False), (0.45, True), (None, False)])
def test_a_busy_machine_is_named_with_its_share(others: float | None, busy: bool) -> None:
    found = replace(FROZEN, machine=Turn(10.0, 9.0, others))
    document = {**found.to_json(), "folds": 10, "expected": found.expected(10)}
    seconds = {**found.seconds(10), "total": sum(found.seconds(10).values())}
    text = " ".join(piped(*speeds({**document, "seconds": seconds})).split())
    assert ("Other programs took 45 % of the cores" in text) is busy
    assert document["load"]["busy"] is busy


def test_medians_are_of_rates() -> None:
    assert Rate.of(10, [1.0, 2.0, 10.0]) == Rate(3, 5.0, 1.0, 10.0)
