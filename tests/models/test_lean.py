"""timm and torchvision are imported without torch's compiler, which is there when it is wanted."""

import subprocess
import sys

PROGRAM = """
import sys
from imgcli.models.lean import timm, torchvision
import torch
assert not {"torch._dynamo", "sympy", "wandb", "pandas"} & set(sys.modules)
operator = torchvision.ops.RoIAlign(2, 1.0, -1)
print(operator(torch.ones(1, 1, 8, 8), torch.tensor([[0.0, 0, 0, 4, 4]])).sum().item())
assert "torch._dynamo" not in sys.modules
timm.create_model("resnet18", num_classes=2)
assert "torch._dynamo" not in sys.modules
compiled = torch.compile(lambda x: x + 1, backend="eager")
print(compiled(torch.ones(2)).sum().item(), torch._dynamo.utils.is_compile_supported("cpu"))
"""


def test_the_compiler_comes_when_something_is_compiled_and_not_before() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["4.0", "4.0 True"]
