//! The kernels of one call.

use std::path::{Path, PathBuf};

use kernel_package::installed;
use mkinitramfs::modules_of_running_kernel;

use crate::output::{PLACE, has_place, placed};

/// As a release: each kernel that is installed there.
const ALL: &str = "all";

/// A kernel to make an initramfs for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// The package or folder that has it.
    pub path: PathBuf,
    /// Which one there.
    pub release: Option<String>,
}

/// What the command line says of them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Named<'a> {
    /// `--kernel`.
    pub path: Option<&'a Path>,
    /// `--release`, each time.
    pub releases: &'a [String],
    /// `--output`.
    pub output: Option<&'a Path>,
    /// `--output-as-is`.
    pub output_as_is: bool,
}

impl Named<'_> {
    /// Whether more than one may be meant, however many there are.
    pub fn is_plural(&self) -> bool {
        self.releases.len() > 1 || self.releases.iter().any(|release| release == ALL)
    }

    /// The kernels in the order in which they were named.
    ///
    /// # Errors
    /// One that is not there; several, and an output without a place for the release.
    pub fn kernels(&self) -> Result<Vec<Kernel>, String> {
        if self.releases.is_empty() {
            return Ok(vec![Kernel { path: self.holder(None)?, release: None }]);
        }
        self.check_output()?;
        let releases = self.each_release()?;
        let kernel =
            |release: String| Ok(Kernel { path: self.holder(Some(&release))?, release: Some(release) });
        releases.into_iter().map(kernel).collect()
    }

    /// Where the initramfs of a kernel goes.
    pub fn output_for(&self, release: &str) -> Option<PathBuf> {
        let placed = |output: &Path| match self.output_as_is {
            true => output.to_owned(),
            false => placed(output, release),
        };
        self.output.map(placed)
    }

    /// Whether it has a place for each kernel.
    fn check_output(&self) -> Result<(), String> {
        let Some(output) = self.output.filter(|_| self.is_plural()) else { return Ok(()) };
        let remedy = match (self.output_as_is, has_place(output)) {
            (false, true) => return Ok(()),
            (true, true) => "leave --output-as-is out".to_owned(),
            (_, false) => format!(
                "write {PLACE}, as a word by itself, where the kernel's release belongs: --output /boot/lamina-{PLACE}.img"
            ),
        };
        Err(format!("{}: several initramfs cannot be one file\nhelp: {remedy}", output.display()))
    }

    /// The kernel that was named, else the one that is running, or of the release that was named.
    fn holder(&self, release: Option<&str>) -> Result<PathBuf, String> {
        let running =
            || modules_of_running_kernel(Path::new("/"), release).map_err(|error| error.to_string());
        self.path.map_or_else(running, |named| Ok(named.to_owned()))
    }

    /// Each of them once.
    fn each_release(&self) -> Result<Vec<String>, String> {
        let mut each: Vec<String> = Vec::new();
        for release in self.releases {
            let named = match release == ALL {
                true => installed(self.path.unwrap_or(Path::new("/"))).map_err(|error| error.to_string())?,
                false => [release.clone()].into(),
            };
            for release in named {
                if !each.contains(&release) {
                    each.push(release);
                }
            }
        }
        Ok(each)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn several_kernels_need_an_output_each() {
        let root = tempfile::tempdir().expect("a folder");
        for release in ["6.1.0-1", "6.12.9"] {
            let folder = root.path().join("usr/lib/modules").join(release);
            fs::create_dir_all(&folder).expect("a folder of modules");
            fs::write(folder.join("modules.builtin"), "").expect("its list");
        }
        // A removed kernel leaves what was made for it.
        fs::create_dir_all(root.path().join("usr/lib/modules/5.10.0")).expect("a folder that was left");
        let all = ["6.12.9".to_owned(), ALL.to_owned()];
        let output = Path::new("/boot/RELEASE/initramfs");
        let named =
            Named { path: Some(root.path()), releases: &all, output: Some(output), output_as_is: false };
        let releases: Vec<_> =
            named.kernels().expect("two").into_iter().filter_map(|it| it.release).collect();
        assert_eq!(releases, ["6.12.9", "6.1.0-1"]);

        for output in ["/boot/one.img", "/boot/MYRELEASES.img"] {
            let error = Named { output: Some(Path::new(output)), ..named }.kernels().expect_err("one file");
            let expected =
                format!("{output}: several initramfs cannot be one file\nhelp: write RELEASE, as a word ");
            assert!(error.starts_with(&expected), "{error}");
        }
        let error = Named { output_as_is: true, ..named }.kernels().expect_err("one file");
        assert!(error.ends_with("one file\nhelp: leave --output-as-is out"), "{error}");
        let none = tempfile::tempdir().expect("a folder");
        let error = Named { path: Some(none.path()), ..named }.kernels().expect_err("no kernel");
        assert!(error.contains("it holds no kernel with modules"), "{error}");
    }
}
