"""The walls between the modules: no circle, the SDK in one folder, a pure core. Each check is seen to complain of a small tree that breaks it."""

from pathlib import Path

import pytest

from imports import Crate, circles, folders, shown

ROOT = Path(__file__).resolve().parents[2]
CRATES = {"core/src": "courier_core", "src": "ami_courier", "local/src": "local", "probe/src": "probe"}

# The SDK and what it is made of. `aws_lambda_events` is no part of it: these are the types of what Lambda hands over.
SDK = ("aws_config", "aws_credential_types", "aws_runtime", "aws_sdk_", "aws_sigv4", "aws_smithy", "aws_types")
# The outside world, which `core` knows nothing of.
OUTSIDE = [("std", "env"), ("std", "fs"), ("std", "net"), ("std", "process"), ("std", "thread"), ("tokio",), ("lambda_runtime",)]
OUTSIDE += [("ami_courier",), ("local",)]
CLOCKS = {"SystemTime", "Instant", "now_utc", "now_local"}


def names_the_sdk(crate):
    """Where the SDK is named outside of the folder `aws`."""
    allowed = crate.source / "aws"
    return sorted(
        f"{file}: {word}"
        for file, word in crate.words()
        if word.startswith(SDK) and allowed not in file.parents and file != crate.source / "aws.rs"
    )


def names_the_outside(crate):
    """Where a pure crate names a clock, the environment, a runtime or AWS."""
    found = {f"{file}: {'::'.join(parts)}" for file, parts in crate.outside() for start in OUTSIDE if parts[: len(start)] == start}
    found |= {f"{file}: {word}" for file, word in crate.words() if word in CLOCKS or word.startswith("aws_")}
    return sorted(found)


def crate(folder):
    if not (ROOT / folder).exists():
        pytest.fail(f"{folder} does not exist")
    return Crate(ROOT / folder, CRATES[folder])


def relative(circle):
    return [node.relative_to(ROOT) for node in circle]


def none_of(found):
    if found:
        pytest.fail("\n".join(found), pytrace=False)


@pytest.mark.parametrize("folder", CRATES)
def test_no_file_imports_itself_through_others(folder):
    graph = crate(folder).imports()
    assert len(graph) > 3 and any(graph.values()), "the crate was not read"
    none_of([shown(relative(circle)) for circle in circles(graph)])


@pytest.mark.parametrize("folder", CRATES)
def test_no_top_module_imports_itself_through_others(folder):
    graph = folders(crate(folder).imports(), ROOT / folder)
    none_of([shown(circle) for circle in circles(graph)])


def test_only_the_folder_aws_names_the_sdk():
    caller = crate("src")
    assert any(word.startswith("aws_s") for _, word in caller.words()), "the crate was not read"
    none_of(names_the_sdk(caller))


def test_the_core_is_pure_and_does_not_know_who_uses_it():
    none_of(names_the_outside(crate("core/src")))


def test_the_function_uses_the_core():
    assert any(parts[0] == "courier_core" for _, parts in crate("src").outside())


# ---------------------------------------------------------------------------------------------------- the checker itself


@pytest.fixture
def tree(tmp_path):
    def plant(**files):
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/").replace("_rs", ".rs")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return Crate(tmp_path, "planted")

    return plant


def found_in(planted):
    return [shown(node.relative_to(planted.source) for node in circle) for circle in circles(planted.imports())]


def test_a_clean_tree_has_no_circle(tree):
    planted = tree(
        lib_rs="pub mod courier; mod aws; pub use courier::Courier;",
        courier__mod_rs="mod copy; mod report; pub struct Courier; fn run() { copy::copy() }",
        courier__copy_rs="use super::report::Report; use crate::aws::{Ec2, error::{self, Code}}; pub fn copy() {}",
        courier__report_rs="pub struct Report;",
        aws__mod_rs="pub mod error; pub struct Ec2;",
        aws__error_rs="pub struct Code;",
    )
    assert len(planted.modules) == 6
    assert found_in(planted) == []
    assert planted.imports()[planted.source / "courier/copy.rs"] == {
        planted.source / place for place in ["courier/report.rs", "aws/mod.rs", "aws/error.rs"]
    }


@pytest.mark.parametrize(
    "line",
    [
        "use crate::b::B;",
        "use crate::{b::{self, B}, c};",
        "use super::b;",
        "pub use crate::b::B;",
        "pub(crate) use super::b::B as Other;",
        "use crate::b::*;",
        "fn f() { crate::b::f() }",
        "fn f(it: &super::b::B) {}",
        "type T = Vec<crate::b::B>;",
        "fn f() { use crate::b::B; }",
        "use planted::b::B;",
        "use super as root; fn f() { root::b::f() }",
        "mod inner { use super::super::b::B; }",
        "mod inner { fn f() { crate::b::f() } }",
        "fn f<'a>(it: &'a str) -> char { '\"' } use crate::b::B;",
        'fn f() { "\\"//"; } use crate::b::B;',
        '#[cfg(test)] use x::{y}; use crate::b::B;',
        "macro_rules! m { () => { $crate::b::f() } }",
    ],
)
def test_a_circle_of_two_is_found(tree, line):
    planted = tree(lib_rs="mod a; mod b; mod c;", a_rs=line, b_rs="use crate::a::A;", c_rs="")
    assert found_in(planted) == ["a.rs -> b.rs -> a.rs"]


@pytest.mark.parametrize(
    "line",
    [
        "mod child;",
        "// use crate::b::B;",
        "/* /* */ use crate::b::B; */",
        "//! [`crate::b::B`]",
        'const S: &str = "use crate::b::B;";',
        'const S: &str = r#"" crate::b::f()"#;',
        "#[cfg(test)] mod tests { use crate::b::B; }",
        "#[cfg(test)] mod tests;",
        "#[cfg(test)]\nuse crate::b::B;",
        "#[cfg(test)]\n#[allow(x)]\nfn f() { crate::b::f() }",
        "use std::b::B;",
        "fn f() { other::crate_b::b() }",
        "pub(in crate::b) fn f() {}",
    ],
)
def test_what_is_no_import_makes_no_circle(tree, line):
    planted = tree(lib_rs="mod a; mod b;", a_rs=line, a__child_rs="", a__tests_rs="use crate::b::B;", b_rs="use crate::a::A;")
    assert found_in(planted) == []


def test_a_circle_through_a_reexport_is_found(tree):
    planted = tree(lib_rs="mod a;", a__mod_rs="mod b; pub use b::B; pub struct A;", a__b_rs="use super::A; pub struct B;")
    assert found_in(planted) == ["a/b.rs -> a/mod.rs -> a/b.rs"]


def test_a_circle_through_a_module_that_was_imported_by_its_name_is_found(tree):
    planted = tree(lib_rs="mod a; mod b;", a_rs="use crate::b; fn f() { b::c::f() }", b__mod_rs="pub mod c;", b__c_rs="use crate::a::A;")
    assert found_in(planted) == ["a.rs -> b/c.rs -> a.rs"]


def test_a_circle_of_three_is_shown_once_and_in_order(tree):
    planted = tree(
        lib_rs="mod a; mod b; mod c; mod d;",
        a_rs="use crate::b::B;",
        b_rs="use crate::c::C;",
        c_rs="use crate::a::A;",
        d_rs="use crate::a::A;",
    )
    assert found_in(planted) == ["a.rs -> b.rs -> c.rs -> a.rs"]


def test_a_circle_between_folders_is_found_where_there_is_none_between_files(tree):
    planted = tree(
        lib_rs="mod a; mod b;",
        a__mod_rs="pub mod one; pub mod two;",
        a__one_rs="use crate::b::one::X;",
        a__two_rs="",
        b__mod_rs="pub mod one; pub mod two;",
        b__one_rs="",
        b__two_rs="use crate::a::two::X;",
    )
    assert found_in(planted) == []
    assert [shown(circle) for circle in circles(folders(planted.imports(), planted.source))] == ["a -> b -> a"]


def test_a_binary_is_not_its_library(tree):
    planted = tree(lib_rs="pub mod a;", a_rs="", main_rs="mod cli; fn main() { cli::run(); planted::a::run() }", cli_rs="use crate::x; use planted::a;")
    assert planted.imports()[planted.source / "main.rs"] == {planted.source / "cli.rs", planted.source / "a.rs"}
    assert found_in(planted) == ["cli.rs -> main.rs -> cli.rs"]


def test_a_module_without_a_file_is_an_error(tree):
    with pytest.raises(FileNotFoundError):
        tree(lib_rs="mod a;")


@pytest.mark.parametrize("line", ["use aws_sdk_ec2::Client;", "fn f() -> aws_smithy_types::DateTime {}", "use {aws_config as config};"])
def test_the_sdk_outside_of_its_folder_is_found(tree, line):
    assert names_the_sdk(tree(lib_rs="mod aws; mod courier;", aws__mod_rs=line, courier_rs="use aws_lambda_events::sqs;")) == []
    assert len(names_the_sdk(tree(lib_rs="mod courier;", courier_rs=line))) == 1


@pytest.mark.parametrize(
    "line",
    [
        "use std::{env, fmt};",
        "fn f() { std::env::var(NAME) }",
        "use std as s; fn f() { s::env::var(NAME) }",
        "use std::time::SystemTime;",
        "fn f() { OffsetDateTime::now_utc() }",
        "use tokio::sync::Mutex;",
        "use aws_sdk_ec2::Client;",
        "use ami_courier::delivery;",
    ],
)
def test_an_impure_line_is_found(tree, line):
    assert names_the_outside(tree(lib_rs=line)) != []


@pytest.mark.parametrize("line", ["use std::time::Duration;", "const V: &str = env!(NAME);", "#[cfg(test)] mod tests { use std::env; }", "// tokio"])
def test_a_pure_line_is_not(tree, line):
    assert names_the_outside(tree(lib_rs=line)) == []
