from __future__ import annotations

import pytest

from imagekit.fetch.json_record import JsonRecord, JsonRecordError, parse_json_record


def refusal(text: str, read: str, *arguments: str) -> str:
    with pytest.raises(JsonRecordError) as error:
        getattr(parse_json_record(text, "lock.json"), read)(*arguments)
    return str(error.value)


def test_fields_come_back_with_their_type() -> None:
    record = parse_json_record('{"a": "x", "b": ["y"], "c": 3, "d": true, "e": {"f": "z"}, "g": [{"h": "i"}]}', "lock")

    assert record.text("a") == "x"
    assert record.texts("b") == ("y",)
    assert record.integer("c") == 3
    assert record.boolean("d") is True
    assert record.record("e") == JsonRecord({"f": "z"}, "lock: e")
    assert record.records("g") == (JsonRecord({"h": "i"}, "lock: g[0]"),)
    assert record.optional_text("missing") is None


@pytest.mark.parametrize(
    ("text", "read", "message"),
    [
        ("{}", "text", "lock.json: 'key' is missing; it must be a string."),
        ('{"key": 1}', "text", "lock.json: 'key' must be a string, but was 1."),
        ('{"key": 1}', "optional_text", "lock.json: 'key' must be a string, but was 1."),
        ('{"key": ["a", 1]}', "texts", "lock.json: 'key' must be a list of strings, but was [\"a\", 1]."),
        ('{"key": true}', "integer", "lock.json: 'key' must be an integer, but was true."),
        ('{"key": "1"}', "boolean", "lock.json: 'key' must be true or false, but was \"1\"."),
        ('{"key": []}', "record", "lock.json: 'key' must be an object, but was []."),
        ('{"key": [1]}', "records", "lock.json: 'key' must be a list of objects, but was [1]."),
    ],
)
def test_wrong_fields_are_refused(text: str, read: str, message: str) -> None:
    assert refusal(text, read, "key") == message


def test_the_place_of_a_nested_record_is_in_the_message() -> None:
    with pytest.raises(JsonRecordError) as error:
        parse_json_record('{"files": [{"name": "a"}, {}]}', "page").records("files")[1].text("name")

    assert str(error.value) == "page: files[1]: 'name' is missing; it must be a string."


def test_unknown_keys_are_refused() -> None:
    assert refusal('{"a": 1, "b": 2}', "require_only", "c", "a") == "lock.json: unknown key 'b'. Known keys: a, c."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "lock.json is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)."),
        ("[]", "lock.json must hold a JSON object, but holds list."),
    ],
)
def test_documents_that_are_no_object_are_refused(text: str, message: str) -> None:
    with pytest.raises(JsonRecordError) as error:
        parse_json_record(text, "lock.json")

    assert str(error.value) == message
