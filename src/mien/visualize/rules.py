"""The rule by which a gradient passes a ReLU, changed for a while: the one place where deconvnet differs from backprop.

                     convolution   pooling         ReLU
    gradient         transposed    to the switch   where the input was positive
    deconvnet        transposed    to the switch   where the gradient is positive
    guided           transposed    to the switch   where both are
    redirected       transposed    to the switch   as gradient, but never dies (see `_Rectified`)

The calls themselves are watched (`nn.ReLU`, in place or not, `F.relu`, `Tensor.relu_`, `clamp(min=0)`, ReLU6), so no
module is hooked or changed, and one ReLU used twice is two calls. Only this thread is watched, and only under `with`.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
import torch.nn.functional as NF
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from mien.backbones.features import Backbone
from mien.errors import OptionError
from mien.visualize.networks import inner_module

Method = Literal["deconvnet", "guided", "gradient"]
METHODS: tuple[str, ...] = get_args(Method)

# Calls that are a ReLU for some of their arguments.
_RELU_ARGUMENTS = {
    "relu": ("input", "inplace"),
    "relu6": ("input", "inplace"),
    "hardtanh": ("input", "min_val", "max_val", "inplace"),
    "clamp": ("input", "min", "max"),
    "clamp_min": ("input", "min"),
    "threshold": ("input", "threshold", "value", "inplace"),
}

_CONVOLUTIONS = {
    torch.conv1d: (1, NF.conv_transpose1d),
    torch.conv2d: (2, NF.conv_transpose2d),
    torch.conv3d: (3, NF.conv_transpose3d),
}


def check_method(method: str, net: Backbone | nn.Module) -> None:
    """Refuse an unknown method, and a net whose ReLUs cannot be seen."""
    if method not in METHODS:
        raise OptionError(f"Expected the method {', '.join(METHODS[:-1])} or {METHODS[-1]}, got {method!r}.")
    module = inner_module(net)
    if method != "gradient" and module is not None:
        scripted = [part for part in module.modules() if isinstance(part, torch.jit.ScriptModule)]
        if scripted:
            raise OptionError(
                f"Expected a network of ordinary PyTorch modules for {method}, got a TorchScript one, whose ReLUs "
                "cannot be seen; give the module it was made from, or use the method gradient."
            )


class ReluRule(TorchFunctionMode):
    """While this context is entered, ReLUs called in this thread pass gradients by `rule`; forward is unchanged.

    Convolutions of frozen filters pass back only the part where the gradient is not zero: the cone of one unit is
    narrow in the deep layers. The numbers are the same.
    """

    def __init__(self, rule: str) -> None:
        super().__init__()
        self.rule = rule

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not torch.is_grad_enabled():
            return func(*args, **kwargs)
        if self.rule != "gradient" and (call := _relu_call(func, args, kwargs)):
            x, ceiling, inplace = call
            return _Rectified.apply(x, self.rule, ceiling, inplace)  # type: ignore[no-untyped-call]
        if func in _CONVOLUTIONS and (wide := _convolution_call(func, args, kwargs)):
            return _Convolution.apply(func, *wide)  # type: ignore[no-untyped-call]
        return func(*args, **kwargs)


def _relu_call(func: Any, args: Any, kwargs: Any) -> tuple[Tensor, float, bool] | None:
    """Input, ceiling (infinite for ReLU, 6 for ReLU6) and whether in place, if the call is a ReLU in any spelling."""
    spelled = getattr(func, "__name__", "")
    name = spelled.strip("_")
    names = _RELU_ARGUMENTS.get(name)
    if names is None:
        return None
    call = {**dict(zip(names, args, strict=False)), **kwargs}
    low = call.get("min_val", call.get("min", call.get("threshold", -1.0 if name == "hardtanh" else 0.0)))
    high = call.get("max_val", call.get("max", 6.0 if name == "relu6" else 1.0 if name == "hardtanh" else None))
    zero = isinstance(low, int | float) and low == 0 and call.get("value", 0) == 0
    x = call.get("input", call.get("self"))
    if not zero or isinstance(high, Tensor) or not isinstance(x, Tensor) or not x.requires_grad:
        return None
    return x, float("inf") if high is None else float(high), spelled.endswith("_") or bool(call.get("inplace"))


def _convolution_call(func: Any, args: Any, kwargs: Any) -> tuple[Any, ...] | None:
    """Arguments of a convolution whose filters are frozen and whose padding is given in numbers."""
    n, _ = _CONVOLUTIONS[func]
    names = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
    call = {**dict(zip(names, args, strict=False)), **kwargs}
    x, weight, bias, padding = call["input"], call["weight"], call.get("bias"), call.get("padding", 0)
    learning = weight.requires_grad or (bias is not None and bias.requires_grad)
    if learning or isinstance(padding, str) or not x.requires_grad or x.dim() != n + 2:
        return None
    stride, dilation = call.get("stride", 1), call.get("dilation", 1)
    return x, weight, bias, *(_each(v, n) for v in (stride, padding, dilation)), call.get("groups", 1)


def _each(value: Any, n: int) -> tuple[int, ...]:
    values = (value,) if isinstance(value, int) else tuple(int(v) for v in value)
    return values * n if len(values) == 1 else values


class _Rectified(torch.autograd.Function):
    """min(max(x, 0), ceiling) with the gradient of a rule.

    `redirected` is for ascent from a dead start: where a sample's gradient would vanish at this ReLU as a whole, it
    passes at the position of each channel that is nearest to firing, if descent of the cost would raise it there.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, rule: str, ceiling: float, inplace: bool) -> Tensor:
        ctx.rule = rule
        if rule == "deconvnet":
            ctx.save_for_backward()
        else:
            before = (x.clone() if inplace else x) if rule == "redirected" else None
            ctx.save_for_backward((x > 0) & (x < ceiling), before)
        out = x if inplace else x.clone()
        if inplace:
            ctx.mark_dirty(x)
        return out.clamp_(0, ceiling) if ceiling != float("inf") else out.relu_()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        (grad,) = grads
        if ctx.rule == "deconvnet":
            return grad.relu(), None, None, None
        passed, before = ctx.saved_tensors
        if ctx.rule == "guided":
            return grad.relu() * passed, None, None, None
        plain = grad * passed
        alive = plain.flatten(1).any(1)
        if bool(alive.all()):
            return plain, None, None, None
        raised = before.masked_fill(grad >= 0, -torch.inf).flatten(2) if grad.dim() > 2 else before.unsqueeze(-1)
        nearest = torch.zeros_like(raised).scatter_(2, raised.argmax(2, keepdim=True), 1).view_as(grad)
        alive = alive.view(-1, *[1] * (grad.dim() - 1))
        return torch.where(alive, plain, grad.clamp(max=0) * nearest), None, None, None


class _Convolution(torch.autograd.Function):
    """A convolution with frozen filters; backward it looks only at the box where the gradient is not zero."""

    @staticmethod
    def forward(
        ctx: Any,
        func: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: tuple[int, ...],
        padding: tuple[int, ...],
        dilation: tuple[int, ...],
        groups: int,
    ) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.call, ctx.shape = (func, stride, padding, dilation, groups), x.shape
        ctx.channels_last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
        out: Tensor = func(x, weight, bias, stride, padding, dilation, groups)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,), (weight,) = grads, ctx.saved_tensors
        func, stride, padding, dilation, groups = ctx.call
        _, transpose = _CONVOLUTIONS[func]
        layout = torch.channels_last if ctx.channels_last else torch.contiguous_format
        down = torch.empty(ctx.shape, dtype=grad.dtype, device=grad.device, memory_format=layout).zero_()
        box = _filled(grad)
        if box is not None:
            part = grad[_within(box)].contiguous(memory_format=layout)
            spread = transpose(part, weight, None, stride, 0, 0, groups, dilation)
            there: list[tuple[int, int]] = []
            here: list[tuple[int, int]] = []
            for axis, (first, _) in enumerate(box):
                start = first * stride[axis] - padding[axis]  # where in the input the spread begins
                a = max(start, 0)
                b = max(a, min(start + spread.shape[2 + axis], down.shape[2 + axis]))
                there.append((a, b))
                here.append((a - start, b - start))
            down[_within(there)] = spread[_within(here)]
        return None, down, None, None, None, None, None, None


def _within(box: list[tuple[int, int]]) -> tuple[slice, ...]:
    return slice(None), slice(None), *(slice(a, b) for a, b in box)


def _filled(grad: Tensor) -> list[tuple[int, int]] | None:
    """The box of positions where grad (B, C, *spatial) is not zero for some sample and channel; None if nowhere."""
    # Two reductions without a temporary array: a tenth of the time of comparing each value with 0.
    lit = (grad.amax((0, 1)) != 0) | (grad.amin((0, 1)) != 0)
    box = []
    for axis in range(lit.dim()):
        others = [other for other in range(lit.dim()) if other != axis]
        places = (lit.any(others) if others else lit).nonzero()
        if not len(places):
            return None
        box.append((int(places[0]), int(places[-1]) + 1))
    return box
