"""Facts that hold for every image of this tree."""

from __future__ import annotations

#: Seconds since the epoch (2025-01-01T00:00:00Z): the one timestamp in every layer, wheel and image configuration.
#: A constant rather than the time of a commit, so that layers are shared across services, releases and commits.
SOURCE_DATE_EPOCH = 1735689600

#: Where the virtual environment of a service lives in its image.
VENV = "/var/lib/openstack"

SERVICE_USER = "openstack"

#: User and group id of :data:`SERVICE_USER`.
SERVICE_UID = 42424
