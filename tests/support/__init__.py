# SPDX-License-Identifier: Apache-2.0
"""The vocabulary of the integration and e2e tests; tests/README.md lists it."""
from .admin import Metrics
from .client import Client
from .clock import SCALE, eventually, scaled
from .config import config_for
from .http1 import Headers, ProtocolError, Request, Response
from .origin import Origin, OriginExchange
from .proxy import BINARY, Proxy, run_tidegate
from .wire import Closed, Wire

__all__ = [
    "BINARY", "Client", "Closed", "Headers", "Metrics", "Origin", "OriginExchange", "ProtocolError",
    "Proxy", "Request", "Response", "SCALE", "Wire", "config_for", "eventually", "run_tidegate",
    "scaled",
]
