from pathlib import Path

import rules
from rules.documents import load
from rules.documents.yaml_reader import LONGEST_BYTES

LIBRARY = Path(rules.__file__).parent / "library"
RULE = (LIBRARY / "overspeed.yaml").read_text(encoding="utf-8")
CATALOG = (LIBRARY / "catalog.yaml").read_text(encoding="utf-8")


def named(loaded):
    return [placed.document.metadata.name for placed in loaded.documents]


def told(loaded):
    return [(each.file, each.code, each.line, each.column) for each in loaded.diagnostics]


def test_a_directory_is_read_in_the_order_of_names_whatever_its_depth(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "deep.yml").write_text(RULE.replace("name: overspeed", "name: deep"), encoding="utf-8")
    (tmp_path / "a.yaml").write_text(CATALOG, encoding="utf-8")
    (tmp_path / "c.yaml").write_text(RULE, encoding="utf-8")
    (tmp_path / "notes.txt").write_text("no rule: [", encoding="utf-8")
    loaded = load([tmp_path])
    assert named(loaded) == ["default", "deep", "overspeed"]
    assert loaded.diagnostics == ()


def test_a_subdirectory_with_its_own_catalog_is_another_set(tmp_path):
    inner = tmp_path / "other"
    inner.mkdir()
    (tmp_path / "catalog.yaml").write_text(CATALOG, encoding="utf-8")
    (tmp_path / "rule.yaml").write_text(RULE, encoding="utf-8")
    (inner / "catalog.yaml").write_text(CATALOG, encoding="utf-8")
    (inner / "rule.yaml").write_text(RULE, encoding="utf-8")
    loaded = load([tmp_path])
    assert named(loaded) == ["default", "overspeed"]
    assert loaded.left_out == (str(inner),)
    assert loaded.diagnostics == ()
    both = load([tmp_path, inner])
    assert sorted(each.code for each in both.diagnostics) == ["TT201", "TT201", "TT202"]


def test_hidden_entries_are_passed_over(tmp_path):
    """A ConfigMap is mounted as links into `..data`, itself a link to a directory with a time in its name."""
    version = tmp_path / "..2026_01_01"
    version.mkdir()
    (version / "catalog.yaml").write_text(CATALOG, encoding="utf-8")
    (tmp_path / "..data").symlink_to(version)
    (tmp_path / "catalog.yaml").symlink_to(tmp_path / "..data" / "catalog.yaml")
    loaded = load([tmp_path])
    assert named(loaded) == ["default"]
    assert loaded.diagnostics == ()


def test_a_file_that_is_named_twice_is_read_once(tmp_path):
    (tmp_path / "catalog.yaml").write_text(CATALOG, encoding="utf-8")
    loaded = load([tmp_path, tmp_path / "catalog.yaml", str(tmp_path / "." / "catalog.yaml")])
    assert named(loaded) == ["default"]
    assert loaded.diagnostics == ()


def test_a_link_upwards_ends(tmp_path):
    (tmp_path / "catalog.yaml").write_text(CATALOG, encoding="utf-8")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert named(load([tmp_path])) == ["default"]


def test_a_loop_of_links_is_told(tmp_path):
    (tmp_path / "a.yaml").symlink_to(tmp_path / "b.yaml")
    (tmp_path / "b.yaml").symlink_to(tmp_path / "a.yaml")
    assert {each.code for each in load([tmp_path]).diagnostics} == {"TT008"}


def test_what_is_not_there_is_told(tmp_path):
    path = str(tmp_path / "none.yaml")
    loaded = load([path])
    assert told(loaded) == [(path, "TT008", 0, 0)]
    assert loaded.errors[0].format() == f"{path}: error[TT008] No such file or directory"


def test_a_path_that_no_system_has_is_told():
    assert [each.code for each in load(["a\0b"]).diagnostics] == ["TT008"]


def test_a_file_that_is_not_utf_8_is_told_with_its_place(tmp_path):
    file = tmp_path / "latin.yaml"
    file.write_bytes("# ok é\n# not: ".encode() + b"\xe9\n")
    assert told(load([file])) == [(str(file), "TT008", 2, 8)]


def test_an_empty_directory_is_told(tmp_path):
    assert told(load([tmp_path])) == [(str(tmp_path), "TT009", 0, 0)]


def test_a_file_that_is_too_large_is_told(tmp_path):
    file = tmp_path / "large.yaml"
    file.write_text("é" * LONGEST_BYTES, encoding="utf-8")
    assert told(load([file])) == [(str(file), "TT002", 1, 1)]


def test_findings_of_files_that_cannot_be_read_do_not_hide_others(tmp_path):
    (tmp_path / "a.yaml").write_text("a: [", encoding="utf-8")
    loaded = load([tmp_path / "none.yaml", tmp_path])
    assert [each.code for each in loaded.errors] == ["TT008", "TT001"]
