//! What a recipe says of one path of its image.

use super::capabilities::FileCapabilities;

/// The mode and owner of a path in the image; `None` leaves what the build made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathMetadata {
    /// Absolute path in the image.
    pub path: String,
    /// Permission bits, at most 0o7777.
    pub mode: Option<u32>,
    /// User id.
    pub user: Option<u32>,
    /// Group id.
    pub group: Option<u32>,
    /// What the program may do when anybody runs it (capabilities(7)).
    pub capabilities: Option<FileCapabilities>,
}
