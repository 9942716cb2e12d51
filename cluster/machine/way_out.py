"""The way out that the environment names: proxies, and certificates of services.

Clusters set proxies for what lies outside. Most clients of HTTP ask them for this machine itself,
too, where another machine's `localhost` answers, or nothing does.
"""

import os
import urllib.request
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

_PROXIES = tuple(
    name for kind in ("http", "https", "all") for name in (f"{kind}_proxy", f"{kind.upper()}_PROXY")
)
_DIRECT = ("no_proxy", "NO_PROXY")
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
_SOCKS = ("socks5", "socks5h")
_CERTIFICATES = "SSL_CERT_FILE"


def asked_directly(
    environment: Mapping[str, str] = os.environ, *, also: Sequence[str] = ()
) -> dict[str, str]:
    """Return the variables by which this machine is asked without its proxies; none without any.

    Args:
        environment: name -> value.
        also: other hosts that no proxy leads to, such as the head of a cluster.
    """
    if not any(environment.get(name) for name in _PROXIES):
        return {}
    given = next((environment[name] for name in _DIRECT if environment.get(name)), "")
    names = [name.strip() for name in given.split(",") if name.strip()]
    if "*" in names:
        return {}
    names += [name for name in (*_THIS_MACHINE, *also) if name not in names]
    return dict.fromkeys(_DIRECT, ",".join(names))


def unusable_way_out(environment: Mapping[str, str] = os.environ) -> str | None:
    """Say which variable no request can get out with, and what it may be; None where all may do.

    What a proxy is, but for its beginning, is not said: it may hold a password.
    """
    for name in _PROXIES:
        value = environment.get(name, "")
        kind = urlsplit(value).scheme if "://" in value else "http"
        if value and kind in _SOCKS and find_spec("socksio") is None:
            return (
                f"{name} names a SOCKS proxy, and the package socksio is not installed: "
                "`pip install socksio`, or name a proxy that speaks HTTP"
            )
        if value and kind not in ("http", "https", *_SOCKS):
            return (
                f"{name} begins with {kind}://; a proxy is http://HOST:PORT or socks5://HOST:PORT"
            )
    certificates = environment.get(_CERTIFICATES)
    if certificates and not Path(certificates).is_file():
        return f"{_CERTIFICATES} names {certificates}, which is no file of certificates"
    return None


def proxy_on_the_way(url: str) -> str | None:
    """Return the variable that names the proxy by which an address is asked; None: no proxy is."""
    address = urlsplit(url)
    if urllib.request.proxy_bypass(address.netloc):
        return None
    known = urllib.request.getproxies()
    kind = next((kind for kind in (address.scheme, "all") if known.get(kind)), None)
    return None if kind is None else f"{kind.upper()}_PROXY"
