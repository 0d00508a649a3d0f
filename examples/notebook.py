"""A classifier in a notebook: arrays, frames, figures, torch and scikit-learn.

Cells begin with `# %%`, as Jupyter, VS Code and PyCharm read them; it runs as a script too:

    pip install 'imgcli[notebook]'
    python examples/notebook.py          # beside raw/<class>/<photo>
"""

# %% Photos: split once, near-duplicates on one side
import numpy as np
import torch
from PIL import Image
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import classification_report

import imgcli

TRAINING = {"freeze": True}  # a new head on the pretrained networks that are installed
FOLDS = 10

imgcli.split("raw", ratio=0.8, force=True)

# %% Train, and estimate the error. A cell that ends with `folds` shows its confusion matrix
imgcli.train(**TRAINING)
folds = imgcli.evaluate(FOLDS)
print(folds)

# %% Arrays: M photos, K classes
print("probs", folds.probs.shape, "confusion", folds.confusion.shape)
print("accuracy", (folds.preds == folds.targets).mean(), folds.accuracy.ci95)
print("recall of each class", dict(zip(folds.classes, folds.recall.round(3).tolist(), strict=True)))

# %% Frames: classes, figures, confusion, photos
print(folds.to_frame("classes").sort_values("f1").to_string(index=False))
photos = folds.to_frame("photos")
print(photos[~photos.correct].nlargest(3, "confidence")[["path", "class", "predicted"]])

# %% The table of a paper: LaTeX (booktabs), Markdown, CSV
print(folds.to_text("latex", "figures"))

# %% A figure, of matplotlib
figure = folds.figure("precision")
figure.savefig("precision.png", bbox_inches="tight")

# %% The run as an object
run = imgcli.load_run("latest")
print(run)
print(run.history.tail(2).to_string())

# %% New photos: paths, PIL images or arrays
files = sorted(map(str, (run.data / "test").rglob("*.*")))
found = run.predict([Image.open(file) for file in files])
print(found.to_frame()[["path", "class", "confidence"]].head(3))

# %% torch: a plain module and its transform
images = torch.stack([run.preprocess(file) for file in files])  # (N, C, S, S)
with torch.inference_mode():
    probs = torch.softmax(run.model(images), dim=1).numpy()  # those of `imgcli predict`
print("largest difference", np.abs(probs - found.probs).max())

# %% scikit-learn: a fitted estimator
classifier = run.as_sklearn()
labels = [file.replace("\\", "/").split("/")[-2] for file in files]
print(classification_report(labels, classifier.predict(files), zero_division=0))

# %% Calibrated again, on other photos, with the network as it is
again = CalibratedClassifierCV(FrozenEstimator(classifier), cv=2).fit(files, labels)
print("accuracy", again.score(files, labels))

# %% All runs, and one of them
print(imgcli.list_runs().to_frame()[["date", "arch", "accuracy", "n", "bytes"]].to_string())
print(imgcli.show("latest"))
