"""Who may open the pages: the project's token, and the addresses the pages answer to."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cellstorm_assets.project import Project
from cellstorm_lib.errors import ExportError, SettingsError
from cellstorm_lib.files import digest_of

LOOPBACK = "127.0.0.1"
_TOKEN_BYTES = 32
_LOCAL_NAMES = (LOOPBACK, "localhost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a page asks of those who open it.

    Attributes
    ----------
    token : str
        The project's secret.
    cookie : str
        Name of the cookie that carries it once a browser has shown it.
    hosts : frozenset of str
        ``name:port`` of every address the page answers to; any other is refused, so that a
        foreign name that leads to this machine opens nothing.
    origins : frozenset of str
        Where requests may come from: the page itself.
    is_secure : bool
        Whether people reach the page by HTTPS, through a proxy.
    """

    token: str
    cookie: str
    hosts: frozenset[str]
    origins: frozenset[str]
    is_secure: bool = False


def access_to(project: Project, *, port: int, address: str | None = None) -> Access:
    """Return what the page on a port of this machine asks for.

    Parameters
    ----------
    project : Project
        Whose token it is; one is made when there is none.
    port : int
        Where the page listens.
    address : str, optional
        Where people reach it through a proxy that knows who they are, as ``https://name``.

    Raises
    ------
    SettingsError
        When the address is none.
    ExportError
        When the token cannot be read or stored.
    """
    hosts = {f"{name}:{port}" for name in _LOCAL_NAMES}
    origins = {f"http://{host}" for host in hosts}
    if address is not None:
        origins.add(checked_address(address))
        hosts.add(urlsplit(address).netloc.lower())
    return Access(
        token=token_of(project),
        cookie=f"cellstorm-{digest_of(project.home)[:8]}",
        hosts=frozenset(hosts),
        origins=frozenset(origins),
        is_secure=address is not None and address.lower().startswith("https://"),
    )


def checked_address(address: str) -> str:
    """Return the address of a page as a browser says it: scheme, name and port, nothing else.

    Raises
    ------
    SettingsError
        When it is no address of that kind.
    """
    try:
        parts = urlsplit(address)
        is_plain = parts.port is None or parts.port > 0
    except ValueError:
        is_plain = False
    if not (
        is_plain
        and parts.scheme in {"http", "https"}
        and parts.hostname
        and parts.path in {"", "/"}
        and not (parts.query or parts.fragment or "@" in parts.netloc)
    ):
        raise SettingsError(
            f"an address people reach a page at looks like https://cellstorm.example.org, "
            f"got {address!r}"
        )
    return f"{parts.scheme}://{parts.netloc.lower()}"


def token_of(project: Project) -> str:
    """Return the project's token, made at random the first time; only its owner may read it.

    Raises
    ------
    ExportError
        When it cannot be read or stored.
    """
    path = token_file(project)
    try:
        _make_private(path.parent)
        try:
            token = path.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            token = ""
        if len(token) >= _TOKEN_BYTES:
            path.chmod(0o600)
            return token
        return _store_new(path)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no token"
        raise ExportError(
            f"the token of the pages in {path} cannot be used: {reason}; remove it, or set "
            "CELLSTORM_HOME to a folder that you may write to"
        ) from error


def renew_token(project: Project) -> None:
    """Forget the project's token, so that every browser has to show the next one."""
    token_file(project).unlink(missing_ok=True)


def token_file(project: Project) -> Path:
    """Return where the token is kept."""
    return project.private_folder / "token"


def _store_new(path: Path) -> str:
    """Make a token and store it in a file that never was readable by others."""
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    temporary = path.with_name(f".token-{secrets.token_hex(4)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as stream:
        stream.write(token + "\n")
    temporary.replace(path)
    return token


def _make_private(folder: Path) -> None:
    """Make a folder that only its owner may enter."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
