//! What other users put where everybody may put something. Needs root, which alone can give a link to another user.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};

use atomic_file::{Error, Form, Output};
use nix::sys::stat::Mode;

fn put(path: &std::path::Path) -> Result<(), Error> {
    let output = Output::create(path, Form::Seeking)?;
    output.handle()?.write_all(b"new").unwrap();
    output.publish()
}

#[test]
fn a_link_that_another_user_put_into_a_folder_for_all_is_not_followed() {
    assert!(
        nix::unistd::geteuid().is_root(),
        "run as root: `sudo -E cargo test -p atomic-file --test planted`"
    );
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::create_dir(path("own")).unwrap();
    fs::write(path("own/victim"), "old").unwrap();
    symlink(path("own/victim"), path("link")).unwrap();
    nix::unistd::mkfifo(&path("fifo"), Mode::S_IRWXU).unwrap();
    put(&path("link")).unwrap();
    for name in ["link", "fifo"] {
        lchown(path(name), Some(65_534), None).unwrap();
        let error = put(&path(name)).unwrap_err().to_string();
        assert!(error.contains("of user 65534 in a folder where everybody may put one\nhelp: "), "{error}");
    }
    assert_eq!(fs::read(path("own/victim")).unwrap(), b"new");
}
