"""How an exported run is loaded and what its figures rest on: code, preprocessing, temperature."""

from collections.abc import Iterator

from imgcli.records import ONE_VIEW, Preprocess
from imgcli.report.card.markdown import md, sentence
from imgcli.report.card.material import Card

_TIMM = """\
```python
import timm
import torch
from PIL import Image, ImageOps

{where}model = timm.create_model("{place}", pretrained=True).eval()
settings = timm.data.resolve_data_config({{}}, model=model)
transform = timm.data.create_transform(**settings)
{pad}
photo = ImageOps.exif_transpose(Image.open("photo.jpg")).convert("{mode}")
with torch.inference_mode():
    logits = model(transform(photo)[None])
probabilities = torch.softmax(logits / {temperature}, dim=1)[0]
best = int(probabilities.argmax())
print(model.pretrained_cfg["label_names"][best], float(probabilities[best]))
```"""
_ONNX = """\
```python
import json

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession("{file}")
about = session.get_modelmeta().custom_metadata_map
photo = Image.open("photo.jpg")
photo.draft(None, (int(about["least_side"]),) * 2)  # a large JPEG at a fraction of its size
pixels = np.asarray(ImageOps.exif_transpose(photo).convert("RGB"))
(probabilities,) = session.run(None, {{"images": pixels[None]}})[0]
best = int(probabilities.argmax())
print(json.loads(about["classes"])[best], float(probabilities[best]))
```"""
_PAD = """\
for step in transform.transforms:  # timm pads with the mean colour, imgcli with black
    if hasattr(step, "fill"):
        step.fill = 0
"""


def use(of: Card) -> Iterator[str]:
    yield "## Use"
    yield ""
    if of.format == "timm":
        yield "With [timm](https://github.com/huggingface/pytorch-image-models):"
        yield ""
        yield timm_code(of.preprocess, of.temperature, of.repo)
        yield ""
        yield "With imgcli, as the start of a training on other photos:"
        yield ""
        yield "```"
        yield f"imgcli train --weights hf://{of.repo or 'OWNER/NAME'}"
        yield "```"
        yield ""
    elif of.file is not None:
        yield f"`{of.file}` runs in ONNX Runtime, without imgcli:"
        yield ""
        yield _ONNX.format(file=of.file)
        yield ""
        if of.compared:
            yield of.compared
            yield ""
    yield f"**Preprocessing.** {md(sentence(of.preprocess.describe()))}"
    if of.format == "timm":
        yield from _differences(of)
    yield ""
    yield from _temperature(of)


def timm_code(preprocess: Preprocess, temperature: float, repo: str | None = None) -> str:
    """The lines that predict a photo with timm, from a repository or the folder of the card."""
    place = f"hf-hub:{repo}" if repo else "local-dir:."
    return _TIMM.format(
        place=place,
        where="" if repo else "# In this file's folder; of the hub: hf-hub:OWNER/NAME\n",
        pad=_PAD if preprocess.fit == "pad" else "",
        mode="L" if preprocess.channels == 1 else "RGB",
        temperature=f"{temperature:.6g}",
    ).replace("\n\n\n", "\n\n")


def _differences(of: Card) -> Iterator[str]:
    yield (
        "timm's transform resizes with Pillow; probabilities differ from those of `imgcli predict` "
        "by the rounding of pixels, and of bf16 where it computes in it."
    )
    if of.preprocess.test_views != ONE_VIEW:
        yield (
            f"The figures below are of the mean over a photo and {of.preprocess.test_views}, as "
            "imgcli predicts; the lines above predict the photo alone."
        )
    if of.preprocess.sample_range is not None:
        yield (
            "Photos of more than 8 bits per sample were scaled as said above; Pillow alone does "
            "not do so."
        )


def _temperature(of: Card) -> Iterator[str]:
    if of.temperature == 1:
        yield (
            "**Calibration.** None: confidences were not compared with the accuracy on held-out "
            "photos."
        )
    elif of.format == "timm":
        yield (
            f"**Calibration.** Divide the logits by {of.temperature:.6g} before softmax, as above: "
            "this temperature was chosen on out-of-fold predictions. The weights are not scaled by "
            "it, so the logits are those of the network that was evaluated; config.json has it "
            "under `imgcli`."
        )
    else:
        yield (
            f"**Calibration.** The logits are divided by {of.temperature:.6g}, chosen on "
            "out-of-fold predictions, before softmax; the file does it."
        )
    yield ""
