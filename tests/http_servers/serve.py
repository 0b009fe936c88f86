"""llama.cpp's HTTP server on a free port of this machine, until stdin ends or the process is killed.

    serve.py WEIGHTS [--slots N] [--context TOKENS] [--alias NAME] [--embedding] [--port PORT]
             [--threads N]

Prints the address on one line once the model is loaded.
"""

import argparse
import os
import sys

import xllamacpp


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("weights")
    parser.add_argument("--slots", type=int, default=1)
    parser.add_argument("--context", type=int, default=2048, help="tokens of each slot")
    parser.add_argument("--alias", default="")
    parser.add_argument("--embedding", action="store_true")
    parser.add_argument("--port", type=int, default=0)
    # Tests run side by side; threads that wait for each other would stand still.
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()

    params = xllamacpp.CommonParams()
    params.model.path = arguments.weights
    params.hostnames = ["127.0.0.1"]
    params.port = arguments.port
    params.n_parallel = arguments.slots
    params.n_ctx = arguments.context * arguments.slots
    # Small batches: a prompt that nobody waits for is given up between two of them.
    params.n_batch = params.n_ubatch = 128
    params.cpuparams.n_threads = arguments.threads
    if arguments.embedding:
        params.embedding = True
        # One vector for a text; a model that was not made for it has no pooling of its own.
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    if arguments.alias:
        params.model_alias = {arguments.alias}
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()
    # The library's threads are not worth waiting for.
    os._exit(0)


main()
