//! Versions of packages and constraints on them, by the scheme that a recipe names.
//!
//! | scheme | source | equal are |
//! |---|---|---|
//! | [`debian`](Scheme::Debian) | deb-version(7): what `dpkg --validate-version` accepts, in the order of `dpkg --compare-versions` | `1.0`, `1.00`, `0:1.0-0` |
//! | [`semver`](Scheme::Semver) | Semantic Versioning 2.0.0, strict, by the crate `semver` | only the same text |
//! | [`loose`](Scheme::Loose) | what upstream projects write; the rules stand in `loose.rs` | `1.2`, `1.2.0`, `v1_2` |
//! | [`date`](Scheme::Date) | dates of the Gregorian calendar, with a serial number | `2024-01-31`, `20240131` |
//! | [`plain`](Scheme::Plain) | any name; the order is that of its bytes | only the same text |
//!
//! Two versions of different schemes are never equal and have no order: [`Version::compare`] says so.
//!
//! ```
//! use package_version::{Constraint, Scheme, Version};
//! let version = |text| Version::parse(text, Scheme::Loose).unwrap();
//! assert!(version("1.2-rc1") < version("1.2"));
//! assert_eq!(version("1.2"), version("1.2.0"));
//! let wanted = Constraint::parse("^1.2, !=1.5", Scheme::Loose).unwrap();
//! assert!(wanted.admits(&version("1.10")).unwrap());
//! assert!(!wanted.admits(&version("2.0-rc1")).unwrap());
//! ```

mod compatible;
mod constraint;
mod date;
mod debian;
mod loose;
mod parse_error;
mod plain;
mod range;
mod scheme;
mod semantic;
mod version;

pub use constraint::{Constraint, MOST_BYTES_OF_A_CONSTRAINT, Operator};
pub use parse_error::ParseError;
pub use range::{Bound, Range, Relation};
pub use scheme::{Scheme, UnknownScheme};
pub use version::{MOST_BYTES, SchemesDiffer, Version, sort};
