"""OCI images: layers, configurations, manifests, indexes and the directory layout that holds them.

Implements the OCI image specification 1.1 (https://github.com/opencontainers/image-spec). The values (``digest``,
``descriptor``, ``image_config``, ``manifest``, ``index``) are pure; ``layer`` writes blobs, ``layout`` reads them,
``validate`` recomputes everything and is the oracle of the tests.
"""
