//! The dry look lists what a run really does.

use std::collections::{BTreeMap, BTreeSet};

use probe::assumption::{ASSUMPTIONS, Assumption, Needs};
use probe::preview::{CALLS, CALLS_FOR_LONG, CALLS_FOR_PERMISSIONS, Call, Count};

use super::stage::Stage;

const COPIES: usize = 20;

/// How often each call was made, by service and action.
async fn made(needs: &[Needs]) -> BTreeMap<(String, String), usize> {
    let questions: Vec<Assumption> =
        ASSUMPTIONS.iter().filter(|assumption| needs.contains(&assumption.needs)).copied().collect();
    let stage = Stage::new().await;
    stage.asked().caller().await.expect("a caller");
    stage.ask(COPIES, &questions).await;
    let mut made = BTreeMap::new();
    for call in stage.aws.world().calls() {
        *made.entry((call.service, call.action)).or_default() += 1;
    }
    made
}

#[tokio::test]
async fn permissions_and_a_long_run_add_the_calls_that_the_preview_adds() {
    adds(Needs::ARole, CALLS_FOR_PERMISSIONS).await;
    adds(Needs::ADay, CALLS_FOR_LONG).await;
}

async fn adds(needs: Needs, calls: &[Call]) {
    let (without, with) = (made(&[Needs::Nothing]).await, made(&[Needs::Nothing, needs]).await);
    let count =
        |made: &BTreeMap<(String, String), usize>, key: &(String, String)| made.get(key).copied().unwrap_or_default();
    for call in calls {
        let key = (call.service.to_owned(), call.action.to_owned());
        let added = count(&with, &key) - count(&without, &key);
        match call.count {
            Count::Exactly(expected) => assert_eq!(added, expected, "{}", call.action),
            Count::CopiesAnd(_) | Count::AsNeeded => assert!(added > 0, "{} is never made", call.action),
        }
    }
    let listed =
        |key: &(String, String)| CALLS.iter().chain(calls).any(|call| call.service == key.0 && call.action == key.1);
    assert!(with.keys().all(listed), "{with:?}");
}

#[tokio::test]
async fn a_run_makes_the_calls_that_the_preview_lists_and_no_others() {
    let made = made(&[Needs::Nothing]).await;
    let listed: BTreeSet<(String, String)> =
        CALLS.iter().map(|call| (call.service.to_owned(), call.action.to_owned())).collect();
    let done: BTreeSet<(String, String)> = made.keys().cloned().collect();
    let unlisted: Vec<_> = done.difference(&listed).collect();
    assert!(unlisted.is_empty(), "not in the preview: {unlisted:?}");
    for call in CALLS {
        let count = made.get(&(call.service.to_owned(), call.action.to_owned())).copied().unwrap_or_default();
        match call.count {
            Count::Exactly(expected) => assert_eq!(count, expected, "{}", call.action),
            Count::CopiesAnd(more) => assert_eq!(count, COPIES + more, "{}", call.action),
            // A snapshot is left only if its AMI was never made.
            Count::AsNeeded => assert!(count > 0 || call.action == "DeleteSnapshot", "{} is never made", call.action),
        }
    }
}
