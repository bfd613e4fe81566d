# The OpenStack releases that every service is built for, oldest first: folders of 3rdparty/releases/.
RELEASES = ("2025.1", "2025.2", "2026.1")
