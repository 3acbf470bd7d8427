"""Where alerts may go: which kinds of address, which options in them, which networks.

Without Django: the courier, a program of its own, goes by the same rules as the forms.
"""

import ipaddress
from urllib.parse import unquote, urlsplit

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address

#: The kinds of apprise address that are taken, and the options that may stand behind their `?`.
#: What is missing here could read files, switch certificates off or load things from elsewhere.
OPTIONS: dict[str, frozenset[str]] = {
    "mailto": frozenset({"smtp", "from", "to", "cc", "name", "user", "pass", "mode", "reply"}),
    "tgram": frozenset({"to", "topic", "thread", "silent", "preview"}),
    "discord": frozenset({"tts", "thread", "ping", "botname"}),
    "slack": frozenset({"to"}),
    "jsons": frozenset({"method"}),
}
OPTIONS["mailtos"] = OPTIONS["mailto"]
OPTIONS["json"] = OPTIONS["jsons"]
#: Headers, parameters and fields that a webhook may carry besides: `?+X-Token=..&-room=..&:user=..`
PREFIXES = {"json": "+-:", "jsons": "+-:"}
#: Without TLS: only where private addresses are allowed.
PLAIN = frozenset({"json"})
LONGEST = 1000
#: IPv4 behind IPv6: the gateway of NAT64 is global, what lies behind it need not be.
NAT64 = (
    ipaddress.ip_network("64:ff9b::/96"),
    ipaddress.ip_network("64:ff9b:1::/48"),
)


class Unfit(ValueError):
    """An address that is not taken; `code`: scheme, option, private or form."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


def check(url: str, *, allow_private: bool) -> str:
    """Return the scheme of an apprise address that may be used; Unfit for any other."""
    scheme, mark, rest = url.partition("://")
    scheme = scheme.lower()
    if not mark or not rest or len(url) > LONGEST or not url.isprintable() or " " in url:
        raise Unfit("form")
    if scheme not in OPTIONS or (scheme in PLAIN and not allow_private):
        raise Unfit("scheme", scheme[:20])
    names = [part.partition("=")[0] for part in rest.partition("?")[2].replace(";", "&").split("&")]
    check_options(scheme, [unquote(name) for name in names if name])
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        raise Unfit("form") from None
    check_host(host, allow_private=allow_private)
    return scheme


def check_options(scheme: str, names: list[str]) -> None:
    """Raise Unfit for an option that is not taken."""
    for name in names:
        is_free = name[:1] in PREFIXES.get(scheme, "") and len(name) > 1
        if not is_free and name.strip().lower() not in OPTIONS[scheme]:
            raise Unfit("option", name[:20])


def check_host(host: str, *, allow_private: bool) -> None:
    """Raise Unfit where a host is written as a private address; names are judged when connected."""
    if allow_private:
        return
    bare = host.lower().rstrip(".")
    if bare == "localhost" or bare.endswith(".localhost"):
        raise Unfit("private")
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return
    if not is_public(address):
        raise Unfit("private")


def may_connect(address: object, *, allow_private: bool) -> bool:
    """Whether a socket may be connected to `address`, as Python's socket takes it.

    A name is never good: what is looked up behind it could be another address than was checked.
    """
    if not isinstance(address, tuple) or len(address) < 2 or not isinstance(address[0], str):
        return False  # a path of the file system, or none of ours
    try:
        ip = ipaddress.ip_address(address[0])
    except ValueError:
        return False
    return allow_private or is_public(ip)


def is_public(ip: Ip) -> bool:
    """Whether an address is anybody's: not loopback, private, link-local, shared or reserved."""
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.scope_id is not None:
            return False
        if ip.ipv4_mapped is not None:
            return is_public(ip.ipv4_mapped)
        if any(ip in network for network in NAT64):
            return is_public(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
        inner = [ip.sixtofour, *(ip.teredo or ())]
        if any(one is not None and not is_public(one) for one in inner):
            return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)
