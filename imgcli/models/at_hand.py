"""The networks whose pretrained weights are at hand, installed or cached; and small ones to fetch.

Nothing heavy is imported until the cache is looked through.
"""

from collections.abc import Iterator

from imgcli.models.bundled import bundled_archs
from imgcli.models.catalogue import TORCHVISION

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
    import timm
    import torchvision

    from imgcli.models.hub import cached_file, cached_repositories
    from imgcli.models.libraries import timm_config, torchvision_names

    fetched = cached_repositories()
    for name in timm.list_pretrained():  # arch.tag
        config, arch = timm_config(name), name.partition(".")[0]
        hub_id, url = config.hf_hub_id, config.url
        if (not hub_id or hub_id in fetched) and cached_file(
            hub_id, url if isinstance(url, str) else None
        ):
            yield arch if timm_config(arch).tag == config.tag else name
    for name in torchvision_names():
        if cached_file(None, torchvision.models.get_model_weights(name).DEFAULT.url):
            yield TORCHVISION + name if timm.is_model(name) else name
