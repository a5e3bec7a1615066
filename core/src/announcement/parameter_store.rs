//! Parameter Store: a pipeline publishes an AMI by writing its id into a parameter. The event does not have the id.
//! <https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-cwe.html>

use super::announced_by::AnnouncedBy;
use super::arn::{self, Arn, Kind};
use super::document::{Document, Shape};
use super::meaning::{Announcement, Pointer};
use crate::error::Error;
use crate::identity::{Stack, shortened};

pub(super) const CHANGE: &str = "Parameter Store Change";
pub(super) const SHAPE: Shape = Shape {
    name: "a Parameter Store Change",
    page: "https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-cwe.html",
};
/// The data type of a parameter that holds an AMI.
const IMAGE: &str = "aws:ec2:image";
const PARAMETER: Kind = Kind { service: "ssm", prefix: "parameter/" };

pub(super) fn read(event: &Document<'_>, stack: &Stack) -> Result<Vec<Announcement>, Error> {
    let arn = arn::named_in(event, PARAMETER, stack)?.into_iter().next();
    let name = match event.text("detail.name")? {
        Some(name) => name.to_owned(),
        None => arn.as_ref().map(name_in).ok_or_else(|| event.missing("detail.name"))?,
    };
    if let Some(why) = why_no_ami(event)? {
        return Ok(vec![Announcement::nothing(format!("the parameter {}: {why}", shortened(&name)))]);
    }
    let ami = match arn {
        // AWS's public parameters belong to no account, and are read by name.
        Some(arn)
            if !arn.account.is_empty() && stack.account.as_ref().is_some_and(|own| own.as_str() != arn.account) =>
        {
            Pointer::Parameter { region: arn.region, name: arn.text.to_owned() }
        }
        Some(arn) => Pointer::Parameter { region: arn.region, name },
        None => Pointer::Parameter { region: event.required("region")?, name },
    };
    Ok(vec![Announcement::Built { ami, announced_by: AnnouncedBy::Publisher }])
}

fn why_no_ami(event: &Document<'_>) -> Result<Option<String>, Error> {
    let operation = event.required_text("detail.operation")?;
    // Only events of a refused value are documented to name the data type. Without it, the parameter itself shows it.
    let data_type = event.text("detail.dataType")?.unwrap_or(IMAGE);
    let exception = event.text("detail.exception")?.unwrap_or_default();
    Ok(if data_type != IMAGE {
        Some(format!("its data type is `{}`, not `aws:ec2:image`", shortened(data_type)))
    } else if !matches!(operation, "Create" | "Update") {
        Some(format!("the operation `{}` puts no AMI into it", shortened(operation)))
    } else if !exception.is_empty() {
        Some(format!("Systems Manager refused its value: {}", shortened(exception)))
    } else {
        None
    })
}

/// The parameter's name. The ARN leaves out the slash at the beginning of a name with a path.
fn name_in(arn: &Arn<'_>) -> String {
    if arn.name.contains('/') { format!("/{}", arn.name) } else { arn.name.to_owned() }
}
