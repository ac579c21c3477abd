"""Load that must not hurt what it asks."""

import threading

from local.traffic import Answer, Client, crowd


class Slow(Client):
    """Answers nobody before it is told to."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:9", "nobody.test")
        self.waiting = 0
        self.most = 0
        self.go_on = threading.Event()
        self.all_there = threading.Event()
        self._lock = threading.Lock()

    def ask(self, user: str, prompt: str) -> Answer:
        with self._lock:
            self.waiting += 1
            self.most = max(self.most, self.waiting)
            if self.waiting == 3:
                self.all_there.set()
        assert self.go_on.wait(60)
        with self._lock:
            self.waiting -= 1
        return Answer(user, 200, "v1-0f3a9c21", 0.0, prompt)


def test_a_crowd_never_asks_more_at_once_than_it_is_however_slow_the_service() -> None:
    client = Slow()
    with crowd(client, ["one", "two"], size=3, per_second=300.0) as load:
        assert client.all_there.wait(60)
        client.go_on.set()
    assert client.most == 3
    assert {answer.user for answer in load.answers} == {"crowd-000", "crowd-001", "crowd-002"}
    assert {answer.text for answer in load.answers} == {"one", "two"}
