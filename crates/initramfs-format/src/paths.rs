//! What lies where in the initramfs.

/// The kernel modules: [`crate::module_list`].
pub const MODULES: &str = "/etc/lamina/modules";
/// For which kernel the initramfs was made, and what it lets boot: [`crate::Description`].
pub const DESCRIPTION: &str = "/etc/lamina/initramfs.kdl";
/// Minisign public keys, one a file, `NAME.pub`.
pub const KEYS: &str = "/etc/lamina/keys";
/// A static program that init starts beside the real init, where it is there: `lamina vm --run` packs one.
pub const BESIDE: &str = "/lib/lamina/beside";
/// The store that is packed into the initramfs, below `/`. `lamina.dir=` has no say in it.
pub const PACKED_STORE: &str = "lamina";

/// A path as the name of an entry of the archive: `etc/lamina/modules` for `/etc/lamina/modules`.
pub fn entry(path: &str) -> &str {
    path.trim_start_matches('/')
}
