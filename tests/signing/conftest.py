"""Clients, and what is signed."""

from __future__ import annotations

import pytest
from imagekit.signing.conftest import make_layout, published, settings

from signing.independent_clients import Cosign, SigstoreJs, fetch_cosign, install_sigstore_js

__all__ = ["make_layout", "published", "settings"]


@pytest.fixture(scope="session")
def sigstore_js(tmp_path_factory: pytest.TempPathFactory) -> SigstoreJs:
    return install_sigstore_js(tmp_path_factory.mktemp("npm") / "sigstore")


@pytest.fixture(scope="session")
def cosign(tmp_path_factory: pytest.TempPathFactory) -> Cosign:
    return fetch_cosign(tmp_path_factory.mktemp("cosign"))
