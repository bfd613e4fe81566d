"""Build OpenStack container images as pure functions of pinned inputs.

Plain Python that knows nothing of Pants. Each step reads files and writes files, so it runs in a build sandbox, in a
unit test or by hand: ``python -m imagekit <command> --help``.
"""
