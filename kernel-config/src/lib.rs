//! What Lamina needs of a Linux kernel.
//!
//! One table, [`table::REQUIREMENTS`], holds each config symbol with the module it makes, the group it belongs to, and the
//! reason in one sentence. Everything else follows from it:
//!
//! - the config fragments in `fragments/`, for those who make a kernel of their own ([`fragment()`]);
//! - the modules that an initramfs takes along ([`modules`]);
//! - the checker, which says in sentences what a kernel lacks ([`check()`], [`Subject`]).

mod check;
mod config;
mod fragment;
mod subject;
pub mod table;

pub use check::{Finding, Severity, check, check_package, raise};
pub use config::{Config, Setting};
pub use fragment::{fragment, place};
pub use subject::Subject;
pub use table::{Form, Group, Need, Requirement, modules};
