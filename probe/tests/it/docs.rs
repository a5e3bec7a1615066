//! `docs/assumptions.md` shows the one list of assumptions.

use probe::assumption::markdown;

const PAGE: &str = include_str!("../../../docs/assumptions.md");

#[test]
fn the_page_shows_every_assumption_as_the_probe_asks_it() {
    assert!(
        PAGE.contains(&markdown()),
        "docs/assumptions.md is out of date: replace its table with the output of `cargo run -p local -- probe --assumptions`"
    );
}
