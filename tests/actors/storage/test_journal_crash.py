"""A real child process commits to a real file and dies by SIGKILL at a moment of nobody's choosing."""

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from storage_samples import EXCHANGE, batch, plain

from actors.storage.journal import Journal

WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from storage_samples import batch
from actors.storage.journal import Journal

journal = Journal(Path(sys.argv[1]))
journal.next_epoch()
number = journal.last_seq()
while True:
    run = [batch(number + index, size=64) for index in range(1, 9)]
    number += len(run)
    assert journal.append(run) == number
    print(number, flush=True)
"""


def start_and_kill(directory, after_lines):
    """Return the last number that the child reported as committed before it was killed."""
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", WRITER, str(directory), here]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        reported = [child.stdout.readline() for _ in range(after_lines)]
        child.kill()
        rest = child.stdout.read().splitlines(keepends=True)
    assert child.returncode == -signal.SIGKILL
    return int([line for line in (*reported, *rest) if line.endswith("\n")][-1])


@pytest.mark.parametrize("seed", range(3))
def test_what_was_reported_committed_is_there_after_sigkill(tmp_path, seed):
    chance = random.Random(seed)
    for life in range(1, 3):
        reported = start_and_kill(tmp_path, chance.randrange(5, 60))
        journal = Journal(tmp_path)
        last = journal.last_seq()
        assert last >= reported
        assert last % 8 == 0  # a commit is there whole or not at all
        found = journal.batches(EXCHANGE, "BTCUSDT", 1, 0, limit=10_000)
        assert [plain(one) for one in found] == [
            plain(batch(number, size=64)) for number in range(1, last + 1)
        ]
        assert journal.next_epoch() == 2 * life
        journal.close()
