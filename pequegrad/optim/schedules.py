"""Learning rates as functions of the number of steps taken before, 0 at the first step.

    optimizer.lr = schedules.warmup_cosine(3e-4, warmup=100, steps=1000)          # stateful
    state, params = adam(params, grads, state, lr=schedules.cosine(0.1, 1000))    # functional

A schedule takes a number, a tensor (traced ones, too) or an array of numbers, and gives float64, weakly typed: it has all digits,
and takes the dtype of what it meets.
"""

import math

from ..core.dtype import dt
from ..core.errors import ArgumentError
from ..core.tensor import Tensor
from ..ops.arithmetic import cos, floor, minimum, where
from ..ops.creation import as_tensor
from ..primitives.elementwise import convert_to
from .options import checked


def constant(rate):
    """Always `rate`.

    >>> float(constant(0.1)(7))
    0.1
    """
    _check("constant", rate)
    return lambda step: _time(step) * 0.0 + rate


def linear(start, end, steps):
    """From start to end in `steps` steps, then end.

    start + (end - start) * min(step / steps, 1)

    >>> [float(linear(0.0, 1.0, 4)(i)) for i in (0, 1, 4, 9)]
    [0.0, 0.25, 1.0, 1.0]
    """
    _check("linear", start, end, steps=steps)
    return lambda step: start + (end - start) * _part(step, steps)


def polynomial(rate, steps, power=1.0, end=0.0):
    """From rate to end in `steps` steps.

    end + (rate - end) * (1 - min(step / steps, 1)) ** power

    >>> float(polynomial(1.0, 10, power=2.0)(5))
    0.25
    """
    _check("polynomial", rate, end, power, steps=steps)
    return lambda step: end + (rate - end) * (1.0 - _part(step, steps)) ** float(power)


def cosine(rate, steps, end=0.0):
    """From rate to end along half a cosine in `steps` steps (Loshchilov & Hutter, 2017).

    end + (rate - end) * (1 + cos(pi * min(step / steps, 1))) / 2

    >>> round(float(cosine(1.0, 10)(5)), 6)
    0.5
    """
    _check("cosine", rate, end, steps=steps)
    return lambda step: end + (rate - end) * (1.0 + cos(_part(step, steps) * math.pi)) / 2.0


def exponential(rate, gamma):
    """rate * gamma ** step

    >>> float(exponential(8.0, 0.5)(3))
    1.0
    """
    _check("exponential", rate, gamma)
    return lambda step: rate * float(gamma) ** _time(step)


def step_decay(rate, every, gamma=0.1):
    """rate * gamma ** floor(step / every)

    >>> [float(step_decay(8.0, 10, 0.5)(i)) for i in (0, 9, 10, 20)]
    [8.0, 8.0, 4.0, 2.0]
    """
    _check("step_decay", rate, gamma, every=every)
    return lambda step: rate * float(gamma) ** floor(_time(step) / every)


def multi_step(rate, milestones, gamma=0.1):
    """rate * gamma ** (how many milestones there are up to step)

    >>> [float(multi_step(8.0, [2, 5], 0.5)(i)) for i in (1, 2, 5)]
    [8.0, 4.0, 2.0]
    """
    _check("multi_step", rate, gamma)
    milestones = _boundaries("multi_step", milestones)

    def schedule(step):
        t = _time(step)
        passed = t * 0.0
        for milestone in milestones:
            passed = passed + where(t >= milestone, 1.0, 0.0)
        return rate * float(gamma) ** passed

    return schedule


def join(schedules, boundaries):
    """The first schedule up to the first boundary, then the second, ...; each counts from its own beginning.

    >>> [float(join([constant(1.0), linear(5.0, 6.0, 2)], [3])(i)) for i in (2, 3, 4)]
    [1.0, 5.0, 5.5]
    """
    schedules, boundaries = list(schedules), _boundaries("join", boundaries)
    if len(schedules) != len(boundaries) + 1 or not all(map(callable, schedules)):
        raise ArgumentError(
            f"join: {len(schedules)} schedules and {len(boundaries)} boundaries; there is one more schedule."
        )

    def schedule(step):
        t = _time(step)
        rate = schedules[0](t)
        for boundary, following in zip(boundaries, schedules[1:]):
            rate = where(t >= boundary, following(t - boundary), rate)
        return rate

    return schedule


def warmup(schedule, steps, start=0.0):
    """Linearly from `start` to the first rate of `schedule` in `steps` steps, then the schedule from its beginning.

    schedule: a function, or a number, which then stays.

    >>> [float(warmup(1.0, 4)(i)) for i in (0, 1, 4, 9)]
    [0.0, 0.25, 1.0, 1.0]
    """
    schedule = schedule if callable(schedule) else constant(schedule)
    _check("warmup", start, steps=steps)
    return join([lambda step: start + (schedule(0) - start) * _part(step, steps), schedule], [steps])


def warmup_cosine(rate, warmup, steps, start=0.0, end=0.0):
    """Linearly from start to rate in `warmup` steps, then along half a cosine to end, where it is after `steps` steps in all.

    >>> [round(float(warmup_cosine(1.0, 2, 6)(i)), 3) for i in range(7)]
    [0.0, 0.5, 1.0, 0.854, 0.5, 0.146, 0.0]
    """
    _check("warmup_cosine", rate, start, end, steps=steps, warmup=warmup)
    if warmup >= steps:
        raise ArgumentError(f"warmup_cosine: warmup = {warmup} is not less than steps = {steps}, all steps together.")
    return join([linear(start, rate, warmup), cosine(rate, steps - warmup, end)], [warmup])


def one_cycle(max_rate, steps, pct_start=0.3, anneal="cos", div_factor=25.0, final_div_factor=1e4, three_phase=False):
    """Up to max_rate and down again in `steps` steps (Smith & Topin, 2018), as PyTorch's OneCycleLR has it.

    From max_rate / div_factor up to max_rate in the share pct_start of all steps, then down to max_rate / div_factor / final_div_factor;
    three_phase: down as slowly as up, and to the lowest rate after that. anneal: "cos" or "linear".

    >>> [round(float(one_cycle(1.0, 11)(i)), 3) for i in (0, 2, 10)]
    [0.04, 0.96, 0.0]
    """
    _check("one_cycle", max_rate, steps=steps)
    if anneal not in ("cos", "linear"):
        raise ArgumentError(f"one_cycle: anneal = {anneal!r} is neither 'cos' nor 'linear'.")
    if not 0 < pct_start < 1 or (three_phase and pct_start >= 0.5):
        raise ArgumentError(f"one_cycle: pct_start = {pct_start} is not in (0, {'1/2' if three_phase else '1'}).")
    if not (div_factor > 0 and final_div_factor > 0):
        raise ArgumentError("one_cycle: div_factor and final_div_factor are not numbers > 0.")
    low, last, top = max_rate / div_factor, max_rate / div_factor / final_div_factor, pct_start * steps - 1
    ends = [(top, low, max_rate), (steps - 1, max_rate, last)]
    if three_phase:
        ends[1:] = [(2 * pct_start * steps - 2, max_rate, low), (steps - 1, low, last)]
    if any(b <= a for a, b in zip([0, *(end for end, _, _ in ends)], [end for end, _, _ in ends])):
        raise ArgumentError(
            f"one_cycle: {steps} steps are too few for pct_start = {pct_start}.", fix="take more steps."
        )

    def schedule(step):
        t, begin, phases = _time(step), 0.0, []
        for end, first, final in ends:
            part = minimum((t - begin) / (end - begin), 1.0)
            weight = (1.0 - cos(part * math.pi)) / 2.0 if anneal == "cos" else part
            phases.append((end, first + (final - first) * weight))
            begin = end
        rate = phases[-1][1]
        for end, found in reversed(phases[:-1]):
            rate = where(t <= end, found, rate)
        return rate

    return schedule


# ---- what they share -----------------------------------------------------------------------------------


def _time(step):
    """The number of the step as a weak float64 tensor."""
    x = as_tensor(step)
    return x if x.dtype == dt.float64 and x.weak_type else convert_to(x, dt.float64, weak_type=True)


def _part(step, steps):
    """How much of `steps` steps is over, at most 1."""
    return minimum(_time(step) / float(steps), 1.0)


def _check(who, *rates, **counts):
    for rate in rates:
        if not isinstance(rate, Tensor):
            checked(who, "lr", rate)
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ArgumentError(f"{who}: {name} = {count!r} is not an int >= 1.")


def _boundaries(who, numbers):
    numbers = list(numbers)
    if not all(isinstance(n, int) and n >= 0 for n in numbers) or numbers != sorted(numbers):
        raise ArgumentError(f"{who}: {numbers} are not ints >= 0 in ascending order.")
    return numbers
