pub mod announcement;
pub mod copy_image;
pub mod identity;
pub mod outcome;
