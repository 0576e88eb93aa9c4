import pytest

from rules.documents.yaml_reader import DEEPEST, LONGEST_BYTES, MOST_NODES, read_yaml


def value_of(text):
    documents, findings = read_yaml(text)
    assert [finding for finding in findings if finding.is_error] == []
    (document,) = documents
    return document.plain()


def codes(text):
    return [(finding.code, finding.line, finding.column) for finding in read_yaml(text)[1]]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("~", None),
        ("null", None),
        ("true", True),
        ("FALSE", False),
        ("0o17", 15),
        ("0x1F", 31),
        ("-12", -12),
        ("+12", 12),
        ("012", 12),
        ("1.5", 1.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("yes", "yes"),
        ("on", "on"),
        ("22:00", "22:00"),
        ("2026-01-01", "2026-01-01"),
        ("1_000", "1_000"),
        ("0b1", "0b1"),
        ("=", "="),
        ("'true'", "true"),
        ('"12"', "12"),
        ("!!str 12", "12"),
        ("! 12", "12"),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(text, value):
    found = value_of(f"key: {text}")["key"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "text", ["9223372036854775808", "9" * 5000, "0x" + "f" * 30, ".inf", "-.INF", ".nan", "1e999"]
)
def test_numbers_that_no_signal_can_have_are_refused(text):
    assert codes(f"key: {text}") == [("TT006", 1, 6)]


@pytest.mark.parametrize("text", ["yes", "No", "ON", "off", "22:00", "1:30:00", "010", "0o17"])
def test_what_yaml_1_1_reads_otherwise_is_a_warning(text):
    assert codes(f"key: {text}") == [("TT007", 1, 6)]
    assert codes(f"key: '{text}'") == []


def test_equal_keys_are_refused_at_any_depth():
    assert codes("a: 1\nb: {c: 1, d: 2, c: 3}\na: 2") == [("TT003", 2, 17), ("TT003", 3, 1)]


@pytest.mark.parametrize("key", ["1", "true", "null", "[a]", "{a: b}", "1.5"])
def test_a_key_that_is_no_text_is_refused(key):
    assert codes(f"? {key}\n: x") == [("TT004", 1, 3)]


def test_an_alias_stands_for_its_anchor():
    assert value_of("a: &x [1, {b: 2}]\nc: *x") == {"a": [1, {"b": 2}], "c": [1, {"b": 2}]}


def test_an_alias_belongs_to_its_document():
    assert codes("a: &x 1\n---\nb: *x") == [("TT001", 3, 4)]


def test_an_alias_inside_its_own_anchor_is_refused():
    assert codes("a: &x [1, *x]") == [("TT005", 1, 11)]


@pytest.mark.parametrize("tag", ["!!python/object:os.system", "!mine", "!!binary", "!!set"])
def test_tags_have_no_meaning(tag):
    assert codes(f"a: {tag} x")[0][0] == "TT005"


def test_aliases_count_as_what_they_stand_for():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert [code for code, *_ in codes("\n".join(lines))] == ["TT002"]


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_nesting_is_bounded(opening):
    assert [code for code, *_ in codes(opening * 500)] == ["TT002"]
    assert len(codes(opening * 20_000)) == 1


def test_aliases_do_not_nest_past_the_bound():
    half = DEEPEST // 2 + 1
    text = f"a: &x {'[' * half}1{']' * half}\nb: {'[' * half}*x{']' * half}"
    assert [code for code, *_ in codes(text)] == ["TT002"]


def test_size_and_number_of_values_are_bounded():
    assert codes("a" * (LONGEST_BYTES + 1)) == [("TT002", 1, 1)]
    assert [code for code, *_ in codes("[" + "1," * (MOST_NODES + 1) + "]")] == ["TT002"]


def test_documents_before_a_fault_are_read():
    documents, findings = read_yaml("a: 1\n---\nb: [1\n---\nc: 3")
    assert [document.plain() for document in documents] == [{"a": 1}]
    assert [finding.code for finding in findings] == ["TT001"]


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment", "---\n---\n", "\ufeff"])
def test_nothing_is_no_document(text):
    assert read_yaml(text) == ([], [])


@pytest.mark.parametrize("text", ["a: \x00", "\x1b", "a\n b: \ud800", "\t- a", "%YAML 9.9\n---\na", "'"])
def test_what_is_no_yaml_is_one_finding(text):
    assert [code for code, *_ in codes(text)] == ["TT001"]
