"""A Ray cluster of simulated nodes, on this machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from ray.cluster_utils import Cluster

# What ray leaves open in this process, and what it warns of to programmers.
RAY_WARNS = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:.*ray.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
    pytest.mark.filterwarnings("ignore:.*use_push_based_shuffle.*:DeprecationWarning"),
]


# A head that notices within a second or two that a node has gone, not within twenty.
SOON = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 5000,
    "health_check_failure_threshold": 2,
}

# Of one CPU, and without the processes that are for people who watch a cluster.
NODE: dict[str, Any] = {
    "num_cpus": 1,
    "include_dashboard": False,
    "include_log_monitor": False,
    "no_monitor": True,
}


@contextmanager
def simulated(nodes: int) -> Iterator[Cluster]:
    """A cluster of nodes of one CPU each, the first of them its head."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        made = Cluster(True, head_node_args={**NODE, "_system_config": SOON})
        for _ in range(nodes - 1):
            made.add_node(**NODE)
        yield made
        made.shutdown()
