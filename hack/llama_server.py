"""llama.cpp's server, as the package xllamacpp brings it, on 127.0.0.1 until SIGTERM.

    $(python hack/envs.py llama-cpp) hack/llama_server.py MODEL.gguf --name NAME --port PORT

Needs the environment of `requirements/llama-cpp.txt`. Where cores are few, threads wait for one another: it has one.
"""

from __future__ import annotations

import argparse
import threading


def main() -> None:
    """The command line."""
    import xllamacpp

    parser = argparse.ArgumentParser(description="Serve a GGUF file with llama.cpp.")
    parser.add_argument("file", help="the model's GGUF file")
    parser.add_argument("--name", required=True, help="as requests name the model")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--chat-template", help="for a model without one: a template that llama.cpp has by name")
    given = parser.parse_args()
    settings = xllamacpp.CommonParams()
    settings.model.path, settings.model_alias, settings.port = given.file, {given.name}, given.port
    settings.use_jinja, settings.n_parallel, settings.n_ctx = True, 2, 8192
    for threads in (settings.cpuparams, settings.cpuparams_batch):
        threads.n_threads, threads.poll = 1, 0
    if given.chat_template is not None:
        settings.chat_template = given.chat_template
    server = xllamacpp.Server(settings)
    print(server.listening_address, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
