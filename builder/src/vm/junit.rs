//! `--junit`: what became of tests, in the XML that continuous integration reads.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use vm::agent::Done;

use super::job::Outcome;
use crate::error::Error;

/// The tests of a guest. `left` did not end, all for the reason `lost`; where none is left, the guest itself is told as one.
///
/// # Errors
/// The XML cannot be made.
pub fn text(
    guest: &str,
    outcomes: &[Outcome],
    left: &[String],
    lost: Option<&Error>,
) -> Result<String, quick_junit::SerializeError> {
    let mut suite = TestSuite::new(guest);
    for outcome in outcomes {
        suite.add_test_case(case(guest, outcome));
    }
    let guest_itself = ["the guest".to_owned()];
    let without_end = if left.is_empty() { &guest_itself } else { left };
    for (name, error) in without_end.iter().flat_map(|name| Some((name, lost?))) {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message(error.to_string());
        suite.add_test_case(named(guest, name, status, Duration::ZERO));
    }
    Report::new("lamina vm").add_test_suite(suite).to_string()
}

fn case(guest: &str, outcome: &Outcome) -> TestCase {
    let status = if outcome.passed() {
        TestCaseStatus::success()
    } else {
        let kind = match outcome.done {
            Done::Refused(_) => NonSuccessKind::Error,
            Done::Ended(_) => NonSuccessKind::Failure,
        };
        let mut status = TestCaseStatus::non_success(kind);
        status.set_message(outcome.to_string());
        status
    };
    let mut case = named(guest, &outcome.name, status, outcome.took);
    case.set_system_out(outcome.output.clone().text()).set_system_err(outcome.error.clone().text());
    case
}

fn named(guest: &str, name: &str, status: TestCaseStatus, took: Duration) -> TestCase {
    let mut case = TestCase::new(name, status);
    case.set_classname(guest).set_time(took);
    case
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::job::LastWords;
    use guest_agent::message::End;

    #[test]
    fn each_test_is_a_case_and_no_output_breaks_the_xml() {
        let outcome = |name: &str, done, text: &[u8]| {
            let mut output = LastWords::default();
            output.add(text);
            let took = Duration::from_millis(1500);
            Outcome { name: name.to_owned(), took, done, output, error: LastWords::default() }
        };
        let outcomes = [
            outcome("a<b", Done::Ended(End::Exited(0)), b"]]>\x00\xff\x1b[31mred"),
            outcome("two", Done::Ended(End::Exited(3)), b""),
            outcome("three", Done::Refused("no interpreter".to_owned()), b""),
        ];
        let error = Error::new("the guest web", "ended");
        let xml = text("web", &outcomes, &["four", "five"].map(str::to_owned), Some(&error)).unwrap();
        for wanted in [
            r#"<testsuite name="web" tests="5" "#,
            r#"errors="3" failures="1""#,
            r#"<testcase name="a&lt;b" classname="web" time="1.500">"#,
            r#"<failure message="failed with exit status 3""#,
            r#"<error message="could not be started: no interpreter""#,
            r#"<error message="the guest web: ended""#,
        ] {
            assert!(xml.contains(wanted), "{wanted} is not in {xml}");
        }
        assert_eq!(xml.matches("the guest web: ended").count(), 2);
        let alone = text("web", &[], &[], Some(&error)).unwrap();
        assert!(alone.contains(r#"<testcase name="the guest" classname="web""#), "{alone}");
        assert!(!text("web", &[], &[], None).unwrap().contains("<testcase"));
        assert!(!xml.contains('\0') && !xml.contains('\u{1b}') && !xml.contains("]]>"), "{xml}");
    }
}
