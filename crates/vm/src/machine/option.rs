//! Options of QEMU's command line as words (qemu(1)).

use std::path::Path;

pub(super) fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

pub(super) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// QEMU 7 moves a machine into and out of a file by a command for sh(1) alone.
pub(crate) fn of_a_shell(file: &Path) -> String {
    format!("'{}'", text(file).replace('\'', r"'\''"))
}

/// QEMU splits options at commas and takes two of them for one.
pub(super) fn escaped(path: &Path) -> String {
    text(path).replace(',', ",,")
}

/// As [`escaped`], the image of a disk: QEMU takes what stands before the first colon for a protocol, unless a slash is before that.
pub(super) fn of_a_disk(image: &Path) -> String {
    let text = escaped(image);
    if image.is_relative() && text.contains(':') { format!("./{text}") } else { text }
}
