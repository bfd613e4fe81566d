from __future__ import annotations

from imagekit.python.bound_constraints import bound
from imagekit.python.constraints import parse_upper_constraints
from imagekit.python.lock import Artifact, LockedPackage, PythonLock, RootPackage, render_python_lock


def test_what_nothing_pins_is_held_at_the_version_of_the_lock() -> None:
    def package(name: str, version: str, **fields: str) -> LockedPackage:
        wheel = Artifact(f"{name}-{version}-py3-none-any.whl", 1, "0" * 64)
        return LockedPackage(name, version, wheels=(wheel,), **fields)

    lock = PythonLock(
        release="2025.2",
        service="nova",
        python=("3.11",),
        requirements=("nova",),
        root=RootPackage("nova", "32.0.0"),
        packages=(
            package("amqp", "5.3.1"),
            package("uwsgi", "2.0.30", marker='python_version < "3.13"'),
            LockedPackage("oslo-messaging", "17.1.0", component="oslo.messaging"),
        ),
        layers=(("amqp", "oslo-messaging", "uwsgi"),),
    )
    text = render_python_lock(lock)
    constraints = bound(parse_upper_constraints("amqp===5.3.1\n", "uc.txt"), lock, text, "nova.lock.json")
    assert [pin.requirement for pin in constraints.pins] == [
        "amqp===5.3.1",
        'uwsgi===2.0.30 ; python_version < "3.13"',
    ]
    place = constraints.of("uwsgi")[0].place
    assert (place.file, text.splitlines()[place.line - 1].strip()) == ("nova.lock.json", '"name": "uwsgi",')
