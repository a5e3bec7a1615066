//! The custom widget of a CloudWatch dashboard: the status as a table.
//!
//! CloudWatch calls the function with `widgetContext` and the widget's parameters, and shows the HTML that it answers. HTML may
//! not have scripts; `cwdb-action` elements call the function again.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/add_custom_widget_dashboard_interactivity.html>

mod html;
mod page;

pub use html::Html;
pub use page::{MOST_ROWS, Widget};

/// The widget's documentation, in Markdown. The console shows it when a user adds the widget to a dashboard.
pub const DOCUMENTATION: &str = include_str!("documentation.md");
