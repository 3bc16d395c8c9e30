//! What is mounted from outside: the medium, and folders of the host.

use super::{BootStep, Mount, Stage};
use crate::paths;
use crate::request::shared_folder::SharedFolder;
use crate::request::store_spec::{Protocol, Share};
use crate::store::medium::Medium;

/// How the medium comes to its place; nothing when the store is in the initramfs.
pub fn medium(medium: &Medium) -> Vec<Stage> {
    let mount = |kind, source: &str, options: &[&str]| {
        let always = ["ro", "nosuid", "nodev", "noexec"];
        let options = always.iter().chain(options).map(ToString::to_string).collect();
        let step = BootStep::Mount(Mount { kind, source: source.to_owned(), options, target: paths::MEDIUM });
        vec![Stage::chain("medium", vec![step])]
    };
    match medium {
        Medium::Initramfs => Vec::new(),
        Medium::Device { path, driver, write_protected } => {
            let row = file_systems::of_driver(driver);
            let always = row.map_or(&[][..], |row| row.medium_options);
            // What the journal would have changed is read as it was, and images are checked anyway.
            let without_replay = row.filter(|_| *write_protected).map_or(&[][..], |row| row.without_replay);
            mount(driver, path, &[always, without_replay].concat())
        }
        Medium::Share(Share { protocol: Protocol::Virtiofs, tag }) => mount("virtiofs", tag, &[]),
        // Nobody writes to the medium while it is mounted, so the loosest cache is right; the largest messages that
        // virtio carries make one round trip of a read that would take sixty.
        Medium::Share(Share { protocol: Protocol::NineP, tag }) => {
            mount("9p", tag, &["trans=virtio", "version=9p2000.L", "msize=512000", "cache=loose"])
        }
    }
}

/// The options of a folder of the host, which the host changes too, so that nothing of it is kept: as mount(8) has them.
pub fn shared_folder(shared: &SharedFolder) -> Vec<String> {
    let how: &[&str] = match shared.share.protocol {
        Protocol::Virtiofs => &[],
        Protocol::NineP => &["trans=virtio", "version=9p2000.L", "msize=512000"],
    };
    let read_only = shared.read_only.then_some("ro");
    ["nosuid", "nodev"].iter().chain(how).copied().chain(read_only).map(str::to_owned).collect()
}
