"""What a stage that is at work does with signals that come again."""

import os
import signal

import pytest

from mngac.pipeline.stopping import Stopped, gently, heed, wanted


@pytest.fixture(autouse=True)
def _heeded():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)}
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    heed()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number):
    os.kill(os.getpid(), number)


def test_sigterm_that_comes_by_two_ways_waits_for_the_step_to_end():
    with gently():
        send(signal.SIGTERM)
        send(signal.SIGTERM)
        assert wanted() == signal.SIGTERM


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_after_another_signal_ends_it_at_once(first):
    with pytest.raises(Stopped), gently():
        send(first)
        send(signal.SIGINT)


def test_without_a_stage_at_work_the_first_signal_ends_it():
    with pytest.raises(Stopped):
        send(signal.SIGTERM)
