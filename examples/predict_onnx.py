"""python predict_onnx.py model.onnx photos/: classes of photos, without imgcli or torch."""

import json, sys  # noqa: E401, I001
from pathlib import Path
import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession(sys.argv[1])
about = session.get_modelmeta().custom_metadata_map
classes, side = json.loads(about["classes"]), int(about["least_side"])
for path in sorted(path for path in Path(sys.argv[2]).rglob("*") if path.is_file()):
    with Image.open(path) as photo:
        photo.draft(None, (side, side))  # a large JPEG at a fraction of its size, as imgcli has it
        photo = ImageOps.exif_transpose(photo)
        if photo.has_transparency_data:  # shows white
            rgba = photo.convert("RGBA")
            photo = Image.new("RGB", photo.size, "white")
            photo.paste(rgba, mask=rgba.getchannel("A"))
        pixels = np.asarray(photo.convert("RGB"))
    probs = session.run(["probabilities"], {"images": pixels[None]})[0][0]
    print(f"{path}\t{classes[probs.argmax()]}\t{probs.max():.6f}")
