from __future__ import annotations

from typing import Callable

import pytest

from imagekit.oci.json_document import Document, DocumentError, render


def test_render_is_canonical() -> None:
    assert render({"b": [1, "ö"], "a": None}) == '{"a":null,"b":[1,"ö"]}'.encode()


def parse(text: str) -> Document:
    return Document.parse(text.encode(), "spec.json")


@pytest.mark.parametrize(
    "text, message",
    [
        (
            "{",
            "spec.json is no JSON document: Expecting property name enclosed in double quotes: "
            "line 1 column 2 (char 1). Make it again.",
        ),
        ("[]", "spec.json must be a JSON object, but was an array. Make it again."),
        ("1.5", "spec.json must be a JSON object, but was a number with a fraction. Make it again."),
    ],
)
def test_refuses_what_is_no_object(text: str, message: str) -> None:
    with pytest.raises(DocumentError) as error:
        parse(text)
    assert str(error.value) == message


@pytest.mark.parametrize(
    "text, read, message",
    [
        ("{}", lambda document: document.string("a"), "spec.json: 'a' is missing. It must be a string."),
        ('{"a": 1}', lambda document: document.string("a"), "spec.json: 'a' must be a string, but was an integer."),
        (
            '{"a": true}',
            lambda document: document.integer("a"),
            "spec.json: 'a' must be an integer, but was true or false.",
        ),
        ('{"a": -1}', lambda document: document.integer("a"), "spec.json: 'a' must not be negative, but was -1."),
        (
            '{"a": {"b": [{}, {"c": null}]}}',
            lambda document: document.document("a").documents("b")[1].string("c"),
            "spec.json: 'a.b[1].c' must be a string, but was null.",
        ),
        (
            '{"a": ["x", []]}',
            lambda document: document.strings("a"),
            "spec.json: 'a[1]' must be a string, but was an array.",
        ),
        (
            '{"a": {"x": {}}}',
            lambda document: document.string_map("a"),
            "spec.json: 'a.x' must be a string, but was an object.",
        ),
        (
            '{"a": {"Evn": []}}',
            lambda document: document.document("a").refuse_unknown(("User", "Env")),
            "spec.json: 'a.Evn' is not known. Use one of: Env, User.",
        ),
    ],
)
def test_errors_say_where(text: str, read: Callable[[Document], object], message: str) -> None:
    with pytest.raises(DocumentError) as error:
        read(parse(text))
    assert str(error.value) == message


def test_null_is_left_out() -> None:
    document = parse('{"a": null}')
    assert document.optional_string("a") is None
    assert document.optional_strings("a") == ()
    assert document.optional_documents("a") == ()
    assert document.optional_string_map("a") == {}
