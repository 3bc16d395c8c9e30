//! Stub until the real one is merged.
#![allow(dead_code, reason = "a stub")]
use crate::error::Failure;
use crate::report::ModuleRecord;
use profiles::{Digest, Name};
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;
pub struct Wanted<'a> {
    pub state: &'a profiles::State,
    pub profile: &'a Name,
    pub stack: Digest,
    pub timeout: Duration,
    pub modules: &'a ModuleRecord,
}
pub struct StateTop {
    pub folder: PathBuf,
    pub record: TopRecord,
}
pub enum Trouble {
    Broken(Failure),
    Refused(Failure),
}
#[derive(Debug, Serialize)]
pub struct TopRecord {
    pub kind: &'static str,
    pub fell_back: Option<String>,
}
impl TopRecord {
    pub fn tmpfs(fell_back: Option<String>) -> Self {
        Self { kind: "tmpfs", fell_back }
    }
}
pub fn open(_wanted: &Wanted<'_>, _say: &mut dyn FnMut(&str)) -> Result<StateTop, Trouble> {
    Err(Trouble::Broken(Failure::new("stub")))
}
const _: &str = crate::paths::STATE;
