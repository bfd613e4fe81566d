# The OpenStack releases that every service is built for, oldest first: folders of 3rdparty/releases/.
RELEASES = ("2025.1", "2025.2", "2026.1")


def in_each_release(service, releases=RELEASES):
    """The image of ``service`` in each of ``releases``, for a field that names one."""
    return parametrize(**{release: f"services/{service}#image@release={release}" for release in releases})
