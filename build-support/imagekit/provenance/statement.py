"""The provenance of an image: an in-toto Statement v1 whose predicate is SLSA provenance v1.

Pure: the same build gives the same bytes. So it says neither when it ran nor how often; docs/provenance.md has the
reasons, and the meaning of each parameter.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional, Sequence, Tuple, Union

from imagekit.oci.digest import Digest
from imagekit.provenance.resource import Algorithm, Resource

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
MEDIA_TYPE = "application/vnd.in-toto+json"
#: What the parameters and inputs of a build mean. A new meaning needs a new number.
BUILD_TYPE = "https://github.com/c5c3/c5c3-images/blob/main/docs/provenance.md#build-type-v1"
#: The name of the resource that is this tree itself.
TREE = "c5c3-images"

Json = Union[None, bool, int, str, Sequence["Json"], Mapping[str, "Json"]]


@dataclass(frozen=True)
class ImageBuild:
    """One build of one image.

    ``commit`` is that of this tree, 40 hexadecimal digits; where there is none ``why_no_commit`` says why. ``inputs``
    are all else that the build took in, in any order and any number of times.
    """

    image: str
    digest: Digest
    target: str
    release: Optional[str]
    architecture: str
    compression: str
    compression_level: int
    builder: str
    commit: Optional[str]
    why_no_commit: str
    inputs: Tuple[Resource, ...]


def render_provenance(build: ImageBuild) -> bytes:
    """The statement's bytes: UTF-8 JSON, indented, with sorted keys."""
    return (json.dumps(_statement(build), indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode("utf-8")


def _statement(build: ImageBuild) -> Dict[str, Json]:
    parameters: Dict[str, Json] = {
        "target": build.target,
        "compression": {"algorithm": build.compression, "level": build.compression_level},
    }
    if build.release is not None:
        parameters["release"] = build.release
    environment: Dict[str, Json] = {"architecture": build.architecture}
    if build.commit is None:
        environment["noCommit"] = build.why_no_commit
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": build.image, "digest": {"sha256": build.digest.hex}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": parameters,
                "internalParameters": environment,
                "resolvedDependencies": _dependencies(build),
            },
            "runDetails": {"builder": {"id": build.builder}},
        },
    }


def _dependencies(build: ImageBuild) -> List[Json]:
    tree = [] if build.commit is None else [Resource(TREE, Algorithm.GIT_COMMIT, build.commit)]
    inputs = sorted(set(build.inputs), key=lambda item: (item.name, item.uri or "", item.digest))
    return [_descriptor(resource) for resource in (*tree, *inputs)]


def _descriptor(resource: Resource) -> Json:
    fields: Dict[str, Json] = {"name": resource.name, "digest": {resource.algorithm.value: resource.digest}}
    if resource.uri is not None:
        fields["uri"] = resource.uri
    return fields
