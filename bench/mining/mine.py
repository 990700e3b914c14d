"""Texts that a served model mines, as they come: what lint is measured on (bench/mining/measure.py).

python bench/mining/mine.py URL MODEL --rows 200 [--seed 7] [--system TEXT | --prefix TEXT --stop TEXT] > texts.jsonl

A base model has no chat template: give the text before the user's words, and what ends them.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
from datetime import UTC, datetime

from tiltyard_jobs.curation.text import normalise
from tiltyard_jobs.errors import RecordVoidError
from tiltyard_jobs.llm.client import Sampling
from tiltyard_jobs.llm.endpoint import ModelEndpoint, connect
from tiltyard_jobs.llm.template import find_prefix
from tiltyard_jobs.records import seed_of

GRID = list(itertools.product((0.6, 0.8, 1.0), (0.9, 0.95, 1.0)))


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("model")
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--seed", type=int, default=7, help="another one makes other texts")
    parser.add_argument("--system")
    parser.add_argument("--prefix", help="in the place of the template's")
    parser.add_argument("--stop", action="append", default=[])
    parser.add_argument("--max-tokens", type=int, default=256)
    parser.add_argument("--concurrency", type=int, default=16)
    options = parser.parse_args()
    endpoint = ModelEndpoint(url=options.url, model=options.model, max_concurrency=options.concurrency)
    name = f"{options.model}-{'system' if options.system else 'default'}"
    async with connect(endpoint, rng=random.Random(0)) as client:
        prefix = await find_prefix(
            client,
            explicit=options.prefix,
            stops=options.stop,
            system=options.system,
            today=datetime.now(UTC).date(),
        )

        async def one(row: int) -> None:
            temperature, top_p = GRID[row % len(GRID)]
            try:
                reply = await client.complete(
                    prefix.text if prefix.token_ids is None else list(prefix.token_ids),
                    sampling=Sampling(temperature, top_p, options.max_tokens),
                    seed=seed_of(options.seed, name, row),
                    stop=prefix.stop,
                    stop_token_ids=prefix.stop_token_ids,
                )
            except RecordVoidError as error:
                line = {"id": f"{name}-{row}", "void": str(error.reason)}
            else:
                cut = prefix.cut(reply.answer)
                text = normalise(reply.answer if cut is None else cut)
                line = {
                    "id": f"{name}-{row}",
                    "finish": "stop" if cut is not None else reply.finish_reason,
                    "text": text,
                }
            print(json.dumps(line, ensure_ascii=False), flush=True)

        await asyncio.gather(*(one(row) for row in range(options.rows)))


asyncio.run(main())
