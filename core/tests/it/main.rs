//! The tests of the pure part, in one binary. Each name is the sentence that its test proves.

mod announcement;
mod any;
mod copy_image;
mod election;
mod error;
mod family;
mod finish;
mod identity;
mod image;
mod in_step;
mod list;
mod naming;
mod origin;
mod outcome;
mod plan;
mod protocol;
mod refusal;
mod region;
mod retirement;
mod selection;
mod settings;
mod status;
mod survey;
mod usage_report;
mod widget;
