//! "EC2 AMI State Change", the event that EC2 sends to the owner of an AMI.
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/monitor-ami-events.html>

use serde_json::json;

use super::image::ImageState;
use crate::aws::events::ServiceEvent;
use crate::aws::region::partition_of;
use crate::aws::world::World;

impl World {
    /// Sends the event; `error_message` is empty unless the AMI failed.
    pub(super) fn emit_image_state(
        &mut self,
        region: &str,
        account: &str,
        image_id: &str,
        state: ImageState,
        error_message: &str,
    ) {
        let request_id = self.new_uuid();
        self.emit(&ServiceEvent {
            region,
            account,
            source: "aws.ec2",
            detail_type: "EC2 AMI State Change",
            resource: format!("arn:{}:ec2:{region}::image/{image_id}", partition_of(region)),
            detail: json!({
                "RequestId": request_id,
                "ImageId": image_id,
                "State": state.as_str(),
                "ErrorMessage": error_message,
            }),
        });
    }
}
