"""Serves one GGUF model over HTTP on a loopback port. `started.py` says how it is started and ended.

Settings: `model`, `alias`, `key`, `context_tokens` and `threads`.
"""

import threading

import started
import xllamacpp


def parameters(settings: dict) -> xllamacpp.CommonParams:
    params = xllamacpp.CommonParams()
    params.model.path = settings["model"]
    params.model_alias = {settings["alias"]}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [settings["key"]]
    params.ui = False
    params.offline = True
    params.n_ctx = settings["context_tokens"]
    # One answer at a time, the others wait: two would share the context and fail when it is full.
    params.n_parallel = 1
    params.n_batch = params.n_ubatch = 512
    # What was read of other conversations is kept here: reading it again would cost seconds.
    params.cache_ram_mib = 128
    # Where the request names no temperature. Small models do not bear the usual 1.
    params.sampling.temp = 0.2
    params.cpuparams.n_threads = settings["threads"]
    params.cpuparams_batch.n_threads = settings["threads"]
    return params


server = xllamacpp.Server(parameters(started.read_settings()))
started.say_ready(server.listening_address)
threading.Event().wait()
