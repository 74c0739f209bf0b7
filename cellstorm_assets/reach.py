"""Whether the parts of a lab with several machines can be reached.

`python -m cellstorm_assets.reach` tells; a part is looked at only when the environment names it.
"""

import os
import sys
import time
import urllib.error
import urllib.request
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import sqlalchemy
from sqlalchemy.exc import SQLAlchemyError

from cellstorm_assets.object_store import STORE_VARIABLE, require_store
from cellstorm_lib.errors import CellstormError, SettingsError

DATABASE_VARIABLE = "DAGSTER_PG_URL"
JOBS_VARIABLE = "CELLSTORM_RAY_JOBS"
_ANSWER_S = 5
_REFUSED = (401, 403)
#: An S3 store refuses requests from a clock that differs by 15 minutes.
_MOST_SKEW_S = 300.0


def require_parts() -> list[str]:
    """Look at the database, the store and the cluster; return one line for each that works.

    Raises
    ------
    SettingsError, ExportError
        When one cannot be used: which, and what to do.
    """
    told = []
    if url := os.environ.get(DATABASE_VARIABLE):
        told.append(require_database(url))
    if store := os.environ.get(STORE_VARIABLE):
        require_clock(os.environ.get("AWS_ENDPOINT_URL", ""))
        require_store(store)
        told.append(f"the store at {store} can be written")
    if jobs := os.environ.get(JOBS_VARIABLE):
        told.append(require_cluster(jobs))
    return told


def require_database(url: str) -> str:
    """Ask the database something.

    Raises
    ------
    SettingsError
        When it does not answer or lets nobody in. The password is never told.
    """
    place = _without_password(url)
    try:
        engine = sqlalchemy.create_engine(url, connect_args={"connect_timeout": _ANSWER_S})
    except (SQLAlchemyError, ModuleNotFoundError) as error:
        raise SettingsError(
            f"{DATABASE_VARIABLE} is no address of a PostgreSQL database that can be used: {error};"
            " write postgresql://USER:PASSWORD@HOST:5432/NAME and install 'cellstorm[scale]'"
        ) from error
    try:
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT 1"))
    except SQLAlchemyError as error:
        text = " ".join(str(getattr(error, "orig", None) or error).split())
        if "password" in text or "role" in text:
            remedy = f"correct user and password in {DATABASE_VARIABLE}"
        elif "does not exist" in text:
            remedy = f"create the database, or correct {DATABASE_VARIABLE}"
        else:
            remedy = f"start its server, or correct {DATABASE_VARIABLE}"
        reason = text[:200].rstrip(".")
        raise SettingsError(f"the database at {place} cannot be used: {reason}; {remedy}") from None
    finally:
        engine.dispose()
    return f"the database at {place} answers"


def require_cluster(jobs: str) -> str:
    """Ask Ray's head for its version.

    Raises
    ------
    SettingsError
        When nobody answers there, or another program does.
    """
    token = os.environ.get("RAY_AUTH_TOKEN", "")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        asked = urllib.request.Request(f"{jobs.rstrip('/')}/api/version", headers=headers)  # noqa: S310
        with urllib.request.urlopen(asked, timeout=_ANSWER_S) as reply:  # noqa: S310
            is_ray = b"ray_version" in reply.read(10_000)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in _REFUSED:
            raise SettingsError(
                f"the Ray cluster at {jobs} does not let us in; set RAY_AUTH_MODE=token and the "
                "cluster's RAY_AUTH_TOKEN for all services"
            ) from None
        is_ray = False
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"the Ray cluster at {jobs} does not answer: {error}; start its head with `ray start "
            f"--head`, or correct {JOBS_VARIABLE}"
        ) from error
    if not is_ray:
        raise SettingsError(
            f"what answers at {jobs} is no Ray cluster; {JOBS_VARIABLE} must be the address of "
            "Ray's page, usually port 8265 of the head"
        )
    return f"the Ray cluster at {jobs} answers"


def require_clock(endpoint: str) -> None:
    """Compare this machine's clock with the store's; without an endpoint, nothing is compared.

    Raises
    ------
    SettingsError
        When they differ by minutes.
    """
    if not endpoint:
        return
    try:
        with urllib.request.urlopen(endpoint, timeout=_ANSWER_S) as reply:  # noqa: S310
            date = reply.headers.get("Date")
    except urllib.error.HTTPError as error:
        date = error.headers.get("Date")
    except (OSError, ValueError):
        return  # what is wrong with the store itself is told by who writes there
    skew_s = 0.0 if date is None else time.time() - parsedate_to_datetime(date).timestamp()
    if abs(skew_s) > _MOST_SKEW_S:
        raise SettingsError(
            f"the clock of this machine differs by {abs(skew_s):.0f} s from that of the store at "
            f"{endpoint}; let both follow a time server"
        )


def _without_password(url: str) -> str:
    """Return host, port and name of a database."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 5432}{parts.path}"


def main() -> int:
    """Tell of each part; 2 when one cannot be used."""
    try:
        for line in require_parts():
            sys.stdout.write(f"{line}\n")
    except CellstormError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
