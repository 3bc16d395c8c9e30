//! Stub until the real one is merged.
use crate::error::Failure;
pub fn leave_programs() -> Result<(), Failure> {
    Ok(())
}
