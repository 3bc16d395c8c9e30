//! Real Debian packages, as pinned in this repository: the two kernels and the bootstrap layer.
//!
//! They come from the cache (`$LAMINA_CACHE`, else `~/.cache/lamina`), or else from the Debian archive over the network.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use builder::bootstrap::Bootstrap;
use builder::fetch::Fetcher;
use deb::Kind;
use kernel_package::KernelPackage;

/// The repository: `lamina` finds its recipes and lists there.
const TREE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

#[test]
fn stacks_boot_on_both_pinned_kernels() {
    for (name, release, limit) in [
        ("6.1", "6.1.0-50-cloud-amd64", "CONFIG_EROFS_FS_BACKED_BY_FILE"),
        ("6.12", "6.12.95+deb12-cloud-amd64", "CONFIG_USB_HID"),
    ] {
        let package = fetched_kernel(name);
        let checked = lamina(&["kernel", "check", package.to_str().unwrap()]);
        let said = String::from_utf8_lossy(&checked.stdout);
        assert!(checked.status.success(), "{said}");
        let limits = said.lines().filter(|line| line.starts_with("limited: ")).count();
        assert!(said.contains(&format!("limited: {limit} is off")), "{said}");
        let verdict = format!("stacks boot on this kernel, within the limits above ({limits})\n");
        assert!(said.ends_with(&verdict) && !said.contains("missing: "), "{said}");

        let kernel = KernelPackage::open(&package).unwrap();
        assert_eq!(kernel.release(), release);
        assert_eq!(&kernel.vmlinuz().unwrap()[0x202..0x206], b"HdrS", "the boot header of an x86 kernel");
        let squashfs = kernel.module("squashfs").expect("squashfs is a module");
        assert!(
            kernel.module_bytes(squashfs).unwrap().starts_with(b"\x7fELF"),
            "decompressed, where it was not"
        );
    }
}

#[test]
fn dpkg_deb_lists_the_same_files() {
    let mut packages = vec![fetched_kernel("6.1")];
    packages.extend(bootstrap_packages(&["gcc-12", "perl-base", "libc6", "bzip2"]));
    for path in packages {
        let package = deb::Package::open(&path).unwrap();
        let contents = package.contents(tempfile::tempfile().unwrap()).unwrap();
        let ours: Vec<String> = contents
            .members()
            .iter()
            .map(|member| {
                let path = String::from_utf8_lossy(&member.path);
                match &member.kind {
                    Kind::File { length, .. } => format!("{length} ./{path}"),
                    Kind::Directory => format!("0 ./{path}/"),
                    Kind::Symlink(target) => format!("0 ./{path} -> {}", String::from_utf8_lossy(target)),
                    Kind::HardLink(target) => {
                        format!("0 ./{path} link to ./{}", String::from_utf8_lossy(target))
                    }
                    other => panic!("{path} is {other:?}"),
                }
            })
            .collect();
        assert_eq!(ours, dpkg_listing(&path), "{}", package.control().package());
    }
}

/// Size and name of each file, as `dpkg-deb --contents` prints them, without the root folder.
fn dpkg_listing(package: &Path) -> Vec<String> {
    let output = Command::new("dpkg-deb")
        .arg("--contents")
        .arg(package)
        .env("LC_ALL", "C")
        .output()
        .unwrap_or_else(|error| panic!("dpkg-deb: {error}; this test needs it: apt-get install dpkg"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listing = String::from_utf8(output.stdout).unwrap();
    let lines = listing.lines().map(|line| {
        let size = line.split_whitespace().nth(2).expect("a size");
        format!("{size} ./{}", line.split_once(" ./").expect("a path").1)
    });
    lines.filter(|line| line != "0 ./").collect()
}

fn bootstrap_packages(names: &[&str]) -> Vec<PathBuf> {
    let folder = Path::new(TREE).join("packages/bootstrap");
    let mut sources = Bootstrap::load(&folder).unwrap().sources();
    sources.retain(|source| names.iter().any(|name| source.file.starts_with(&format!("{name}_"))));
    assert_eq!(sources.len(), names.len());
    let fetcher = Fetcher::of_cache().unwrap();
    fetcher.fetch_all(&sources, &folder, &()).unwrap_or_else(|error| panic!("{error}"))
}

fn fetched_kernel(name: &str) -> PathBuf {
    let fetched = lamina(&["kernel", "fetch", name]);
    assert!(fetched.status.success(), "{}", String::from_utf8_lossy(&fetched.stderr));
    PathBuf::from(String::from_utf8(fetched.stdout).unwrap().trim_end())
}

fn lamina(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lamina")).args(["--tree", TREE]).args(arguments).output().unwrap()
}
