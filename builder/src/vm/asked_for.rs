//! Whether a guest has what it was started with, by its boot report: init goes on without what it cannot have, and a person at the console
//! would read of it.

use std::path::Path;

use boot_report::BootReport;
use cli::safe_text;

use super::share::SharedFolder;
use crate::error::{Error, Result};

/// What must be there before anything runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AskedFor<'a> {
    /// The file of `--state`.
    pub state: Option<&'a Path>,
    /// The folders of `--share`.
    pub shares: &'a [SharedFolder],
}

impl AskedFor<'_> {
    /// Whether any boot has it.
    pub fn is_nothing(&self) -> bool {
        self.state.is_none() && self.shares.is_empty()
    }

    /// Sees that all of it is there.
    ///
    /// # Errors
    /// Some of it is not, for the reason that the report gives; or `report` is none, and nobody knows.
    pub fn is_there(&self, report: &[u8]) -> Result<()> {
        let report = self.read(report)?;
        self.state.map_or(Ok(()), |file| uses_state(&report, file))?;
        self.shares.iter().try_for_each(|share| has_share(&report, share))
    }

    fn read(&self, report: &[u8]) -> Result<BootReport> {
        let cause = match BootReport::parse(report) {
            Ok(report) => return Ok(report),
            Err(_) if report.is_empty() => "is missing".to_owned(),
            Err(error) => error.to_string(),
        };
        let option = if self.state.is_some() { "--state" } else { "--share" };
        let cause = format!(
            "its boot report {}, and so nobody knows whether it has what {option} gives it",
            safe_text::clean(&cause)
        );
        Err(Error::new("the guest", cause).remedy(
            "does its system clear /run, or is the init of an `--initramfs` another than that of this installation? Try it without \
             --run, with its console on this terminal",
        ))
    }
}

/// Init takes a tmpfs in the place of a state that it cannot use.
fn uses_state(report: &BootReport, file: &Path) -> Result<()> {
    let why = match (report.top.kind.as_str(), report.top.fell_back.as_str()) {
        ("state", "") => return Ok(()),
        (_, "") => "its top is another, by its boot report".to_owned(),
        (_, why) => safe_text::clean(why),
    };
    let remedy = "what it changes would be lost: repair the file (`e2fsck -f FILE`), or give a new name, and a state is made";
    Err(Error::new(format!("--state {}", file.display()), format!("the guest cannot use it: {why}"))
        .remedy(remedy))
}

/// Init warns of a share that it cannot mount, by the words of the step, which is told in any case.
fn has_share(report: &BootReport, share: &SharedFolder) -> Result<()> {
    let object = share.step();
    let why = report.warnings.iter().find_map(|warning| warning.strip_prefix(&object)?.strip_prefix(": "));
    let why = match why {
        None if report.steps.iter().any(|step| step.object == object) => return Ok(()),
        None => "its init has not tried to, by its boot report".to_owned(),
        Some(why) => safe_text::clean(why),
    };
    let cause = format!("the guest cannot mount it: {why}");
    Err(Error::new(format!("--share {}", share.folder.display()), cause).remedy(
        "its kernel needs 9p: leave `--kernel` out, or give `--kernel 6.1-all`; where the profile names its kernel, that one",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use vm::share::Access;

    fn shares() -> Vec<SharedFolder> {
        let share = |tag: &str| SharedFolder {
            folder: format!("/h/{tag}").into(),
            tag: tag.to_owned(),
            access: Access::Write,
        };
        vec![share("src"), share("src-2")]
    }

    fn report(warnings: &str) -> String {
        let step = |tag: &str| {
            format!(r#"{{"stage": "mount", "step": "mount", "object": "9p:{tag} at /run/host/{tag}"}}"#)
        };
        let steps = [step("src"), step("src-2")].join(",");
        format!(
            r#"{{"format": 2, "top": {{"kind": "state"}}, "warnings": [{warnings}], "steps": [{steps}]}}"#
        )
    }

    #[test]
    fn what_the_report_has_is_there() {
        let (shares, state) = (shares(), Path::new("/s"));
        let asked = AskedFor { state: Some(state), shares: &shares };
        asked.is_there(report(r#""something else""#).as_bytes()).unwrap();
        assert!(!asked.is_nothing() && AskedFor { state: None, shares: &[] }.is_nothing());
    }

    #[test]
    fn a_folder_that_is_not_mounted_is_named_with_the_reason() {
        let shares = shares();
        let asked = AskedFor { state: None, shares: &shares };
        let error =
            asked.is_there(report(r#""9p:src-2 at /run/host/src-2: no driver""#).as_bytes()).unwrap_err();
        assert_eq!(
            (error.object(), error.cause()),
            ("--share /h/src-2", "the guest cannot mount it: no driver")
        );
        assert!(error.known_remedy().is_some_and(|remedy| remedy.contains("6.1-all")), "{error}");
        // An init that knows no shares, or was told of none.
        let error = asked.is_there(br#"{"format": 2, "steps": []}"#).unwrap_err();
        assert_eq!(error.object(), "--share /h/src");
    }

    #[test]
    fn a_state_that_is_not_the_top_is_named_with_the_reason() {
        let asked = AskedFor { state: Some(Path::new("/s")), shares: &[] };
        let told = |top: &str| {
            let report = format!(r#"{{"format": 2, "top": {top}, "steps": []}}"#);
            asked.is_there(report.as_bytes()).unwrap_err().to_string()
        };
        let fell_back = told(r#"{"kind": "tmpfs", "fell_back": "cannot mount"}"#);
        assert!(
            fell_back.starts_with("--state /s: the guest cannot use it: cannot mount\nhelp: "),
            "{fell_back}"
        );
        assert!(told(r#"{"kind": "tmpfs"}"#).contains("its top is another"));
    }

    #[test]
    fn a_report_that_cannot_be_read_is_believed_in_nothing() {
        let asked = AskedFor { state: Some(Path::new("/s")), shares: &[] };
        for (report, wanted) in [
            ("", "its boot report is missing"),
            ("{}", "its boot report is no report"),
            ("x", "its boot report is no JSON"),
        ] {
            let error = asked.is_there(report.as_bytes()).unwrap_err();
            assert!(error.cause().starts_with(wanted) && error.known_remedy().is_some(), "{error}");
        }
    }
}
