//! Writes `fragments/*.config` from the table.

use std::path::Path;

use kernel_config::{Group, fragment};

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fragments");
    std::fs::create_dir_all(&folder)?;
    for group in Group::ALL {
        std::fs::write(folder.join(format!("{}.config", group.name())), fragment(group))?;
    }
    Ok(())
}
