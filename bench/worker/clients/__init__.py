"""One module for each client of the comparison: `async def run(url, n, concurrency)` sends n requests."""
