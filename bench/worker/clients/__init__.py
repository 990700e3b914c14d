"""One module for each peer: `async def run(url, n, concurrency)` sends n requests and returns how many failed."""
