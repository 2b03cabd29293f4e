"""`python -m tests.interleave [how many] [first seed]`: exit code 1 with the seeds that broke the model."""

import sys
import time

from tests.interleave.reference import Broken
from tests.interleave.world import play


def main() -> None:
    given = [int(word) for word in sys.argv[1:]]
    many, first = (*given, *(10_000, 0)[len(given) :])
    began, broken, messages, runs = time.monotonic(), 0, 0, 0
    for seed in range(first, first + many):
        try:
            world = play(seed)
        except Broken as problem:
            broken += 1
            print(f"seed {seed}: {problem}", flush=True)
        else:
            messages += len(world.reference.messages)
            runs += len(world.reference.runs)
    spent = time.monotonic() - began
    print(f"{many} interleavings, {messages} messages, {runs} runs, {broken} broken, {spent:.1f} s")
    sys.exit(broken > 0)


if __name__ == "__main__":
    main()
