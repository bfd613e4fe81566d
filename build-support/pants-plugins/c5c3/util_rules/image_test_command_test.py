from __future__ import annotations

import pytest
from pants.engine.addresses import Address

from c5c3.goals.image_tests import ImageTestError, ImageTestFieldSet, command_of
from c5c3.target_types import ImageTest, ImageTestCommandField, ImageTestScriptField, TestedImageField


def field_set(**fields: object) -> ImageTestFieldSet:
    values = {TestedImageField.alias: "services/keystone#image", **fields}
    return ImageTestFieldSet.create(ImageTest(values, Address("services/keystone", target_name="manage")))


def test_a_script_is_run_by_a_shell_that_stops_at_errors() -> None:
    assert command_of(field_set(**{ImageTestScriptField.alias: "true"})) == ("sh", "-ec", "true")
    assert command_of(field_set(**{ImageTestCommandField.alias: ["lvm", "version"]})) == ("lvm", "version")


@pytest.mark.parametrize(
    "fields, there",
    [({}, "neither"), ({ImageTestScriptField.alias: "true", ImageTestCommandField.alias: ["true"]}, "both")],
)
def test_a_test_has_either_a_command_or_a_script(fields: "dict[str, object]", there: str) -> None:
    with pytest.raises(ImageTestError) as refusal:
        command_of(field_set(**fields))
    assert str(refusal.value) == (
        f"Target services/keystone:manage must have either a `command` or a `script`, but has {there}. Keep a `command` "
        "for one program, a `script` for several."
    )
