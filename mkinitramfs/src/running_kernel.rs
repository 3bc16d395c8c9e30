//! The kernel that runs on this machine, as a folder of modules.

use std::path::{Path, PathBuf};

use fault::Error;
use kernel_package::modules_of;

/// `ROOT/lib/modules/RELEASE` of the running kernel, or of the one that is called `release`; `ROOT/usr/lib/modules/RELEASE` where only
/// that is there.
///
/// # Errors
/// There is no such folder.
pub fn modules_of_running_kernel(root: &Path, release: Option<&str>) -> Result<PathBuf, Error> {
    let running = rustix::system::uname();
    let running = running.release().to_string_lossy();
    let wanted = release.unwrap_or(&running);
    if let Some(folder) = modules_of(root, wanted) {
        return Ok(folder);
    }
    let folder = root.join("lib/modules").join(wanted);
    let cause = match release {
        Some(_) => "there is no such folder: no kernel of this release is installed".to_owned(),
        None => format!(
            "there is no such folder: {running} runs, and its modules are not here, as in a container, or after an update removed them"
        ),
    };
    Err(Error::new(folder.display(), cause).remedy(
        "name a kernel: --kernel takes a package, lib/modules/RELEASE, or the root of another system; `lamina kernel fetch 6.1` gets a package",
    ))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_folder_of_the_running_kernel_is_found_or_named_with_what_helps() {
        let root = tempfile::tempdir().expect("a folder");
        let running = rustix::system::uname();
        let running = running.release().to_str().expect("text");
        let folder = root.path().join("lib/modules").join(running);
        let error = modules_of_running_kernel(root.path(), None).expect_err("nothing there").to_string();
        let start = format!("{}: there is no such folder: {running} runs, ", folder.display());
        assert!(error.starts_with(&start) && error.contains("container"), "{error}");
        assert!(error.contains("help: name a kernel: --kernel takes a package, "), "{error}");
        fs::create_dir_all(&folder).expect("the folder");
        assert_eq!(modules_of_running_kernel(root.path(), None).expect("it is there"), folder);
        let error = modules_of_running_kernel(root.path(), Some("6.1-x")).expect_err("another").to_string();
        assert!(
            error.contains("lib/modules/6.1-x: there is no such folder: no kernel of this release"),
            "{error}"
        );
        // Where /lib is no link, a kernel may have its modules in /usr/lib alone, and is one of `--release all`.
        let other = root.path().join("usr/lib/modules/6.1-x");
        fs::create_dir_all(&other).expect("the folder");
        assert_eq!(modules_of_running_kernel(root.path(), Some("6.1-x")).expect("it is there"), other);
    }
}
