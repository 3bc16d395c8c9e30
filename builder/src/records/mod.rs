//! Records, read for people: what the builds of the store were made from, what was made with what, and whether the recipes still give the
//! same.
//!
//! Two builds differ in the texts of their ids ([`difference`]). That of a build of the store was kept, or is made anew from its record
//! ([`known_text`]); [`cause`] follows the differences down to where they began, and [`rebuild`] does so for every build that is out of date.

pub mod cause;
pub mod difference;
pub mod known_text;
pub mod named_build;
pub mod rebuild;
pub mod users;
mod words;
