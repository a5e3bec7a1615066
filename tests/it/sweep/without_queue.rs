//! A sweep announces to the courier's own queue. Without one it does nothing, and says so.

use serde_json::json;

use super::{build, stage, swept};
use crate::stage::THERE;

#[tokio::test]
async fn a_sweep_without_a_queue_of_its_own_is_rejected_with_the_reason_and_calls_nothing() {
    let stage = stage().await.set("QUEUE_URL", "");
    build(&stage, 3);
    let function = stage.function().await;
    let error = function.invoke(&json!({ "Sweep": {} })).await.unwrap_err().to_string();
    assert!(
        error.contains("NoQueue") && error.contains("QUEUE_URL is not set") && error.contains("set QUEUE_URL"),
        "{error}"
    );
    assert!(swept(&function).await, "it would be rejected again");
    assert_eq!(stage.aws.world().calls().iter().filter(|call| call.region == THERE).count(), 0);
}
