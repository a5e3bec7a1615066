//! Who announces a new AMI. `IMAGE_BUILDER=Tested` depends on it.

use serde::{Deserialize, Serialize};

/// Who announces a new AMI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AnnouncedBy {
    /// EC2, CloudTrail or a tag: the AMI exists, but its tests may not have passed.
    Ec2,
    /// EC2 Image Builder, after its tests passed.
    ImageBuilder,
    /// A pipeline, Packer, a parameter or an operator: somebody decided to publish this AMI.
    Publisher,
    /// The courier's own sweep, which sees what EC2 shows: its tests may not have passed.
    Sweep,
}
