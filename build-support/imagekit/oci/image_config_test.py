from __future__ import annotations

import json
from typing import Dict

import pytest

from imagekit.oci.descriptor import Platform
from imagekit.oci.digest import Digest
from imagekit.oci.image_config import ContainerConfig, History, ImageConfig, timestamp
from imagekit.oci.json_document import DocumentError

#: The example of the image specification (config.md), without what is not kept.
EXAMPLE: Dict[str, object] = {
    "created": "2015-10-31T22:22:56.015925234Z",
    "architecture": "amd64",
    "os": "linux",
    "config": {
        "User": "alice",
        "ExposedPorts": {"8080/tcp": {}},
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin", "FOO=oci_is_a", "BAR=well_written_spec"],
        "Entrypoint": ["/bin/my-app-binary"],
        "Cmd": ["--foreground", "--config", "/etc/my-app.d/default.cfg"],
        "Volumes": {"/var/job-result-data": {}, "/var/log/my-app-logs": {}},
        "StopSignal": "SIGKILL",
        "WorkingDir": "/home/alice",
        "Labels": {"com.example.project.git.url": "https://example.com/project.git"},
    },
    "rootfs": {
        "diff_ids": [
            "sha256:c6f988f4874bb0add23a778f753c65efe992244e148a1d2ec2a8b664fb66bbd1",
            "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef",
        ],
        "type": "layers",
    },
    "history": [
        {"created": "2015-10-31T22:22:54.690851953Z", "created_by": "/bin/sh -c #(nop) ADD file:a3bc1e in /"},
        {
            "created": "2015-10-31T22:22:55.613815829Z",
            "created_by": '/bin/sh -c #(nop) CMD ["sh"]',
            "empty_layer": True,
        },
    ],
}


def test_round_trips_the_example_of_the_specification() -> None:
    config = ImageConfig.parse(json.dumps(EXAMPLE).encode(), "config")
    assert config.config.exposed_ports == ("8080/tcp",)
    assert config.history[1].empty_layer and not config.history[0].empty_layer
    rendered = config.render()
    assert json.loads(rendered) == EXAMPLE
    assert ImageConfig.parse(rendered, "config").render() == rendered


def test_empty_settings_are_left_out() -> None:
    config = ImageConfig(Platform("arm64", variant="v8"), ContainerConfig(), (Digest("0" * 64),), (History(),))
    assert config.render() == (
        b'{"architecture":"arm64","config":{},"history":[{}],"os":"linux",'
        b'"rootfs":{"diff_ids":["sha256:' + b"0" * 64 + b'"],"type":"layers"},"variant":"v8"}'
    )


def test_keys_of_other_tools_are_passed_over() -> None:
    config = ImageConfig.parse(json.dumps({**EXAMPLE, "docker_version": "20.10", "config": None}).encode(), "config")
    assert config.config == ContainerConfig()


def test_bad_diff_id() -> None:
    text = json.dumps({**EXAMPLE, "rootfs": {"type": "layers", "diff_ids": ["sha256:1"]}}).encode()
    with pytest.raises(DocumentError) as error:
        ImageConfig.parse(text, "config")
    assert str(error.value) == (
        "config: 'rootfs.diff_ids[0]' is wrong: A SHA-256 digest has 64 lower-case hexadecimal digits, but got '1'. "
        "Copy the digest again from where it was printed."
    )


def test_timestamp() -> None:
    assert timestamp(1735689600) == "2025-01-01T00:00:00Z"
