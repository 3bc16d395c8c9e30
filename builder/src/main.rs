//! Placeholder of the first commit; the crate's owner replaces it.
fn main() {}
