"""Looking without learning: on a copy, mirrored if asked, compiled only where it helps."""

import pytest
import timm
import torch
from torch import Tensor, nn

from imgcli.learn import looking
from imgcli.learn.looking import Looker, for_looking
from imgcli.records import Preprocess


def test_a_backbone_for_looking_is_a_copy() -> None:
    backbone = timm.create_model("resnet18", num_classes=0).train()
    looker = for_looking(backbone, Preprocess(64), torch.device("cpu"))
    assert looker is not backbone and not looker.training and backbone.training
    assert any(isinstance(m, nn.BatchNorm2d) for m in backbone.modules())


def test_mirror_images_are_looked_at_too_where_that_is_asked_for() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(12, 2, bias=False)).eval()
    images = torch.rand(3, 3, 2, 2)
    both = (module(images) + module(images.flip(-1))) / 2
    torch.testing.assert_close(Looker(module, "fp32", True, 1)(images), both.detach())


class Timed(nn.Module):
    """Gives back what it gets, and takes so many seconds of a clock of ours."""

    def __init__(self, clock: list[float], seconds: float) -> None:
        super().__init__()
        self.clock, self.seconds, self.calls = clock, seconds, 0

    def forward(self, images: Tensor) -> Tensor:
        self.clock[0] += self.seconds
        self.calls += 1
        return images


@pytest.mark.parametrize(
    ("compiled_seconds", "batches", "compiled_calls"),
    [(5.0, 100, 2 + 3), (20.0, 100, 2), (None, 100, 0), (5.0, 10, 0)],
    ids=["faster", "slower", "no compiler", "little left"],
)
def test_compiling_is_tried_where_much_is_left_and_kept_where_it_helps(
    compiled_seconds: float | None,
    batches: int,
    compiled_calls: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    module, compiled = Timed(clock, 9.0), Timed(clock, compiled_seconds or 0.0)

    def compile_it(_: nn.Module, **options: object) -> nn.Module:
        if compiled_seconds is None:
            raise RuntimeError("no C++ compiler")
        return compiled

    monkeypatch.setattr(torch, "compile", compile_it)
    monkeypatch.setattr(looking.time, "perf_counter", lambda: clock[0])
    look, images = Looker(module, "fp32", False, batches), torch.rand(4, 3, 2, 2)
    for _ in range(6):  # compiled after the third, with two calls to see what came of it
        assert torch.equal(look(images), images)
    assert compiled.calls == compiled_calls
    assert torch.equal(look(images[:2]), images[:2])  # the last batch is smaller
    assert compiled.calls == compiled_calls
