"""Ids that we give out: each once, whoever asks."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from foryou.contract.ids import time_of, uuid7

NOW = 1_795_000_000_000
FORKS = """import os
from foryou.contract.ids import uuid7
uuid7(1)  # chance is drawn in lots: the rest of this one is the parent's alone
read, write = os.pipe()
if os.fork() == 0:
    os.write(write, "\\n".join(uuid7(1) for _ in range(300)).encode())
    os._exit(0)
os.wait()
mine = {uuid7(1) for _ in range(300)}
theirs = set(os.read(read, 1 << 16).decode().split())
print(len(mine), len(theirs), len(mine & theirs))"""


def test_threads_get_no_id_twice_and_its_time_is_in_it():
    with ThreadPoolExecutor(4) as pool:
        made = [found for some in pool.map(lambda _: [uuid7(NOW) for _ in range(5_000)], range(8)) for found in some]
    assert len(set(made)) == 40_000
    assert {time_of(found) for found in made} == {NOW}


def test_a_fork_gets_ids_of_its_own():
    said = subprocess.run([sys.executable, "-c", FORKS], env=os.environ, check=True, capture_output=True, text=True)
    assert said.stdout.split() == ["300", "300", "0"]
