use courier_core::usage_report::{RESOURCE_TYPES, ReportNext, ReportState, UsageReport, newest_complete, next};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const NOW: OffsetDateTime = datetime!(2026-03-10 12:00 UTC);

fn report(id: &str, state: ReportState, hours: i64) -> UsageReport {
    UsageReport {
        id: id.to_owned(),
        state,
        state_reason: None,
        created: Some(NOW - Duration::hours(hours)),
        resource_types: RESOURCE_TYPES.map(str::to_owned).into(),
        is_own: true,
    }
}

fn of_others(report: UsageReport) -> UsageReport {
    UsageReport { is_own: false, ..report }
}

#[test]
fn only_a_complete_report_that_is_fresh_is_read_and_an_outdated_one_is_ordered_again() {
    use ReportState::{Available, Error, Pending};
    let undated = UsageReport { created: None, ..report("1", Available, 0) };
    for (reports, expected) in [
        (vec![], "order after deleting "),
        (vec![report("1", Available, 0)], "read 1"),
        (vec![report("1", Available, 24)], "read 1"),
        (vec![report("1", Available, 25)], "order after deleting 1"),
        (vec![undated], "order after deleting 1"),
        (vec![report("1", Available, 20), report("2", Available, 2), report("3", Available, 10)], "read 2"),
        (vec![report("1", Available, 30), report("2", Available, 26)], "order after deleting 1 2"),
        (vec![report("1", Pending, 1)], "wait for 1"),
        (vec![report("1", Pending, 100)], "wait for 1"),
        (vec![report("1", Available, 100), report("2", Pending, 1)], "wait for 2"),
        (vec![report("1", Available, 1), report("2", Pending, 0)], "read 1"),
        (vec![report("1", Error, 1)], "failed 1"),
        (vec![report("1", Error, 25)], "order after deleting 1"),
        (vec![report("1", Error, 1), report("2", Pending, 0)], "wait for 2"),
        (vec![report("1", Error, 1), report("2", Available, 20)], "read 2"),
        // EC2 makes one report about an AMI at a time, for any caller.
        (vec![of_others(report("1", Pending, 1))], "wait for 1"),
        (vec![of_others(report("1", Available, 1))], "order after deleting "),
        (vec![of_others(report("1", Error, 1)), report("2", Available, 30)], "order after deleting 2"),
    ] {
        let next = match next(&reports, NOW) {
            ReportNext::Read(report) => format!("read {}", report.id),
            ReportNext::Wait(report) => format!("wait for {}", report.id),
            ReportNext::Failed(report) => format!("failed {}", report.id),
            ReportNext::Order { outdated } => {
                let ids: Vec<&str> = outdated.iter().map(|report| report.id.as_str()).collect();
                format!("order after deleting {}", ids.join(" "))
            }
        };
        assert_eq!(next, expected, "{reports:?}");
    }
}

#[test]
fn the_newest_complete_report_of_the_courier_tells_most_however_old_it_is() {
    let reports = [
        report("1", ReportState::Available, 300),
        report("2", ReportState::Available, 200),
        report("3", ReportState::Pending, 1),
        of_others(report("4", ReportState::Available, 1)),
    ];
    assert_eq!(newest_complete(&reports).map(|report| report.id.as_str()), Some("2"));
    assert_eq!(newest_complete(&reports[2..]), None);
}

#[test]
fn a_report_names_the_types_that_it_leaves_out() {
    let full = report("1", ReportState::Available, 1);
    assert_eq!(full.left_out(), Vec::<&str>::new());
    let partial = UsageReport { resource_types: ["ec2:Instance".to_owned()].into(), ..full };
    assert_eq!(partial.left_out(), RESOURCE_TYPES[1..]);
}
