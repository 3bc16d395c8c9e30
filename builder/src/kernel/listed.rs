//! The kernels that are had by a short name: the list `kernel-config/kernels.kdl`, whose packages are known by their hashes. They become
//! kernels that profiles can name by `lamina kernel import`; tests, `make boot` and `lamina disk create` start them as they are.

use std::path::Path;

use profiles::decode::{self, Node, Shape};
use profiles::suggest;

use crate::error::{Error, Result};
use crate::fetch::Mirror;
use crate::fetch::Source;

/// A kernel package of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedKernel {
    /// What people call it: `6.1`.
    pub name: String,
    /// Where it is from, in a few words.
    pub description: String,
    /// As `uname -r` prints it.
    pub release: String,
    /// The package.
    pub package: Source,
}

const KERNEL: Shape = Shape::argument("name").block(&["description", "release", "package"]);
const TEXT: Shape = Shape::argument("text");
const PACKAGE: Shape = Shape::argument("file").properties(&["sha256", "size"]).block(&["mirror"]);

/// Reads the list of kernels.
///
/// # Errors
/// It cannot be read, or says something that is not understood.
pub fn load(path: &Path) -> Result<Vec<ListedKernel>> {
    let bytes = crate::text_file::read(path)?;
    parse(&path.display().to_string(), &bytes)
}

/// The list that this program was built with, for where a tree has none.
///
/// # Errors
/// As [`load`].
pub fn built_in() -> Result<Vec<ListedKernel>> {
    parse("the built-in list of kernels", include_bytes!("../../../kernel-config/kernels.kdl"))
}

/// The kernel called `name`.
///
/// # Errors
/// There is none: the nearest name is named.
pub fn find<'a>(kernels: &'a [ListedKernel], name: &str) -> Result<&'a ListedKernel> {
    kernels.iter().find(|kernel| kernel.name == name).ok_or_else(|| {
        let names: Vec<&str> = kernels.iter().map(|kernel| kernel.name.as_str()).collect();
        Error::new(format!("kernel {name}"), "is not in the list").remedy(suggest::remedy(name, &names))
    })
}

fn parse(label: &str, bytes: &[u8]) -> Result<Vec<ListedKernel>> {
    decode::read(label, bytes, |top| {
        top.allow(&["kernel"]);
        let kernels: Vec<Option<ListedKernel>> = top.all("kernel").map(kernel).collect();
        kernels.into_iter().collect()
    })
    .map_err(|diagnostics| Error::caused("", diagnostics))
}

fn kernel(node: Node<'_>) -> Option<ListedKernel> {
    let block = node.shape(&KERNEL)?.block();
    let text = |name: &str| block.required(name)?.shape(&TEXT)?.argument::<String>("text");
    let (description, release) = (text("description"), text("release"));
    let package = block.required("package").and_then(package);
    Some(ListedKernel {
        name: node.argument("name")?,
        description: description?,
        release: release?,
        package: package?,
    })
}

fn package(node: Node<'_>) -> Option<Source> {
    let mirrors: Vec<Option<String>> = node.shape(&PACKAGE)?.block().all("mirror").map(mirror).collect();
    Some(Source {
        file: node.argument("file")?,
        sha256: node.property("sha256")?,
        size: node.property("size")?,
        mirrors: mirrors.into_iter().collect::<Option<_>>()?,
    })
}

fn mirror(node: Node<'_>) -> Option<String> {
    let text: String = node.shape(&TEXT)?.argument("address")?;
    match Mirror::parse(&text) {
        Ok(_) => Some(text),
        Err(error) => node.refuse(error.to_string(), "correct the address"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_list_is_read() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kernel-config/kernels.kdl");
        let kernels = load(&path).unwrap();
        assert_eq!(find(&kernels, "6.1").unwrap().release, "6.1.0-50-cloud-amd64");
        assert!(find(&kernels, "6.12").unwrap().package.mirrors[0].starts_with("debian:pool/"));
        let error = find(&kernels, "6.13").unwrap_err().to_string();
        assert!(error.starts_with("kernel 6.13: is not in the list\nhelp: "), "{error}");
    }

    #[test]
    fn every_error_is_named_with_its_place() {
        let text =
            "kernel \"a\" {\n    release 6\n    package \"x\" sha256=\"1\" size=1 { mirror \"ftp:x\" }\n}\n";
        let error = parse("kernels.kdl", text.as_bytes()).unwrap_err().to_string();
        for expected in ["has no 'description'", "2:13: error: ", "ftp:x"] {
            assert!(error.contains(expected), "{expected}\nnot in: {error}");
        }
    }
}
