//! Who announces a new AMI: with `IMAGE_BUILDER=Tested` it matters.

use serde::{Deserialize, Serialize};

/// Who announces a new AMI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AnnouncedBy {
    /// EC2, CloudTrail, a tag: they know that the AMI exists, not that its tests passed.
    Ec2,
    /// EC2 Image Builder, after its tests passed.
    ImageBuilder,
    /// A pipeline, Packer, a parameter, an operator: somebody who decided to announce this one.
    Publisher,
    /// The courier's own sweep. It knows as much as EC2.
    Sweep,
}
