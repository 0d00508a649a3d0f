"""Few labels, bootstrap samples and guessed labels: which rows are learnt from, and honestly."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from imgcli.errors import DataError
from imgcli.training.context import FitSpec
from imgcli.training.fitting import fit_all
from imgcli.training.folds import bootstrap, few_labels, nearness
from imgcli.training.metrics import compute_metrics
from imgcli.training.outputs import logits_by
from tests.support.features import HEAD, blobs, context_of


@pytest.mark.parametrize("pick", ["random", "representative"])
def test_every_class_gets_its_few_labels_and_no_more(pick: str) -> None:
    context = context_of(*blobs(60), HEAD.with_(labels_per_class=4, pick=pick))
    rows = few_labels(context, np.arange(50))
    assert len(set(rows.tolist())) == 12 and rows.max() < 50
    assert np.bincount(context.dataset.samples.targets[rows]).tolist() == [4, 4, 4]


def test_representative_photos_are_nearest_to_the_mean_direction_of_their_class() -> None:
    angles = np.deg2rad([0, 10, 50, 90, 100, 140])
    features = torch.from_numpy(np.stack([np.cos(angles), np.sin(angles)], 1)).float()
    features *= torch.tensor([1.0, 9.0, 1.0, 1.0, 5.0, 1.0])[:, None]  # lengths do not count
    context = context_of(features, np.array([0, 0, 0, 1, 1, 1]), HEAD.with_(labels_per_class=1))
    representative = context_of(
        features,
        np.array([0, 0, 0, 1, 1, 1]),
        HEAD.with_(labels_per_class=1, pick="representative"),
    )
    assert few_labels(representative, np.arange(6)).tolist() == [1, 4]
    assert nearness(context, np.arange(3)).argmax() == 1


def test_random_labels_follow_the_seed() -> None:
    def drawn(seed: int) -> list[int]:
        config = HEAD.with_(labels_per_class=3, seed=seed)
        return few_labels(context_of(*blobs(90), config), np.arange(90)).tolist()

    assert drawn(1) == drawn(1) != drawn(2)


def test_a_class_with_fewer_labels_is_named() -> None:
    context = context_of(*blobs(9), HEAD.with_(labels_per_class=4))
    with pytest.raises(DataError, match=r"Class 'a' has 3 photos .* --labels-per-class 4"):
        few_labels(context, np.arange(9))


@pytest.mark.parametrize("labels", [1, 2, 5])
def test_heads_are_fitted_to_a_few_labels_down_to_one(labels: int) -> None:
    context = context_of(*blobs(300), HEAD.with_(labels_per_class=labels, pick="representative"))
    (fitted,) = fit_all(context, [FitSpec(np.arange(200))])
    assert len(fitted.trained_on) == 3 * labels
    assert (fitted.val is None) == (labels == 1)
    logits = fitted.module(context.inputs.batch(np.arange(200, 300)))
    assert (logits.argmax(1) == context.targets[200:]).float().mean() > (
        0.7 if labels == 1 else 0.8
    )


def test_two_photos_of_each_of_a_thousand_classes_are_learnt_from() -> None:
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(1000, 16, generator=generator)
    targets = np.arange(3000) % 1000
    features = centres[targets] + 0.2 * torch.randn(3000, 16, generator=generator)
    context = context_of(features, targets, HEAD)
    (fitted,) = fit_all(context, [FitSpec(np.arange(2000))])
    unseen = compute_metrics(
        logits_by(context, fitted.module, np.arange(2000, 3000)), context.targets[2000:]
    )
    nearest = torch.cdist(features[2000:], centres).argmin(1).numpy()
    assert unseen.accuracy > 0.9 * (nearest == targets[2000:]).mean() > 0.85
    assert unseen.loss < 1


def test_one_photo_per_class_that_nobody_asked_for_is_refused() -> None:
    with pytest.raises(DataError, match="one training photo per class"):
        list(fit_all(context_of(*blobs(3), HEAD), [FitSpec(np.arange(3))]))


@pytest.mark.parametrize("optimizer", ["lbfgs", "sgd"])
def test_a_bag_draws_with_replacement_by_its_number(optimizer: str) -> None:
    def weights(number: int | None) -> torch.Tensor:
        context = context_of(*blobs(60), HEAD.with_(optimizer=optimizer, bag=number))
        (fitted,) = fit_all(context, [FitSpec(np.arange(60))])
        return fitted.module.weight.detach()  # type: ignore[union-attr,return-value]

    assert torch.equal(weights(1), weights(1))
    assert not torch.allclose(weights(1), weights(2))
    assert not torch.allclose(weights(1), weights(None))
    context = context_of(*blobs(60), HEAD.with_(bag=0))
    rows = bootstrap(context, np.arange(60))
    assert len(rows) == 60 and 30 < len(set(rows.tolist())) < 50  # 63 % of them, on average


def test_photos_sampled_twice_count_twice() -> None:
    features, targets = blobs(30)
    rows = np.repeat(np.arange(30), 2)
    doubled = context_of(features[rows], targets[rows], HEAD.with_(weight_decay=0.1, bag=3))
    drawn = bootstrap(doubled, np.arange(60))
    (fitted,) = fit_all(doubled, [FitSpec(np.arange(60))])
    plain = context_of(features[rows][drawn], targets[rows][drawn], HEAD.with_(weight_decay=0.1))
    (expected,) = fit_all(plain, [FitSpec(np.arange(60))])
    one, other = (f.module.weight.flatten() for f in (fitted, expected))  # type: ignore[union-attr]
    # But for their length, which is the temperature, and that the folds decide.
    assert functional.cosine_similarity(one, other, dim=0) > 0.9999


@pytest.mark.parametrize("optimizer", ["lbfgs", "adamw"])
def test_pseudo_labels_help_where_labels_are_few_and_never_validate(optimizer: str) -> None:
    features, targets = blobs(400)
    few = HEAD.with_(optimizer=optimizer, labels_per_class=3, pseudo_label="more", confidence=0.6)
    if optimizer != "lbfgs":
        few = few.with_(epochs=40, lr=0.05)
    context = context_of(features, targets, few, unlabelled=300)
    (fitted,) = fit_all(context, [FitSpec(np.arange(100))])
    assert fitted.chosen["pseudo_labels"] > 50
    assert len(fitted.trained_on) == 9 and fitted.trained_on.max() < 100
    (without,) = fit_all(
        context_of(features, targets, few, unlabelled=0), [FitSpec(np.arange(100))]
    )
    found, less = (
        (f.module(features[100:]).argmax(1).numpy() == targets[100:]).mean()
        for f in (fitted, without)
    )
    assert found >= less > 0.7


@pytest.mark.parametrize("optimizer", ["lbfgs", "adamw"])
@pytest.mark.parametrize(
    ("choices", "unlabelled"), [({"bag": 0}, 0), ({"pseudo_label": "more", "confidence": 0.5}, 90)]
)
def test_train_metrics_are_of_the_labelled_training_photos(
    choices: dict[str, object], unlabelled: int, optimizer: str
) -> None:
    config = HEAD.with_(optimizer=optimizer, val_share=0.0, **choices)
    if optimizer != "lbfgs":
        config = config.with_(epochs=3)
    context = context_of(*blobs(150), config, unlabelled)
    (fitted,) = fit_all(context, [FitSpec(np.arange(150 - unlabelled))])
    drawn = np.unique(bootstrap(context, np.arange(150 - unlabelled)))
    assert fitted.trained_on.tolist() == drawn.tolist()
    last = [row for row in fitted.history if row["part"] == "train"][-1]
    expected = compute_metrics(logits_by(context, fitted.module, drawn), context.targets[drawn])
    assert last["n"] == expected.n == len(drawn)
    assert last["accuracy"] == expected.accuracy
    assert last["loss"] == pytest.approx(expected.loss, rel=1e-4)


def test_pseudo_labels_do_not_leak_held_out_labels() -> None:
    noise = torch.randn(660, 100, generator=torch.Generator().manual_seed(0))
    targets = np.random.default_rng(0).integers(0, 3, 660)
    config = HEAD.with_(pseudo_label="more", confidence=0.0)
    context = context_of(noise, targets, config, unlabelled=600)
    (fitted,) = fit_all(context, [FitSpec(np.arange(60))])
    assert fitted.val is not None and fitted.val.n == 60
    assert fitted.val.accuracy < 0.5  # chance is a third
    assert set(fitted.chosen) == {"weight_decay", "temperature", "factor", "pseudo_labels"}


def test_no_pseudo_label_is_below_the_confidence() -> None:
    config = HEAD.with_(pseudo_label="more", confidence=1.0)
    context = context_of(*blobs(200), config, unlabelled=100)
    (fitted,) = fit_all(context, [FitSpec(np.arange(100))])
    assert fitted.chosen["pseudo_labels"] == 0
