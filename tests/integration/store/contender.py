"""One of several processes that put the same keys: prints a line for each put that won.

python contender.py NAME THREADS KEYS URI [ENDPOINT]
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.store import Store, open_store


def contend(store: Store, writer: str, keys: int) -> list[str]:
    return [f"race/{key} {writer}" for key in range(keys) if store.put_new(f"race/{key}", writer.encode())]


def main() -> None:
    name, threads, keys, uri, *rest = sys.argv[1:]
    store = open_store(StoreRef(uri=uri, endpoint=rest[0] if rest else None))
    store.get("race/nothing")  # all that is slow once: imports, connections
    print("ready", flush=True)
    sys.stdin.readline()
    with ThreadPoolExecutor(int(threads)) as pool:
        for won in pool.map(lambda thread: contend(store, f"{name}.{thread}", int(keys)), range(int(threads))):
            print("".join(f"{line}\n" for line in won), end="")
    store.close()


if __name__ == "__main__":
    main()
