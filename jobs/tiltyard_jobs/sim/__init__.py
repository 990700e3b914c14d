"""Simulated experts: an OpenAI-compatible server whose replies are a function of its URI and of the request alone.

It stands in for a served model wherever none is to be had: demos, tests, benches. `docs/simulated-experts.md` has every
parameter. It speaks as vLLM does, so that nothing in the product knows which of the two it talks to.
"""
