"""imgcli: from labelled photos to an image classifier one can trust.

The commands as functions: `imgcli.split(...)`, `imgcli.train(...)`, ... Each takes typed arguments,
prints nothing and returns a frozen result with `to_json()`. `imgcli.write_report` and
`imgcli.export_run` are the commands `report` and `export`, because `imgcli.report` and
`imgcli.export` are packages; `imgcli.review_photos` is `review`, `imgcli.list_runs` is `runs`,
`imgcli.next_photos` is `next` and `imgcli.label_photos` is `label`.
`imgcli.load_run` gives a trained run to work with; inside `with imgcli.on_cluster("auto"):` a Ray
cluster does the work. A function is imported at its first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imgcli.commands.archs import archs
    from imgcli.commands.bench import bench
    from imgcli.commands.cache import cache
    from imgcli.commands.check import check
    from imgcli.commands.choose import choose
    from imgcli.commands.compare import compare
    from imgcli.commands.credits import credits
    from imgcli.commands.describe_arch import describe_arch
    from imgcli.commands.evaluate import evaluate
    from imgcli.commands.explain import explain
    from imgcli.commands.export_run import export_run
    from imgcli.commands.import_photos import import_photos
    from imgcli.commands.label_photos import label_photos
    from imgcli.commands.learning_curve import learning_curve
    from imgcli.commands.list_runs import list_runs
    from imgcli.commands.load_run import load_run
    from imgcli.commands.merge import merge
    from imgcli.commands.next_photos import next_photos
    from imgcli.commands.predict import predict
    from imgcli.commands.prune_runs import prune_runs
    from imgcli.commands.push import push
    from imgcli.commands.restore import restore
    from imgcli.commands.review_photos import review_photos
    from imgcli.commands.scrape import scrape
    from imgcli.commands.show import show
    from imgcli.commands.split import split
    from imgcli.commands.suggest_merges import suggest_merges
    from imgcli.commands.together import together
    from imgcli.commands.train import train
    from imgcli.commands.tune import tune
    from imgcli.commands.write_report import write_report
    from imgcli.compute.cluster import on_cluster

__version__ = "0.1.0"

__all__ = [  # each in the module of that name in imgcli.commands, but for on_cluster
    "archs",
    "bench",
    "cache",
    "check",
    "choose",
    "compare",
    "credits",
    "describe_arch",
    "evaluate",
    "explain",
    "export_run",
    "import_photos",
    "label_photos",
    "learning_curve",
    "list_runs",
    "load_run",
    "merge",
    "next_photos",
    "on_cluster",
    "predict",
    "prune_runs",
    "push",
    "restore",
    "review_photos",
    "scrape",
    "show",
    "split",
    "suggest_merges",
    "together",
    "train",
    "tune",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'imgcli' has no attribute {name!r}")
    module = "compute.cluster" if name == "on_cluster" else f"commands.{name}"
    function = getattr(import_module(f"imgcli.{module}"), name)
    globals()[name] = function
    return function


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
