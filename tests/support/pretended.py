"""A GPU that only pretends: tensors on it have a device, a shape and a type, but no values.

It finds what a machine without a GPU otherwise hides: operations on tensors of two devices, and
every point where the program would wait for the device. Tensors beside it are real. What the
program reads from it is what it copied there; of anything else zeros, and true.

    with pretended() as gpu:
        module.to("cuda")            # waits; not yet forbidden
        with gpu.no_waiting():
            step(...)                # raises Waited where it waits
    gpu.waits                        # operations that waited, in order
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

aten = torch.ops.aten
_TENSOR = torch.tensor

# Their results depend on values of the device in number or shape: torch waits to know how many.
_COUNTED = {
    aten.nonzero.default,
    aten.masked_select.default,
    aten._unique2.default,
    aten.unique_dim.default,
    aten.bincount.default,
    aten.repeat_interleave.Tensor,
}
_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd  # type: ignore[attr-defined]
_INDEXED = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default}
_READ = {
    aten._local_scalar_dense.default,
    aten.allclose.default,
    aten.equal.default,
    aten.is_nonzero.default,
}


class Waited(AssertionError):
    """The program waits for the device where it must not."""


class PretendedDevice(TorchDispatchMode):
    """Runs operations on tensors of a device without values, and all others as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.device = torch.device("cuda")
        self.doubles = True  # whether it has float64: Apple's have not
        self.waits: list[str] = []
        self._fake = FakeTensorMode(allow_non_fake_inputs=True)
        self._strict = False

    @contextmanager
    def no_waiting(self) -> Iterator[None]:
        self._strict = True
        try:
            yield
        finally:
            self._strict = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        leaves = tree_leaves((args, kwargs))
        here = [one for one in leaves if isinstance(one, FakeTensor)]
        target = kwargs.get("device")
        made = target is not None and torch.device(target).type == self.device.type
        if func is aten.is_pinned.default:
            return hasattr(args[0], "pinned")
        if func is aten._pin_memory.default:
            pinned = args[0].clone()
            pinned.pinned = True
            return pinned
        if not here and not made:
            return func(*args, **kwargs)
        used = (kwargs.get("dtype"), *(one.dtype for one in here))
        if not self.doubles and torch.float64 in used:
            raise TypeError(f"{func} of float64, which the device does not have")
        if func.namespace == "aten" and torch._C._dispatch_has_kernel_for_dispatch_key(
            func.name(), _COMPOSITE
        ):
            with self:  # seen whole in inference mode alone
                return func.decompose(*args, **kwargs)
        if func in _READ:
            self._wait(func)
            judged = func is not aten._local_scalar_dense.default
            return True if judged else _unknown((), here[0].dtype).item()
        if func is aten._to_copy.default:
            return self._copied(func, args[0], kwargs)
        if func is aten.copy_.default and args[0].device != args[1].device:
            blocking = not (len(args) > 2 and args[2]) and args[1].dim() > 0
            if args[0].device.type == "cpu" or blocking:
                self._wait(func)
            if args[0].device.type == "cpu":
                return args[0].copy_(_unknown(args[0].shape, args[0].dtype))
        if func in _COUNTED:
            self._wait(func)
            return self._counted(func, args, kwargs)
        if func in _INDEXED and self._waits_for_indices(func, args) and func is aten.index.Tensor:
            return self._counted(func, args, kwargs)
        if "_fused_" in func.name():  # torch has no rule for their shapes: they change in place
            devices = {one.device for one in leaves if isinstance(one, Tensor)}
            assert devices == {here[0].device}, devices
            return None
        return self._run(func, args, kwargs)

    def _run(self, func: Any, args: Any, kwargs: Any) -> Any:
        def known(value: Any) -> Any:
            real = isinstance(value, Tensor) and not isinstance(value, FakeTensor)
            return self._fake.from_tensor(value) if real else value

        with self._fake:
            return func(*tree_map(known, args), **tree_map(known, kwargs))

    def made_of(self, values: Any, device: Any = None, **kwargs: Any) -> Tensor:
        """As `torch.tensor`, which copies from memory that is not pinned."""
        made = _TENSOR(values, **kwargs)
        return made if device is None else made.to(device)

    def _wait(self, func: Any) -> None:
        self.waits.append(str(func))
        if self._strict:
            raise Waited(f"{func} waits for {self.device.type}")

    def _copied(self, func: Any, source: Tensor, kwargs: Any) -> Tensor:
        target = torch.device(kwargs.get("device") or source.device)
        if target.type != source.device.type:
            free = kwargs.get("non_blocking") and hasattr(source, "pinned")
            if target.type == "cpu" or not free:
                self._wait(func)
        if target.type == "cpu" and source.device.type != "cpu":
            dtype = kwargs.get("dtype") or source.dtype
            return _value(source).to(dtype, copy=True)
        out: Tensor = self._run(func, (source,), kwargs)
        if source.device.type == "cpu" and target.type != "cpu" and not out.is_inference():
            out.copied = (out._version, source.detach().clone())  # type: ignore[attr-defined]
        return out

    def _counted(self, func: Any, args: Any, kwargs: Any) -> Any:
        """What it gives for the values that would be read, moved here."""

        def real(value: Any) -> Any:
            return _value(value) if isinstance(value, FakeTensor) else value

        found = func(*tree_map(real, args), **tree_map(real, kwargs))
        return tree_map(
            lambda value: (
                self._fake.from_tensor(value).to(self.device)
                if isinstance(value, Tensor)
                else value
            ),
            found,
        )

    def _waits_for_indices(self, func: Any, args: Any) -> bool:
        """Whether one is a mask; of one beside the device only the wait is noted."""
        indices = [index for index in args[1] if isinstance(index, Tensor)]
        if any(index.device.type == "cpu" and index.dim() for index in indices):
            self._wait(f"{func} by an index beside the device")
        if masked := any(index.dtype in (torch.bool, torch.uint8) for index in indices):
            self._wait(f"{func} by a mask")
        return masked


@contextmanager
def pretended() -> Iterator[PretendedDevice]:
    """Inside it this machine has a CUDA GPU, and torch believes so."""
    device = PretendedDevice()
    torch._C._ensureCUDADeviceGuardSet()  # torch's own stand-in, where there is no driver
    with ExitStack() as stack:
        stack.enter_context(patch("torch.tensor", device.made_of))
        for patched in _patches():
            stack.enter_context(patched)
        stack.enter_context(device)
        yield device


def _patches() -> Iterator[AbstractContextManager[object]]:
    real_generator = torch.Generator
    yield patch("torch._subclasses.fake_tensor.init_gpu_context", lambda _: None)
    yield patch.object(Tensor, "backward", _backward)
    yield patch("torch.autograd.grad", _grad)
    yield patch.object(FakeTensor, "tolist", lambda self: self.cpu().tolist())
    yield patch.object(Tensor, "new_tensor", _new_tensor)
    # A module's weights are swapped for others; torch fears for who knows the old ones.
    yield patch("torch.utils.weakref.getweakrefs", lambda _: [])
    yield patch("torch.Generator", lambda device="cpu": real_generator())
    yield patch.object(Tensor, "__deepcopy__", _deep_copied(Tensor.__deepcopy__))
    known = {
        "_lazy_init": lambda: None,
        "is_available": lambda: True,
        "is_bf16_supported": lambda including_emulation=True: True,
        "get_rng_state": lambda: torch.zeros(16, dtype=torch.uint8),
        "set_rng_state": lambda state: None,
        "mem_get_info": lambda device=None: (1 << 34, 1 << 34),
        "get_device_name": lambda device=None: "pretended",
        "get_device_capability": lambda device=None: (9, 0),
        "empty_cache": lambda: None,
        "Stream": lambda device=None: _Stream(),
        "current_stream": lambda device=None: _Stream(),
        "stream": lambda stream: nullcontext(),
    }
    for name, value in known.items():
        yield patch(f"torch.cuda.{name}", value)
    yield patch.object(Tensor, "record_stream", lambda self, stream: None)


class _Stream:
    def wait_stream(self, other: object) -> None:
        assert isinstance(other, _Stream)


def _unknown(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    return torch.full(tuple(shape), dtype == torch.bool, dtype=dtype, device="cpu")


def _value(tensor: Tensor) -> Tensor:
    """What the program reads from a tensor."""
    version, known = getattr(tensor, "copied", (-1, None))
    if known is None or tensor._version != version:
        return _unknown(tensor.shape, tensor.dtype)
    return known


def _new_tensor(self: Tensor, values: Any, dtype: torch.dtype | None = None) -> Tensor:
    return torch.tensor(values, dtype=dtype or self.dtype, device=self.device)


def _deep_copied(real: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def deep_copied(self: Tensor, memo: dict[int, Any]) -> Tensor:
        if not isinstance(self, FakeTensor):
            return real(self, memo)
        if id(self) not in memo:
            memo[id(self)] = self.detach().clone().requires_grad_(self.requires_grad)
        return memo[id(self)]

    return deep_copied


def _backward(loss: Tensor, gradient: Tensor | None = None, **_: object) -> None:
    for weight, own in _gradients(loss)[1]:
        weight.grad = own if weight.grad is None else weight.grad + own


def _grad(output: Tensor, inputs: Any, **_: object) -> tuple[Tensor | None, ...]:
    """As `torch.autograd.grad` of one output."""
    of_nodes, of_weights = _gradients(output)
    leaves = {id(weight): own for weight, own in of_weights}
    wanted = [inputs] if isinstance(inputs, Tensor) else inputs
    return tuple(
        leaves.get(id(one))
        if one.grad_fn is None
        else of_nodes.get(one.grad_fn, {}).get(one.output_nr)
        for one in wanted
    )


def _gradients(output: Tensor) -> tuple[dict[Any, dict[int, Tensor]], list[tuple[Tensor, Tensor]]]:
    """Those of every function's outputs, and of the leaves.

    Torch's engine needs the device; this walks the same graph and calls the same functions.
    """
    assert output.grad_fn is not None
    waiting: Counter[Any] = Counter()
    seen, todo = {output.grad_fn}, [output.grad_fn]
    while todo:
        for node, _position in todo.pop().next_functions:
            if node is None:
                continue
            waiting[node] += 1
            if node not in seen:
                seen.add(node)
                todo.append(node)
    of_nodes: dict[Any, dict[int, Tensor]] = {output.grad_fn: {0: torch.ones_like(output)}}
    of_leaves: list[tuple[Tensor, Tensor]] = []
    ready = [output.grad_fn]
    with torch.no_grad():
        while ready:
            node = ready.pop()
            own = of_nodes.get(node, {})
            if hasattr(node, "variable"):
                of_leaves += [(node.variable, own[0])] if own else []
                continue
            outs: Any = ()
            if own:
                call = node.apply if hasattr(node, "apply") else node
                given = [own.get(i) for i in range(max(own) + 1)]
                outs = call(*given)
                outs = outs if isinstance(outs, tuple) else (outs,)
            for i, (following, position) in enumerate(node.next_functions):
                if following is None:
                    continue
                if i < len(outs) and outs[i] is not None:
                    wanted = following._input_metadata[position]
                    out = outs[i].sum_to_size(wanted.shape).to(wanted.dtype)
                    slots = of_nodes.setdefault(following, {})
                    slots[position] = slots[position] + out if position in slots else out
                waiting[following] -= 1
                if not waiting[following]:
                    ready.append(following)
    return of_nodes, of_leaves
