"""The broker in a folder: every message once and whole, whoever else looks."""

import threading
from pathlib import Path
from queue import Empty

import pytest
from kombu import Connection

import hipapp.celery  # noqa: F401  registers the transport
from hipapp.jobs.filesystem import Transport

N_SENDERS, N_TAKERS, N_MESSAGES = 3, 3, 150


@pytest.fixture
def options(tmp_path) -> dict[str, object]:
    for name in ("queue", "control"):
        (tmp_path / name).mkdir()
    queue = str(tmp_path / "queue")
    return {
        "data_folder_in": queue,
        "data_folder_out": queue,
        "control_folder": str(tmp_path / "control"),
        "polling_interval": 0.01,
    }


def channel_of(options):
    return Connection("filesystem://", transport_options=options).channel()


def test_the_address_leads_to_our_transport(options):
    assert type(channel_of(options).connection) is Transport


def test_many_senders_and_takers_lose_nothing_and_take_nothing_twice(options):
    taken, faults = [], []
    is_over = threading.Event()

    def send(number):
        channel = channel_of(options)
        for k in range(N_MESSAGES):
            channel._put("default", {"body": f"{number}-{k}" + "x" * 5000})

    def take():
        channel = channel_of(options)
        while True:
            was_over = is_over.is_set()
            try:
                taken.append(channel._get("default")["body"].rstrip("x"))
            except Empty:
                if was_over:
                    return
            except Exception as error:  # noqa: BLE001  whatever a worker would die of
                faults.append(error)

    takers = [threading.Thread(target=take) for _ in range(N_TAKERS)]
    senders = [threading.Thread(target=send, args=(n,)) for n in range(N_SENDERS)]
    for thread in (*takers, *senders):
        thread.start()
    for thread in senders:
        thread.join(60)
    is_over.set()
    for thread in takers:
        thread.join(60)
    assert not faults
    assert sorted(taken) == sorted(f"{n}-{k}" for n in range(N_SENDERS) for k in range(N_MESSAGES))
    assert not list(Path(str(options["data_folder_in"])).iterdir())


def test_messages_come_in_order_and_only_of_their_queue(options):
    channel = channel_of(options)
    for k in range(5):
        channel._put("default", {"body": k})
    channel._put("gpu", {"body": "other"})
    assert [channel._get("default")["body"] for _ in range(5)] == list(range(5))
    with pytest.raises(Empty):
        channel._get("default")
    assert channel._get("gpu") == {"body": "other"}


def test_a_damaged_message_is_left_out_and_said(options, caplog):
    channel = channel_of(options)
    (Path(str(options["data_folder_in"])) / f"{0:020d}_a.default.msg").write_text('{"body": ')
    channel._put("default", {"body": 2})
    assert channel._get("default") == {"body": 2}
    assert "damaged" in caplog.text


def test_bindings_are_kept_and_taken_back(options):
    channel = channel_of(options)
    for queue in ("a", "b", "a"):
        channel._queue_bind("news", "", "", queue)
    assert sorted(binding.queue for binding in channel.get_table("news")) == ["a", "b"]
    channel._delete("a", "news", "", "")
    assert [binding.queue for binding in channel.get_table("news")] == ["b"]
