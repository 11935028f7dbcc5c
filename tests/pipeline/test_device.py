"""Devices: decided without torch, and each GPU held by one job at a time."""

import pytest

from mngac.params.errors import ParamsError
from mngac.pipeline import device


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(device, "_cuda_devices", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(device, "WAIT", 0.01)


def test_two_jobs_hold_two_gpus_and_see_only_their_own(two_gpus, tmp_path, monkeypatch):
    with device.one_device("cuda", tmp_path) as first:
        assert device.os.environ["CUDA_VISIBLE_DEVICES"] == first
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
        with device.one_device("cuda", tmp_path) as second:
            assert {first, second} == {"0", "1"}


def test_a_gpu_is_free_again_after_an_error(two_gpus, tmp_path):
    for _ in range(3):
        with pytest.raises(RuntimeError), device.one_device("cuda", tmp_path) as name:
            assert name == "0"
            raise RuntimeError


def test_a_third_job_waits(two_gpus, tmp_path, monkeypatch):
    waited = []
    with device.one_device("cuda", tmp_path):
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
        with device.one_device("cuda", tmp_path):
            monkeypatch.delenv("CUDA_VISIBLE_DEVICES")

            def sleep(seconds):
                waited.append(seconds)
                raise TimeoutError

            monkeypatch.setattr(device.time, "sleep", sleep)
            with pytest.raises(TimeoutError), device.one_device("cuda", tmp_path):
                pass
    assert waited == [0.01]


def test_on_the_cpu_nothing_is_held(tmp_path):
    with device.one_device("cpu", tmp_path) as name:
        assert name is None and not list(tmp_path.iterdir())


def test_cuda_without_a_card_is_refused_and_auto_falls_back(monkeypatch):
    monkeypatch.setattr(device, "_cuda_devices", lambda: 0)
    device.device_type.cache_clear()
    with pytest.raises(ParamsError, match="no CUDA device"):
        device.device_type("cuda")
    assert device.device_type("auto") == "cpu"
    device.device_type.cache_clear()
