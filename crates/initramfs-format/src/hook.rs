//! Programs that init starts at named points of a boot: executable files below [`HOOKS`]`/POINT`, each run in the order of its name.

/// Where they lie; below it is a folder for each [`Point`].
pub const HOOKS: &str = "/lib/lamina/hooks";

/// A point of a boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// The drivers of the devices that are there are loaded, and the store is looked for next.
    BeforeStore,
    /// The new root is whole, at `/newroot`, and becomes `/` next.
    BeforeSwitch,
}

impl Point {
    /// All of them, in the order of a boot.
    pub const ALL: [Point; 2] = [Point::BeforeStore, Point::BeforeSwitch];

    /// Its name, which is that of its folder.
    pub fn name(self) -> &'static str {
        match self {
            Point::BeforeStore => "before-store",
            Point::BeforeSwitch => "before-switch",
        }
    }
}
