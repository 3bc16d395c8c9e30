//! The parameters of Lamina that more than init reads or writes; docs/booting.md says what each means.

/// Which profile boots.
pub const PROFILE: &str = "lamina.profile";
/// What takes its place.
pub const FALLBACK: &str = "lamina.fallback";
/// Where the store is.
pub const STORE: &str = "lamina.store";
/// The folder of the store on its medium.
pub const DIR: &str = "lamina.dir";
/// Where a writable top is kept.
pub const STATE: &str = "lamina.state";
