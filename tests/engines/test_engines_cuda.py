"""Both CUDA layers on a real GPU: what is copied arrives, what fails is one sentence, and all memory is given back."""

from __future__ import annotations

import ctypes
import importlib
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from engines._cuda import CudaPython, Pycuda, open_cuda
from engines.cuda import Cuda, CudaError, Host
from engines.errors import InferenceError
from engines.gpu import DRIVER_LIBRARY, NoGpuError, current_context, read_gpu

pytestmark = pytest.mark.gpu

LAYERS: dict[str, tuple[str, Callable[..., Cuda]]] = {
    "pycuda": ("pycuda.driver", Pycuda),
    "cuda-python": ("cuda.bindings.driver", CudaPython),
}
SIZE = 1_000_003  # no multiple of anything
BLOCK = 256 << 20
SLACK = 8 << 20  # the driver keeps pages of its own
NOWHERE = 16  # no address of a GPU


@pytest.fixture(params=sorted(LAYERS))
def make(request: pytest.FixtureRequest) -> Callable[[], Cuda]:
    try:
        read_gpu()
    except NoGpuError as error:
        pytest.skip(f"no GPU to prove it on: {error}")
    module, layer = LAYERS[request.param]
    try:
        driver = importlib.import_module(module)
    except (ImportError, OSError, RuntimeError) as error:
        pytest.skip(f"{request.param} cannot be imported here: {error}")
    return lambda: layer(driver, "of the test")


@pytest.fixture
def cuda(make: Callable[[], Cuda]) -> Iterator[Cuda]:
    layer = make()
    layer.start()
    yield layer
    layer.close()


def free_bytes(cuda: Cuda) -> int:
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    with cuda.current():
        assert ctypes.CDLL(DRIVER_LIBRARY).cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total)) == 0
    return free.value


def noise(size: int, seed: int) -> Host:
    return np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)


def there_and_back(cuda: Cuda, sent: Host) -> Host:
    with cuda.current():
        address, to, back = cuda.allocate(sent.nbytes), cuda.pin(sent.nbytes), cuda.pin(sent.nbytes)
        to[:], back[:] = sent, 0
        cuda.upload(address, to)
        cuda.download(back, address)
        cuda.synchronise()
        return back.copy()


@pytest.mark.parametrize("size", [1, SIZE])
def test_what_goes_to_the_gpu_comes_back_as_it_was(cuda: Cuda, size: int) -> None:
    sent = noise(size, 1)
    np.testing.assert_array_equal(there_and_back(cuda, sent), sent)


def test_copies_are_made_in_the_order_in_which_they_were_queued(cuda: Cuda) -> None:
    sent = [noise(SIZE, seed) for seed in range(8)]
    with cuda.current():
        address = cuda.allocate(SIZE)
        hosts = [(cuda.pin(SIZE), cuda.pin(SIZE)) for _ in sent]
        for (to, back), array in zip(hosts, sent, strict=True):
            to[:], back[:] = array, 0
        for to, back in hosts:
            cuda.upload(address, to)
            cuda.download(back, address)
        cuda.synchronise()
        for (_, back), array in zip(hosts, sent, strict=True):
            np.testing.assert_array_equal(back, array)


def test_recorded_copies_run_when_they_are_launched_and_not_before(cuda: Cuda) -> None:
    with cuda.current():
        address, to, back = cuda.allocate(SIZE), cuda.pin(SIZE), cuda.pin(SIZE)
        to[:], back[:] = noise(SIZE, 2), 0

        def act() -> None:
            cuda.upload(address, to)
            cuda.download(back, address)

        graph = cuda.capture(act)
        cuda.synchronise()
        assert not back.any()
        if not cuda.captures:
            assert graph is None
            return
        assert graph is not None
        for seed in (2, 3):
            to[:] = noise(SIZE, seed)
            graph.launch()
            cuda.synchronise()
            np.testing.assert_array_equal(back, to)
        graph.free()


def test_work_that_refuses_to_be_recorded_leaves_the_stream_as_it_was(cuda: Cuda) -> None:
    def refuse() -> None:
        raise InferenceError("It cannot be recorded", "the test says so", "run it as it is")

    with cuda.current():
        assert cuda.capture(refuse) is None
    sent = noise(SIZE, 4)
    np.testing.assert_array_equal(there_and_back(cuda, sent), sent)


@pytest.mark.parametrize("direction", ["upload", "download"])
def test_an_address_that_is_none_is_one_sentence_and_the_layer_goes_on(cuda: Cuda, direction: str) -> None:
    with cuda.current():
        host = cuda.pin(SIZE)
        with pytest.raises(CudaError, match=r"The GPU cannot be used, because \w+ failed") as caught:
            cuda.upload(NOWHERE, host) if direction == "upload" else cuda.download(host, NOWHERE)
    assert "\n" not in caught.value.sentence
    sent = noise(SIZE, 5)
    np.testing.assert_array_equal(there_and_back(cuda, sent), sent)


def test_more_memory_than_there_is_is_one_sentence(cuda: Cuda) -> None:
    with cuda.current(), pytest.raises(CudaError, match=r"(?i)out.of.memory"):
        cuda.allocate(1 << 50)


def test_nothing_stays_current_on_the_thread_of_the_caller(cuda: Cuda, make: Callable[[], Cuda]) -> None:
    before = current_context()
    with cuda.current():
        assert current_context() != 0
    assert current_context() == before
    other = make()
    other.start()
    other.close()
    assert current_context() == before
    with pytest.raises(RuntimeError, match="on purpose"), cuda.current():
        raise RuntimeError("on purpose")
    assert current_context() == before


@pytest.mark.parametrize("failing", [False, True], ids=["after use", "after an error"])
def test_closing_gives_all_memory_back(cuda: Cuda, make: Callable[[], Cuda], failing: bool) -> None:
    """The context is kept by ``cuda``, so that what is free can be asked for."""
    before = free_bytes(cuda)
    other = make()
    other.start()
    with other.current():
        address, host = other.allocate(BLOCK), other.pin(SIZE)
        other.upload(address, host)
        if other.captures:
            assert other.capture(lambda: other.upload(address, host)) is not None  # never freed by hand
        if failing:
            with pytest.raises(CudaError):
                other.upload(NOWHERE, host)
    assert free_bytes(cuda) <= before - BLOCK
    other.close()
    assert free_bytes(cuda) >= before - SLACK
    other.close()  # there is nothing left to be given back


def test_opening_and_closing_does_not_eat_the_gpu(make: Callable[[], Cuda], cuda: Cuda) -> None:
    found = []
    for _ in range(5):
        layer = make()
        layer.start()
        there_and_back(layer, noise(SIZE, 6))
        layer.close()
        found.append(free_bytes(cuda))
    assert found[-1] >= found[0] - SLACK


def test_two_at_once_on_two_threads_do_not_disturb_each_other(make: Callable[[], Cuda]) -> None:
    wrong: list[object] = []

    def use(seed: int) -> None:
        layer = make()
        try:
            layer.start()
            for turn in range(20):
                sent = noise(SIZE, seed * 100 + turn)
                if not np.array_equal(there_and_back(layer, sent), sent):
                    wrong.append(seed)
        except InferenceError as error:
            wrong.append(error)
        finally:
            layer.close()

    threads = [threading.Thread(target=use, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_layer_that_the_session_opens_says_its_name_and_version(make: Callable[[], Cuda]) -> None:
    layer = open_cuda()
    assert layer.name.split()[0] in LAYERS
    assert layer.name.split()[1][0].isdigit()
