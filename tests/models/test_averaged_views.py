"""Test-time augmentation: which views of an image are averaged."""

import pytest
import torch

from imgcli.config import ModelConfig
from imgcli.errors import ModelError
from imgcli.models.averaged_views import mean_over_views, views_of
from imgcli.models.create import create_network
from imgcli.records import AveragedViews, Preprocess

IMAGES = torch.arange(18.0).view(1, 2, 3, 3)
ROWS = IMAGES[0, 0]  # 0 1 2 / 3 4 5 / 6 7 8


def test_an_image_has_one_view_unless_more_are_asked_for() -> None:
    (only,) = views_of(IMAGES, AveragedViews())
    assert only is IMAGES


def test_shifts_are_along_the_diagonal_the_rim_mirrored_and_mirrored_as_well() -> None:
    own, mirrored, down, down_mirrored, up, _ = views_of(IMAGES, AveragedViews(True, 1))
    assert torch.equal(own, IMAGES) and torch.equal(mirrored, IMAGES.flip(3))
    assert down[0, 0].tolist() == [[4, 3, 4], [1, 0, 1], [4, 3, 4]]
    assert up[0, 0].tolist() == [[4, 5, 4], [7, 8, 7], [4, 5, 4]]
    assert torch.equal(down_mirrored, down.flip(3))
    assert len(list(views_of(IMAGES, AveragedViews(shift=1)))) == 3


def test_the_mean_over_views_weighs_them_alike() -> None:
    found = mean_over_views(lambda view: view[:, :, 0, 0], IMAGES, AveragedViews(True, 1))
    corners = [0, 2, 4, 4, 4, 4]
    torch.testing.assert_close(found[0, 0], torch.tensor(sum(corners) / 6))


def test_the_sentence_names_the_views() -> None:
    def words(flip: bool, shift: int) -> str:
        return Preprocess(32, test_flip=flip, test_shift=shift).describe()

    assert words(True, 1).endswith("with its mirror image and shifts of both by 1 px")
    assert words(False, 2).endswith("judged together with shifts of it by 2 px")
    assert "judged" not in words(False, 0)


def test_a_shift_leaves_some_of_the_image() -> None:
    with pytest.raises(ModelError, match="--test-shift 8 leaves nothing of 8 × 8 pixels"):
        create_network(ModelConfig("4C3-G", image_size=8, test_shift=8), 2)
