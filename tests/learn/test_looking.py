"""Looking faster gives the same features, and a compiler that fails costs nothing."""

import pytest
import timm
import torch
from torch import Tensor, nn

from imgcli.learn import looking
from imgcli.learn.looking import Looker, for_looking
from imgcli.models.folding import fold_batch_norm
from imgcli.records import Preprocess


def with_statistics(module: nn.Module) -> nn.Module:
    """Batch norms as after training: fresh ones fold to nearly nothing."""
    generator = torch.Generator().manual_seed(0)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.copy_(torch.randn(norm.num_features, generator=generator))
            norm.running_var.copy_(torch.rand(norm.num_features, generator=generator) + 0.5)
    return module.eval()


@pytest.mark.parametrize(
    ("arch", "norms_left"),
    [("mobilenetv2_100", 0), ("resnet18", 0), ("efficientnet_b0", 0), ("vit_tiny_patch16_224", 0)],
)
def test_a_folded_backbone_gives_the_same_features(arch: str, norms_left: int) -> None:
    torch.manual_seed(0)
    args = {"img_size": 64} if arch.startswith("vit") else {}
    backbone = with_statistics(timm.create_model(arch, num_classes=0, **args))
    images = torch.randn(2, 3, 64, 64)
    folded = fold_batch_norm(backbone, images)
    assert sum(isinstance(m, nn.BatchNorm2d) for m in folded.modules()) == norms_left
    other = torch.randn(3, 3, 64, 64)
    with torch.inference_mode():
        expected = backbone(other)
        torch.testing.assert_close(folded(other), expected, atol=1e-3, rtol=1e-3)


class Shared(nn.Module):
    """A convolution whose output is used twice: folding the norm into it would change both."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, images: Tensor) -> Tensor:
        values = self.conv(images)
        out: Tensor = (self.norm(values) + values).mean((2, 3))
        return out


def test_what_cannot_be_folded_is_left_as_it_is() -> None:
    module, images = with_statistics(Shared()), torch.randn(2, 3, 8, 8)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    folded = fold_batch_norm(module, images)
    assert isinstance(folded.norm, nn.BatchNorm2d)
    assert torch.equal(folded(images), module(images))
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_a_backbone_for_looking_is_a_copy() -> None:
    backbone = with_statistics(timm.create_model("resnet18", num_classes=0)).train()
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
