//! What a kernel lacks, in sentences.

use std::fmt;

use fault::Error;
use kernel_package::KernelPackage;

use crate::config::{Config, Setting};
use crate::table::{Form, Need, REQUIREMENTS, Requirement};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// No stack boots on this kernel; or not the profile that was asked about ([`raise`]).
    Missing,
    /// Stacks boot, but one ability is lost.
    Limited,
}

/// One thing that a kernel lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The line of the table that is not met.
    pub requirement: &'static Requirement,
    /// What of a profile does not boot without it; see [`raise`].
    pub of_profile: Option<String>,
    problem: Problem,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Problem {
    /// The symbol is off.
    Off,
    /// The symbol is `m` and must be `y`.
    MustBeBuiltIn,
    /// The symbol is `m`, and the package has no such module.
    NoModule,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Requirement { symbol, form, why, .. } = self.requirement;
        match (&self.problem, form) {
            (Problem::Off, Form::BuiltIn) => {
                write!(f, "CONFIG_{symbol} is off: {why}. Set CONFIG_{symbol}=y.")
            }
            (Problem::Off, Form::Module(name)) => {
                write!(
                    f,
                    "CONFIG_{symbol} is off: {why}. Set CONFIG_{symbol}=y, or =m for the module {name}."
                )
            }
            (Problem::MustBeBuiltIn, _) => {
                write!(f, "CONFIG_{symbol} is a module and must be built in: {why}. Set CONFIG_{symbol}=y.")
            }
            (Problem::NoModule, Form::Module(name)) => write!(
                f,
                "CONFIG_{symbol} is a module, and the package has no module {name}: {why}. \
                 Give the package that holds the kernel's modules."
            ),
            (Problem::NoModule, Form::BuiltIn) => write!(f, "CONFIG_{symbol} has no module: {why}."),
        }
    }
}

/// Says of findings that they are about something which a profile cannot do without: `why` knows what that is, by the symbol.
pub fn raise(findings: &mut [Finding], why: impl Fn(&str) -> Option<String>) {
    for finding in findings.iter_mut() {
        finding.of_profile = why(finding.requirement.symbol);
        if finding.of_profile.is_some() {
            finding.severity = Severity::Missing;
        }
    }
    findings.sort_by_key(|finding| finding.severity);
}

/// Compares a configuration with the table: nothing when every line is met, the missing before the limiting. What only some machines
/// have, and what only a kernel of one's own must be told, is nothing that a kernel lacks.
pub fn check(config: &Config) -> Vec<Finding> {
    findings(|requirement| match (config.get(requirement.symbol), requirement.form) {
        (Setting::BuiltIn, _) | (Setting::Module, Form::Module(_)) => None,
        (Setting::Module, Form::BuiltIn) => Some(Problem::MustBeBuiltIn),
        (Setting::Off | Setting::Value(_), _) => Some(Problem::Off),
    })
}

/// Like [`check`], and looks whether the modules that the configuration promises are in the package.
///
/// # Errors
/// The package has no configuration, or it cannot be read.
pub fn check_package(kernel: &KernelPackage) -> Result<Vec<Finding>, Error> {
    let config = Config::of_package(kernel)?;
    let mut found = check(&config);
    found.extend(findings(|requirement| match (config.get(requirement.symbol), requirement.form) {
        (Setting::Module, Form::Module(name)) if kernel.module(name).is_none() => Some(Problem::NoModule),
        _ => None,
    }));
    found.sort_by_key(|finding| finding.severity);
    Ok(found)
}

fn findings(problem_of: impl Fn(&Requirement) -> Option<Problem>) -> Vec<Finding> {
    let mut found: Vec<Finding> = REQUIREMENTS
        .iter()
        .filter(|requirement| {
            !requirement.group.is_of_some_machines() && !requirement.group.is_of_own_kernels()
        })
        .filter_map(|requirement| {
            let severity = match requirement.need {
                Need::Required => Severity::Missing,
                Need::Optional => Severity::Limited,
            };
            problem_of(requirement).map(|problem| Finding {
                severity,
                requirement,
                of_profile: None,
                problem,
            })
        })
        .collect();
    found.sort_by_key(|finding| finding.severity);
    found
}
