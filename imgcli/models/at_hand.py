"""The networks whose pretrained weights are at hand, installed or cached; and small ones to fetch.

Nothing heavy is imported until the cache is looked through.
"""

from collections.abc import Iterator

from imgcli.models.bundled import bundled_archs
from imgcli.models.catalogue import TORCHVISION
from imgcli.models.weights_cache import cached_file

# Networks of timm of seven designs, each of at most 12 million parameters.
SMALL = (
    *("mobilenetv2_100", "mobilenetv3_large_100", "tf_efficientnet_lite0", "tf_efficientnet_lite2"),
    *("efficientnet_b0", "repvit_m0_9", "tiny_vit_5m_224", "resnet18"),
)


def archs_at_hand() -> list[str]:
    """The archs whose weights are installed, best first, then those whose are cached, by name."""
    installed = bundled_archs()
    return [*installed, *sorted(set(cached_archs()) - {*installed})]


def cached_archs() -> Iterator[str]:
    """The archs whose published weights were fetched before, as --arch takes them."""
    from imgcli.models.lean import timm
    from imgcli.models.libraries import (
        timm_config,
        timm_source,
        torchvision_names,
        torchvision_source,
    )

    for name in timm.list_pretrained():  # arch.tag
        source, arch = timm_source(name), name.partition(".")[0]
        if source and cached_file(source):
            yield arch if timm_config(arch).tag == timm_config(name).tag else name
    for name in torchvision_names():
        if cached_file(torchvision_source(name)):
            yield TORCHVISION + name if timm.is_model(name) else name
