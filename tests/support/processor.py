"""What this machine's processor can do."""

import pytest
import torch

from imgcli.training.precision import has_bf16

HAS_BF16 = has_bf16(torch.device("cpu"))
needs_bf16 = pytest.mark.skipif(not HAS_BF16, reason="this processor has no bf16 instructions")
