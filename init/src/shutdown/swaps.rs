//! The files that the kernel swaps to: the table `/proc/swaps`, as proc(5) describes it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use stack::mount_table::unescape;

/// The paths of the swap files, in the root of this process. Partitions hold no file system, and stay.
pub fn files(table: &[u8]) -> Vec<PathBuf> {
    table.split(|byte| *byte == b'\n').filter_map(line).collect()
}

/// `FILENAME TYPE SIZE USED PRIORITY`, the name with the escapes of mountinfo, then blanks or tabs.
fn line(line: &[u8]) -> Option<PathBuf> {
    let mut fields = line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|field| !field.is_empty());
    let (name, kind) = (fields.next()?, fields.next()?);
    (kind == b"file").then(|| OsString::from_vec(unescape(name)).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_and_partitions_and_garbage_are_not() {
        let table = b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n\
/dev/vdb2                               partition\t1048572\t\t0\t\t-2\n\
/run/lamina/state/my\\040swap            file\t\t8188\t\t12\t\t-3\n\nodd\n";
        assert_eq!(files(table), [PathBuf::from("/run/lamina/state/my swap")]);
        assert!(files(b"").is_empty());
    }
}
