"""Batch norm by the mean and deviation of a batch that several processes have in shares.

torch's SyncBatchNorm knows GPUs only, and takes the place of the layers. Here the layers stay as
they are, a library's own too: what they all call in the end is answered otherwise.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from imgcli.compute.team import Team


class SharedBatchNorm(TorchFunctionMode):
    """Inside it, batch norms in training mode go by the whole batch.

    Args:
        real: photos of this process's share; what comes after them fills an empty share, and counts
            for nothing.
    """

    def __init__(self, team: Team, real: int) -> None:
        super().__init__()
        self.team = team
        self.real = real

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is functional.batch_norm:
            return self._batch_norm(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _batch_norm(
        self,
        values: Tensor,  # (B, C, ...)
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        if not training:
            return functional.batch_norm(
                values, running_mean, running_var, weight, bias, training, momentum, eps
            )
        normal, mean, var, n = _Normalised.apply(values, self.real, eps, self.team)
        if running_mean is not None and running_var is not None:
            with torch.no_grad():
                running_mean.lerp_(mean.to(running_mean.dtype), momentum)
                unbiased = var * (n / (n - 1).clamp_min(1))
                running_var.lerp_(unbiased.to(running_var.dtype), momentum)
        shape = (1, -1) + (1,) * (values.ndim - 2)
        if weight is not None:
            normal = normal * weight.view(shape)
        if bias is not None:
            normal = normal + bias.view(shape)
        out: Tensor = normal.to(values.dtype)
        return out


class _Normalised(torch.autograd.Function):
    """`(x - mean) / sqrt(var + eps)` by channel, of all processes' photos."""

    @staticmethod
    def forward(
        ctx: Any, values: Tensor, real: int, eps: float, team: Team
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        x = values.float()
        axes = [axis for axis in range(x.ndim) if axis != 1]
        shape = [1, -1] + [1] * (x.ndim - 2)
        own = x[:real]
        count = own.new_full((1,), own.numel() // own.shape[1], dtype=torch.double)
        sums = team.sum(torch.cat([own.sum(axes).double(), count]))
        n, mean = sums[-1], (sums[:-1] / sums[-1])
        off = x - mean.float().view(shape)
        # In two passes: a mean square less a squared mean loses the digits that they share.
        var = team.sum(off[:real].square().sum(axes).double()) / n
        scale = (var + eps).rsqrt().float().view(shape)
        normal = off * scale
        ctx.save_for_backward(normal, scale, n)
        ctx.real, ctx.team, ctx.axes, ctx.shape = real, team, axes, shape
        ctx.dtype = values.dtype
        ctx.mark_non_differentiable(mean, var, n)
        return normal, mean, var, n

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None, None, None]:
        normal, scale, n = ctx.saved_tensors
        gradient = gradients[0].float()
        own, own_normal = gradient[: ctx.real], normal[: ctx.real]
        sums = torch.stack([own.sum(ctx.axes), (own * own_normal).sum(ctx.axes)]).double()
        mean, along = (ctx.team.sum(sums) / n).float()
        out = torch.zeros_like(gradient)
        out[: ctx.real] = scale * (own - mean.view(ctx.shape) - own_normal * along.view(ctx.shape))
        return out.to(ctx.dtype), None, None, None
