"""Talking to models: the transport, the limiter of concurrency, retries, replies, and the prefix for mining."""
