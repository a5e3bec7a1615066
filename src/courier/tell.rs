//! Tell: what the courier does is on the event bus, for whoever wants to act on it or to be mailed.

use serde_json::{Value, json};

use super::{Courier, Report, attempting};
use courier_core::outcome::{Error, Outcome};

impl Courier {
    /// Puts a copy that started, was retired or was rejected on the event bus. (`Finished` is told by the finish itself.)
    ///
    /// # Errors
    /// The bus did not take it.
    pub async fn tell(&self, report: &Report) -> Result<(), Error> {
        let Some(bus) = &self.settings.finishing.event_bus else { return Ok(()) };
        let Some(detail) = detail(report) else { return Ok(()) };
        let copy = report.result.as_ref().ok().and_then(Outcome::copy).or(report.remains.as_ref());
        let resources = copy.map(|copy| self.arn(copy)).into_iter().collect();
        let telling = attempting(format!("telling the event bus `{bus}`"));
        self.aws.event_bus(bus).put(&detail, resources).await.map_err(telling)
    }
}

fn detail(report: &Report) -> Option<Value> {
    match &report.result {
        Ok(outcome @ (Outcome::Started { .. } | Outcome::Retired { .. })) => Some(json!(outcome)),
        Err(Error::Rejected(rejection)) => {
            let mut detail = json!(report.route);
            if !detail.is_object() {
                detail = json!({});
            }
            detail["Outcome"] = json!("Rejected");
            detail["Code"] = json!(rejection.code);
            detail["Explanation"] = json!(rejection.words);
            detail["Advice"] = json!(rejection.advice);
            if let Some(failed) = &report.remains {
                detail["ImageId"] = json!(failed);
            }
            Some(detail)
        }
        _ => None,
    }
}
